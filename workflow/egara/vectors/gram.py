"""LoRA files to a Gram matrix, its index and the matrix of factors, a few layers at a time."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.errors import EgaraError
from egara.files import replacing
from egara.loras.formats import Factors, Layout, read_layout, read_lora
from egara.vectors.representations import find

if TYPE_CHECKING:
    import pandas as pd

# Bytes of factors that all LoRAs together may hold in memory; at least one layer is held, however large.
HELD = 192 * 2**20


def lora_files(folder: str | Path, works: list[str], sets: int) -> "pd.DataFrame":
    """List `folder/{work}/{set}.safetensors` for sets 00, 01, … of every work, in this order: lora, work, set."""
    import pandas as pd

    rows = [
        (Path(folder, work, f"{number:02d}.safetensors").as_posix(), work, f"{number:02d}")
        for work in works
        for number in range(sets)
    ]
    return pd.DataFrame(rows, columns=["lora", "work", "set"])


def read_layouts(paths: list[str], one_rank: bool) -> list[Layout]:
    """Read all headers and check that the LoRAs adapt the same layers with the same sizes.

    Raises
    ------
    EgaraError : names the first file and layer that differ from the first file.
    """
    layouts = [read_layout(path) for path in paths]
    first = layouts[0].shapes
    for path, layout in zip(paths, layouts, strict=True):
        if odd := sorted(first.keys() ^ layout.shapes.keys()):
            lacks, has = (path, paths[0]) if odd[0] in first else (paths[0], path)
            raise EgaraError(f"{lacks}: layer {odd[0]} is missing, but {has} has it; all LoRAs need the same layers")
        for name, shape in layout.shapes.items():
            if shape[1:] != first[name][1:]:
                found, expected = (f"{s.outputs} x {s.inputs}" for s in (shape, first[name]))
                raise EgaraError(f"{path}: layer {name} is {found}, but {expected} in {paths[0]}; they must agree")
            if one_rank and shape.rank != first[name].rank:
                raise EgaraError(
                    f"{path}: layer {name} has rank {shape.rank}, but {first[name].rank} in {paths[0]}; "
                    "factors, down and up need one rank (delta compares any)"
                )
    return layouts


def authors_of(files: "pd.DataFrame", layouts: list[Layout]) -> list[str]:
    """Return the author in each LoRA's header; the header's work, if any, must be the folder's."""
    authors = []
    for path, work, layout in zip(files["lora"], files["work"], layouts, strict=True):
        author = layout.header.get("author")
        if not author:
            raise EgaraError(f"{path}: no author in the header; expected the key egara with author, work and set")
        if str(layout.header.get("work", work)) != work:
            raise EgaraError(f"{path}: trained on work {layout.header['work']}, but it lies under {work}")
        authors.append(str(author))
    return authors


def gram_of_loras(
    paths: list[str], representation: str, layouts: list[Layout], watch: Callable[[int], None] = lambda layers: None
) -> np.ndarray:
    """Exact Gram matrix (n, n) float64 of LoRA files, the sum of what the representation gives for each layer.

    `watch` is told how many layers were added. Memory: `HELD` bytes of factors, and the blocks of one layer.
    """
    gram = np.zeros((len(paths), len(paths)))
    for _, share in layer_grams(paths, representation, layouts):
        gram += share
        watch(1)
    return gram


def layer_grams(paths: list[str], representation: str, layouts: list[Layout]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each layer's name and share of the Gram matrix, (n, n) float64; files are read a few layers at a time."""
    measure = find(representation).gram
    for names in _groups(layouts):
        layers: dict[str, list[Factors]] = {name: [] for name in names}
        for path in paths:
            for name, pair in read_lora(path, names).layers.items():
                layers[name].append(pair)
        for name in names:
            share = measure(layers.pop(name), name)
            yield name, (share + share.T) / 2


def _groups(layouts: list[Layout]) -> Iterator[list[str]]:
    """Split the layers, in order, into groups whose factors fit into `HELD` bytes: few passes over the files."""
    group, held = [], 0
    for name in layouts[0].shapes:
        size = sum(4 * s.rank * (s.inputs + s.outputs) for s in (layout.shapes[name] for layout in layouts))
        if group and held + size > HELD:
            yield group
            group, held = [], 0
        group.append(name)
        held += size
    yield group


def write_matrix(path: str | Path, paths: list[str], layouts: list[Layout]) -> None:
    """Write the factors of all LoRAs as a memory-mapped .npy, (n, d) float32, one LoRA in memory at a time.

    A row is A then B of every layer, flattened, layers sorted by name.
    """
    width = sum(s.rank * (s.inputs + s.outputs) for s in layouts[0].shapes.values())
    with replacing(path) as part:
        matrix = np.lib.format.open_memmap(part, mode="w+", dtype=np.float32, shape=(len(paths), width))
        for row, source in zip(matrix, paths, strict=True):
            layers = read_lora(source).layers.values()
            np.concatenate([side.ravel() for pair in layers for side in (pair.down, pair.up)], out=row)
        matrix.flush()
        del matrix
