"""LoRA files to a Gram matrix, a few layers at a time."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from egara.loras.files import Factors, Layout, read_lora
from egara.weights.gram_cache import CachedGram, identify, load_gram, save_gram
from egara.weights.products import products_of_rows
from egara.weights.representations import Layer, find

# Bytes of factors of all LoRAs together in memory; at least one layer, however large. Each group of layers opens all
# files once more: with a quarter of it, opening took longer than reading.
FACTOR_BYTES = 768 * 2**20
MIN_GROWTH = 5  # rows are added where at most one LoRA in so many is new: taking old ones in small parts is slower
MIN_OLD = 4  # old LoRAs in memory next to the new ones


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
    float32 products in another order differ by rounding, about 1e-7 of the largest. Of representations with short
    vectors only new files are read, of the others all. Memory: `FACTOR_BYTES`, and the blocks of one layer.
    """
    if find(representation).short and not layered:
        return _gram_of_vectors(paths, representation, layouts, watch, cache)
    if cache is None:
        return _whole_gram(paths, representation, layouts, watch, layered)
    ids, name = [identify(path) for path in paths], f"{representation}.layers" if layered else representation
    known = load_gram(cache, name, ids)
    rows = {} if known is None else {name: row for row, name in enumerate(known.ids)}
    old = [row for row, name in enumerate(ids) if name in rows]
    new = [row for row, name in enumerate(ids) if name not in rows]
    if not old or MIN_GROWTH * len(new) > len(ids):
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
    measure, step, count = find(representation).gram, max(MIN_OLD, len(new)), len(new)
    places = {name: place for place, name in enumerate(layouts[0].shapes)}
    for names in _groups([layouts[row] for row in new], FACTOR_BYTES // 2):
        parts = {name: gram if gram.ndim == 2 else gram[places[name]] for name in names}
        added = [read_lora(paths[row], names).layers for row in new]
        for start in range(0, len(old), step):
            some = old[start : start + step]
            both = [*added, *(read_lora(paths[row], names).layers for row in some)]
            for name in names:
                share = measure(Layer(name, [layers[name] for layers in both]))
                parts[name][np.ix_(new, some)] += share[:count, count:]
        for name in names:
            share = measure(Layer(name, [layers[name] for layers in added]))
            parts[name][np.ix_(new, new)] += (share + share.T) / 2
        watch(len(names))
    gram[..., np.array(old)[:, None], new] = np.swapaxes(gram[..., np.array(new)[:, None], old], -1, -2)


def _gram_of_vectors(
    paths: list[str], representation: str, layouts: list[Layout], watch: Callable[[int], None], cache: Path | None
) -> np.ndarray:
    """Gram matrix of short vectors; LoRAs whose vectors are in the cache are not read again."""
    ids, measure = [identify(path) for path in paths], find(representation).vectors
    known = None if cache is None else load_gram(cache, representation, ids)
    rows = {} if known is None else {name: row for row, name in enumerate(known.ids)}
    new = [row for row, name in enumerate(ids) if name not in rows]
    old = [row for row, name in enumerate(ids) if name in rows]
    gram = np.zeros((len(ids), len(ids)))
    found = [rows[ids[row]] for row in old]
    if old:
        gram[np.ix_(old, old)] = known.gram[np.ix_(found, found)]
    if new:
        parts = []
        for layer in read_layers([paths[row] for row in new], [layouts[row] for row in new]):
            parts.append(measure(layer))
            watch(1)
        added = np.concatenate(parts, axis=1)
        vectors = np.empty((len(ids), added.shape[1]), np.float32)
        vectors[new] = added
        if old:
            vectors[old] = known.vectors[found]
        share = products_of_rows(added, vectors)
        gram[new], gram[:, new] = share, share.T
        if cache is not None:
            save_gram(cache, representation, CachedGram(ids, gram, vectors))
    return gram


def layer_grams(paths: list[str], representation: str, layouts: list[Layout]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each layer's name and share of the Gram matrix, (n, n) float64; files are read a few layers at a time."""
    measure = find(representation).gram
    for layer in read_layers(paths, layouts):
        share = measure(layer)
        yield layer.name, (share + share.T) / 2


def read_layers(paths: list[str], layouts: list[Layout]) -> Iterator[Layer]:
    """Yield each layer of all files, which are read a few layers at a time."""
    for names in _groups(layouts, FACTOR_BYTES):
        layers: dict[str, list[Factors]] = {name: [] for name in names}
        for path in paths:
            for name, pair in read_lora(path, names).layers.items():
                layers[name].append(pair)
        for name in names:
            yield Layer(name, layers.pop(name))


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
