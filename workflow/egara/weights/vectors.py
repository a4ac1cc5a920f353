"""Write the vectors, one row per LoRA, for IncrementalPCA as published.

Shimoide & Ito, section 5.2.
"""

import os
from pathlib import Path

import numpy as np

from egara.io.atomic import replacing
from egara.io.progress import logger, parser
from egara.loras.files import Layout
from egara.weights.gram import read_layers
from egara.weights.inputs import add_loras, add_representation, open_loras
from egara.weights.representations import find, names, vector_length


def write_vectors(path: str | Path, paths: list[str], layouts: list[Layout], representation: str) -> None:
    """Write the vectors of all LoRAs as a memory-mapped .npy, of shape (n, d) float32, layers sorted by name."""
    measure, shapes = find(representation).vectors, layouts[0].shapes.values()
    width = sum(vector_length(representation, shape.rank, shape.inputs, shape.outputs) for shape in shapes)
    with replacing(path) as part:
        matrix = np.lib.format.open_memmap(part, mode="w+", dtype=np.float32, shape=(len(paths), width))
        _reserve(part)
        start = 0
        for layer in read_layers(paths, layouts):
            vectors = measure(layer)
            matrix[:, start : start + vectors.shape[1]] = vectors
            start += vectors.shape[1]
        matrix.flush()
        del matrix


def _reserve(path: Path) -> None:
    """Take a file's whole size on the disk: a full disk is an error here, and a crash in a memory-mapped array."""
    if hasattr(os, "posix_fallocate"):  # macOS has none
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def main(argv: list[str] | None = None) -> None:
    """Read LoRA files and write their vectors."""
    arguments = parser(__doc__)
    add_loras(arguments)
    add_representation(arguments, [name for name in names() if find(name).vectors])
    arguments.add_argument("--output", required=True, help="vectors to write, n x d float32 (.npy)")
    options = arguments.parse_args(argv)
    files, layouts = open_loras(options)
    write_vectors(options.output, files["lora"].tolist(), layouts, options.representation)
    logger("weights").info("%s of %d LoRAs: %s", options.representation, len(files), options.output)
