"""The inner products of every layer of the LoRAs of a cell, kept apart, so that scores of layers read no LoRA again.

One file, `.npz`: the Gram matrices, the layers' names, and file, author, work and set of each row.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from egara.io.arrays import read_arrays
from egara.io.atomic import replacing
from egara.io.errors import EgaraError, run
from egara.io.progress import bar, logger, parser
from egara.weights.gram import authors_of, gram_of_loras, lora_files, read_layouts
from egara.weights.representations import LAYERWISE, find, names

TEXTS = ("layers", "loras", "authors", "works", "sets")


class LayerGrams(NamedTuple):
    """Gram matrices (layers, n, n) float64, names of the layers, and file, author, work and set (n,) of the LoRAs."""

    grams: np.ndarray
    layers: list[str]
    loras: list[str]
    authors: list[str]
    works: list[str]
    sets: list[str]


def write_layer_grams(path: str | Path, found: LayerGrams) -> None:
    """Write Gram matrices of layers as .npz."""
    texts = {name: np.array(getattr(found, name), dtype=str) for name in TEXTS}
    with replacing(path) as part, part.open("wb") as file:
        np.savez(file, grams=found.grams, **texts)


def read_layer_grams(path: str | Path) -> LayerGrams:
    """Read what `write_layer_grams` wrote.

    Raises
    ------
    EgaraError : no such file, or its parts do not belong together.
    """
    kind = "Gram matrices of layers"
    arrays = read_arrays(path, kind)
    if missing := [name for name in ("grams", *TEXTS) if name not in arrays]:
        raise EgaraError(f"{path}: not a file of {kind}; {', '.join(missing)} is missing")
    if arrays["grams"].dtype.kind not in "biuf" or not np.isfinite(arrays["grams"]).all():
        raise EgaraError(f"{path}: holds values that are not finite numbers")
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
    arguments.add_argument("--folder", required=True, help="folder with {work}/{set}.safetensors")
    arguments.add_argument("--works", required=True, nargs="+", help="works, in the order of the rows")
    arguments.add_argument("--sets", required=True, type=int, help="LoRAs a work: 00, 01, …")
    known = [name for name in names() if not name.endswith(LAYERWISE)]
    arguments.add_argument(
        "--representation", required=True, choices=known, metavar="NAME", help=f"one of {', '.join(known)}"
    )
    arguments.add_argument("--cache", type=Path, help="folder of inner products that are known already")
    arguments.add_argument("--output", required=True, help="Gram matrices to write (.npz)")
    options = arguments.parse_args(argv)
    if options.sets < 1:
        arguments.error("--sets must be at least 1")
    files = lora_files(options.folder, options.works, options.sets)
    paths = files["lora"].tolist()
    layouts = read_layouts(paths, one_rank=find(options.representation).one_rank)
    layers = list(layouts[0].shapes)
    authors = authors_of(files, layouts)
    with bar(len(layers), "layer") as watched:
        grams = gram_of_loras(paths, options.representation, layouts, watched.update, options.cache, layered=True)
    found = LayerGrams(grams, layers, paths, authors, files["work"].tolist(), files["set"].tolist())
    write_layer_grams(options.output, found)
    logger("weights").info("%s of %d layers, %d LoRAs: %s", options.representation, *grams.shape[:2], options.output)


if __name__ == "__main__":
    run(main)
