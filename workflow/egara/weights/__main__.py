"""Compute the Gram matrix of one representation of a cell's LoRAs.

Representations are described in `egara.weights.representations`.
"""

from typing import TYPE_CHECKING

from egara.io.progress import bar, logger, parser
from egara.weights.inputs import add_loras, add_representation
from egara.weights.representations import names

if TYPE_CHECKING:
    import argparse

    import numpy as np
    import pandas as pd


def main(argv: list[str] | None = None) -> None:
    """Read LoRA files, or the Gram matrices of their layers, and write a Gram matrix and its index."""
    arguments = parser(__doc__)
    add_loras(arguments, required=False)
    arguments.add_argument("--layers", help="Gram matrices of layers in delta (.npz), instead of the LoRAs themselves")
    add_representation(arguments, names())
    arguments.add_argument("--gram", required=True, help="Gram matrix to write, n x n float64 (.npy)")
    arguments.add_argument("--index", required=True, help="index to write: lora, author, work, set, norm (.tsv)")
    arguments.add_argument("--cache", help="folder of the cache of Gram matrices")
    options = arguments.parse_args(argv)
    if bool(options.layers) == bool(options.folder):
        arguments.error("expected either --folder, --works and --sets, or --layers")
    if options.folder and not (options.works and options.sets):
        arguments.error("--folder goes with --works and --sets")

    import numpy as np

    from egara.io.atomic import replacing
    from egara.io.tables import write_tsv

    gram, index = _from_layers(options) if options.layers else _from_loras(options)
    index["norm"] = np.sqrt(np.diag(gram))
    with replacing(options.gram) as part:
        np.save(part, gram)
    write_tsv(options.index, index)
    least, most = index["norm"].min(), index["norm"].max()
    log = logger("weights")
    log.info("%s of %d LoRAs, norms %.4g to %.4g: %s", options.representation, len(index), least, most, options.gram)


def _from_loras(options: "argparse.Namespace") -> "tuple[np.ndarray, pd.DataFrame]":
    from pathlib import Path

    from egara.weights.gram import gram_of_loras
    from egara.weights.inputs import open_loras

    files, layouts = open_loras(options)
    with bar(len(layouts[0].shapes), "layer") as watched:
        cache = Path(options.cache) if options.cache else None
        gram = gram_of_loras(files["lora"].tolist(), options.representation, layouts, watched.update, cache)
    return gram, files


def _from_layers(options: "argparse.Namespace") -> "tuple[np.ndarray, pd.DataFrame]":
    from egara.weights.layer_grams import read_layer_grams, sum_layers

    found = read_layer_grams(options.layers)
    return sum_layers(found, options.representation), found.index()
