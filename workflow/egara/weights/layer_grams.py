"""Compute one Gram matrix per layer of a cell's LoRAs.

Scores of layers then read no LoRA again. One file, `.npz`: the Gram matrices, the layers' names, and file, author,
work and set of each row.
"""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from egara.io.arrays import read_arrays
from egara.io.atomic import replacing
from egara.io.errors import EgaraError
from egara.io.progress import bar, logger, parser
from egara.weights.gram import gram_of_loras
from egara.weights.inputs import add_loras, add_representation, open_loras
from egara.weights.representations import REPRESENTATIONS, find

if TYPE_CHECKING:
    import pandas as pd

TEXTS = ("layers", "loras", "authors", "works", "sets")


class LayerGrams(NamedTuple):
    """Gram matrices (layers, n, n) float64, names of the layers, and file, author, work and set (n,) of the LoRAs."""

    grams: np.ndarray
    layers: list[str]
    loras: list[str]
    authors: list[str]
    works: list[str]
    sets: list[str]

    def index(self) -> "pd.DataFrame":
        """Return lora, author, work and set of each row."""
        import pandas as pd

        return pd.DataFrame({"lora": self.loras, "author": self.authors, "work": self.works, "set": self.sets})


def sum_layers(found: LayerGrams, representation: str) -> np.ndarray:
    """Gram matrix (n, n) of whole LoRAs from those of their layers in `delta`.

    Raises
    ------
    EgaraError : a representation that cannot be computed from them.
    """
    derive = find(representation).from_delta
    if derive is None:
        raise EgaraError(f"representation {representation}: cannot be computed from the Gram matrices of delta")
    return sum(derive(layer) for layer in found.grams)


def write_layer_grams(path: str | Path, found: LayerGrams) -> None:
    """Write Gram matrices of layers as .npz."""
    texts = {name: np.array(getattr(found, name), dtype=str) for name in TEXTS}
    with replacing(path) as part, part.open("wb") as file:
        np.savez(file, grams=found.grams, **texts)


def read_layer_grams(path: str | Path) -> LayerGrams:
    """Read what `write_layer_grams` wrote.

    Raises
    ------
    EgaraError : the file is missing, of another kind, or its parts do not fit each other.
    """
    kind = "Gram matrices of layers"
    arrays = read_arrays(path, kind)
    if missing := [name for name in ("grams", *TEXTS) if name not in arrays]:
        raise EgaraError(f"{path}: not a file of {kind}; {', '.join(missing)} is missing")
    if arrays["grams"].dtype.kind not in "biuf" or not np.isfinite(arrays["grams"]).all():
        raise EgaraError(f"{path}: contains values that are not finite numbers")
    texts = (list(map(str, arrays[name].ravel())) for name in TEXTS)
    found = LayerGrams(arrays["grams"].astype(np.float64, copy=False), *texts)
    count = len(found.works)
    whole = found.grams.shape == (len(found.layers), count, count) and count
    if not whole or {len(getattr(found, name)) for name in TEXTS[1:]} != {count}:
        raise EgaraError(
            f"{path}: {len(found.layers)} layers of {count} LoRAs, but its matrices are {found.grams.shape}; "
            "expected layers x n x n"
        )
    return found


def main(argv: list[str] | None = None) -> None:
    """Read LoRA files and write the Gram matrix of every layer."""
    arguments = parser(__doc__)
    add_loras(arguments)
    add_representation(arguments, [*REPRESENTATIONS])
    arguments.add_argument("--cache", type=Path, help="folder of the cache of Gram matrices")
    arguments.add_argument("--output", required=True, help="Gram matrices to write (.npz)")
    options = arguments.parse_args(argv)
    files, layouts = open_loras(options)
    paths, layers = files["lora"].tolist(), list(layouts[0].shapes)
    with bar(len(layers), "layer") as watched:
        grams = gram_of_loras(paths, options.representation, layouts, watched.update, options.cache, layered=True)
    found = LayerGrams(grams, layers, paths, files["author"].tolist(), files["work"].tolist(), files["set"].tolist())
    write_layer_grams(options.output, found)
    logger("weights").info("%s of %d layers, %d LoRAs: %s", options.representation, *grams.shape[:2], options.output)
