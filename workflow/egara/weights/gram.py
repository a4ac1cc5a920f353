"""LoRA files to a Gram matrix, its index and the matrix of factors, a few layers at a time."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.io.atomic import replacing
from egara.io.errors import EgaraError
from egara.loras.files import Factors, Layout, read_layout, read_lora
from egara.weights.gram_cache import CachedGram, identify, load_gram, save_gram
from egara.weights.products import products_of_rows
from egara.weights.representations import find
from egara.weights.sketch import SIDE, sketches

if TYPE_CHECKING:
    import pandas as pd

# Bytes of factors that all LoRAs together may hold in memory; at least one layer is held, however large. Every group of
# layers opens all files once more: with a quarter of it, opening took longer than reading.
HELD = 768 * 2**20
SKETCH = "sketch"
FEW = 5  # one new LoRA in so many: taking old ones in small parts costs up to four times a row
FEWEST = 4  # old LoRAs beside a new one at once


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
    paths: list[str],
    representation: str,
    layouts: list[Layout],
    watch: Callable[[int], None] = lambda layers: None,
    cache: Path | None = None,
    layered: bool = False,
) -> np.ndarray:
    """Exact Gram matrix (n, n) float64 of LoRA files, the sum of what the representation gives for each layer.

    `layered` keeps layers apart, in the order of their names: (layers, n, n). `watch` is told how many layers were
    added. With a `cache` (`egara.weights.gram_cache`) only rows of LoRAs that are new there are computed; sums of
    float32 products in another order differ by rounding, about 1e-7 of the largest. Exact representations read all
    files again, a sketch only the new ones. Memory: `HELD` bytes of factors, and the blocks of one layer.
    """
    if representation == SKETCH and not layered:
        return _gram_of_sketches(paths, layouts, watch, cache)
    if cache is None:
        return _whole_gram(paths, representation, layouts, watch, layered)
    ids, name = [identify(path) for path in paths], f"{representation}.layers" if layered else representation
    known = load_gram(cache, name, ids)
    rows = {} if known is None else {name: row for row, name in enumerate(known.ids)}
    old = [row for row, name in enumerate(ids) if name in rows]
    new = [row for row, name in enumerate(ids) if name not in rows]
    if not old or FEW * len(new) > len(ids):
        gram = _whole_gram(paths, representation, layouts, watch, layered)
    else:
        found = [rows[ids[row]] for row in old]
        gram = _empty(layouts, layered)
        gram[..., np.array(old)[:, None], old] = known.gram[..., np.array(found)[:, None], found]
        if new:
            _add_rows(gram, paths, representation, layouts, old, new, watch)
    if new or not old:
        save_gram(cache, name, CachedGram(ids, gram))
    return gram


def _empty(layouts: list[Layout], layered: bool) -> np.ndarray:
    shape = (len(layouts), len(layouts))
    return np.zeros((len(layouts[0].shapes), *shape) if layered else shape)


def _whole_gram(
    paths: list[str], representation: str, layouts: list[Layout], watch: Callable[[int], None], layered: bool
) -> np.ndarray:
    gram = _empty(layouts, layered)
    for place, (_, share) in enumerate(layer_grams(paths, representation, layouts)):
        part = gram[place] if layered else gram
        part += share
        watch(1)
    return gram


def _add_rows(
    gram: np.ndarray,
    paths: list[str],
    representation: str,
    layouts: list[Layout],
    old: list[int],
    new: list[int],
    watch: Callable[[int], None],
) -> None:
    """Add to `gram`, (n, n) or (layers, n, n), rows and columns of LoRAs `new`.

    New LoRAs stay in memory, and old ones pass by a few at a time: where the new ones fit, every file is opened once.
    """
    measure, step, count = find(representation).gram, max(FEWEST, len(new)), len(new)
    places = {name: place for place, name in enumerate(layouts[0].shapes)}
    for names in _groups([layouts[row] for row in new], HELD // 2):
        parts = {name: gram if gram.ndim == 2 else gram[places[name]] for name in names}
        added = [read_lora(paths[row], names).layers for row in new]
        for start in range(0, len(old), step):
            some = old[start : start + step]
            beside = [*added, *(read_lora(paths[row], names).layers for row in some)]
            for name in names:
                share = measure([layers[name] for layers in beside], name)
                parts[name][np.ix_(new, some)] += share[:count, count:]
        for name in names:
            share = measure([layers[name] for layers in added], name)
            parts[name][np.ix_(new, new)] += (share + share.T) / 2
        watch(len(names))
    gram[..., np.array(old)[:, None], new] = np.swapaxes(gram[..., np.array(new)[:, None], old], -1, -2)


def _gram_of_sketches(
    paths: list[str], layouts: list[Layout], watch: Callable[[int], None], cache: Path | None
) -> np.ndarray:
    """Gram matrix of sketches; those in the cache are not read again."""
    ids = [identify(path) for path in paths]
    known = None if cache is None else load_gram(cache, SKETCH, ids)
    rows = {} if known is None else {name: row for row, name in enumerate(known.ids)}
    new = [row for row, name in enumerate(ids) if name not in rows]
    old = [row for row, name in enumerate(ids) if name in rows]
    vectors = np.empty((len(ids), SIDE**2 * len(layouts[0].shapes)), np.float32)
    gram = np.zeros((len(ids), len(ids)))
    if old:
        found = [rows[ids[row]] for row in old]
        vectors[old] = known.vectors[found]
        gram[np.ix_(old, old)] = known.gram[np.ix_(found, found)]
    if new:
        parts = []
        for name, layer in _layers([paths[row] for row in new], [layouts[row] for row in new]):
            parts.append(sketches(layer, name))
            watch(1)
        vectors[new] = np.concatenate(parts, axis=1)
        added = products_of_rows(vectors[new], vectors)
        gram[new], gram[:, new] = added, added.T
        if cache is not None:
            save_gram(cache, SKETCH, CachedGram(ids, gram, vectors))
    return gram


def layer_grams(paths: list[str], representation: str, layouts: list[Layout]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each layer's name and share of the Gram matrix, (n, n) float64; files are read a few layers at a time."""
    measure = find(representation).gram
    for name, layer in _layers(paths, layouts):
        share = measure(layer, name)
        yield name, (share + share.T) / 2


def _layers(paths: list[str], layouts: list[Layout]) -> Iterator[tuple[str, list[Factors]]]:
    """Yield each layer's name and its factors in all files, which are read a few layers at a time."""
    for names in _groups(layouts, HELD):
        layers: dict[str, list[Factors]] = {name: [] for name in names}
        for path in paths:
            for name, pair in read_lora(path, names).layers.items():
                layers[name].append(pair)
        for name in names:
            yield name, layers.pop(name)


def _groups(layouts: list[Layout], most: int) -> Iterator[list[str]]:
    """Split the layers, in order, into groups whose factors take at most so many bytes: few passes over the files."""
    group, held = [], 0
    for name in layouts[0].shapes:
        size = sum(4 * s.rank * (s.inputs + s.outputs) for s in (layout.shapes[name] for layout in layouts))
        if group and held + size > most:
            yield group
            group, held = [], 0
        group.append(name)
        held += size
    yield group


def write_matrix(path: str | Path, paths: list[str], layouts: list[Layout], representation: str = "factors") -> None:
    """Write the vectors of all LoRAs as a memory-mapped .npy, (n, d) float32.

    factors : A then B of every layer, flattened, layers sorted by name; one LoRA in memory at a time.
    sketch : the sketches of every layer, in the same order; a few layers at a time.
    """
    shapes = layouts[0].shapes
    sketched = representation == SKETCH
    width = SIDE**2 * len(shapes) if sketched else sum(s.rank * (s.inputs + s.outputs) for s in shapes.values())
    with replacing(path) as part:
        matrix = np.lib.format.open_memmap(part, mode="w+", dtype=np.float32, shape=(len(paths), width))
        _reserve(part)
        if sketched:
            for place, (name, layer) in enumerate(_layers(paths, layouts)):
                matrix[:, place * SIDE**2 : (place + 1) * SIDE**2] = sketches(layer, name)
        else:
            for row, source in zip(matrix, paths, strict=True):
                layers = read_lora(source).layers.values()
                np.concatenate([side.ravel() for pair in layers for side in (pair.lora_A, pair.lora_B)], out=row)
        matrix.flush()
        del matrix


def _reserve(path: Path) -> None:
    """Take a file's whole size on the disk: a full disk is an error here, and a crash in a memory-mapped array."""
    if hasattr(os, "posix_fallocate"):  # macOS has none
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
