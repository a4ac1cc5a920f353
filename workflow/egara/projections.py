"""Map LoRAs to coordinates: exact PCA, IncrementalPCA in batches as published, or UMAP.

All maps can be had from the n x n Gram matrix alone. PCA scores are eigenvectors times square roots of eigenvalues
of the centred matrix. IncrementalPCA only ever combines rows, so it gives the same scores on any coordinates with
the same inner products: on n numbers a LoRA instead of millions. With `--matrix` it runs on the memory-mapped
factors themselves, as the paper did (Shimoide & Ito §5.2), which is slower and gives the same map: the two differ by
the rounding of the factors to float32.
"""

import contextlib

import numpy as np

from egara.io.errors import EgaraError, counted, run
from egara.io.files import read_array
from egara.io.progress import logger, parser
from egara.seeds import derive_seed
from egara.settings import Projections, Settings
from egara.settings.arguments import add_setting
from egara.weights.geometry import all_equal, coordinates, normalise, prepare, read_vectors, turn

LEAST_UMAP = 4  # LoRAs; three points have no neighbourhoods to lay out


def exact_pca(gram: np.ndarray, l2: bool, components: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """PCA of n vectors from their Gram matrix.

    Parameters
    ----------
    gram : (n, n) inner products of the vectors as they are.
    l2 : give each vector length 1 before centring.
    components : wanted; at most n - 1 and the rank of the centred vectors are given. Of vectors that do not differ all
        scores are 0, and no share of the variance is defined.

    Returns
    -------
    Scores (n, k), variance of each component (k,), and its share of the whole variance (k,).
    """
    if all_equal(gram, l2):
        return _one_place(len(gram), components)
    centred = prepare(gram, l2)
    scores, values = coordinates(centred)
    count = min(components, len(gram) - 1, scores.shape[1])
    return scores[:, :count], values[:count] / (len(gram) - 1), values[:count] / np.trace(centred)


def _one_place(loras: int, components: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The map of LoRAs that do not differ."""
    count = max(1, min(components, loras - 1))
    return np.zeros((loras, count)), np.zeros(count), np.full(count, np.nan)


def batches(count: int, size: int, least: int) -> list[slice]:
    """Cut `count` rows into batches of `size`; a last batch below `least` rows joins the one before it."""
    starts = list(range(0, count, size))
    if len(starts) > 1 and count - starts[-1] < least:
        starts.pop()
    return [slice(start, end) for start, end in zip(starts, [*starts[1:], count], strict=True)]


def incremental_pca(
    rows: np.ndarray, l2: bool, components: int, size: int = 66
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """IncrementalPCA of `rows` (n, d), fitted and applied in batches; `rows` may be memory-mapped.

    `size` is raised to the number of components where it is smaller, for a batch must hold as many rows. Rows that are
    zero stay so with `l2`. Returns what `exact_pca` returns.
    """
    from sklearn.decomposition import IncrementalPCA

    count = min(components, len(rows) - 1, rows.shape[1])
    if count < 1:
        return _one_place(len(rows), components)
    model = IncrementalPCA(n_components=count)
    parts = batches(len(rows), max(size, count), count)
    for part in parts:
        model.partial_fit(_batch(rows, part, l2))
    scores = np.concatenate([model.transform(_batch(rows, part, l2)) for part in parts])
    return turn(scores), model.explained_variance_, model.explained_variance_ratio_


def _batch(rows: np.ndarray, part: slice, l2: bool) -> np.ndarray:
    batch = np.array(rows[part])
    if l2:
        lengths = np.linalg.norm(batch.astype(np.float64, copy=False), axis=1, keepdims=True)
        batch /= np.where(lengths > 0, lengths, 1.0).astype(batch.dtype)
    return batch


def umap_coordinates(points: np.ndarray, seed: int, n_neighbors: int = 15, min_dist: float = 0.1) -> np.ndarray:
    """UMAP of `points` (n, k) to two dimensions (n, 2), the same for the same seed; of points that are one, zeros.

    `n_neighbors` is lowered to n - 1. Below five LoRAs, too few for a spectral start, the start is random.
    """
    if len(points) < LEAST_UMAP:
        raise EgaraError(f"{len(points)} LoRAs; a UMAP map needs at least {LEAST_UMAP}")
    if not np.ptp(points, axis=0).any():
        return np.zeros((len(points), 2))
    from umap import UMAP

    _keep_compiled_code()
    model = UMAP(
        n_components=2,
        n_neighbors=max(2, min(n_neighbors, len(points) - 1)),
        min_dist=min_dist,
        init="spectral" if len(points) > 4 and points.shape[1] > 1 else "random",
        random_state=derive_seed(seed, "umap") % 2**32,
        n_jobs=1,
    )
    return model.fit_transform(points)


def _keep_compiled_code() -> None:
    """Let Numba keep UMAP's machine code on disk: compiling takes 17 s in every process, loading half a second."""
    from numba.core.dispatcher import Dispatcher
    from umap import layouts, umap_, utils

    for module in (layouts, umap_, utils):
        for function in vars(module).values():
            if isinstance(function, Dispatcher):
                # Numba finds no writable folder: it compiles again, as without this.
                with contextlib.suppress(RuntimeError):
                    function.enable_caching()


def _load_matrix(path: str, count: int) -> np.ndarray:
    matrix = read_array(path, mapped=True)
    if matrix.ndim != 2 or len(matrix) != count:
        raise EgaraError(f"{path}: shape {matrix.shape}; expected {count} rows, one a LoRA")
    return matrix


def main(argv: list[str] | None = None) -> None:
    """Read a Gram matrix and write one map, and how much variance its components hold."""
    arguments = parser(__doc__)
    arguments.add_argument("--gram", required=True, help="Gram matrix, n x n (.npy)")
    arguments.add_argument("--index", required=True, help="index of its rows (.tsv)")
    arguments.add_argument("--matrix", help="factors, n x d, for IncrementalPCA on the vectors themselves (.npy)")
    arguments.add_argument("--map", required=True, choices=["ipca", "pca", "umap"], help="which map")
    arguments.add_argument("--l2", required=True, choices=["on", "off"], help="give every vector length 1 first")
    for name in ("n_components", "batch_size", "n_neighbors", "min_dist"):
        add_setting(arguments, Projections, name)
    add_setting(arguments, Settings, "seed")
    arguments.add_argument("--output", required=True, help="map to write: author, work, set, c01, c02, … (.tsv)")
    arguments.add_argument("--variance", help="table to write: component, variance, ratio (.tsv); not for UMAP")
    options = arguments.parse_args(argv)
    if options.matrix and options.map != "ipca":
        arguments.error("--matrix goes with --map ipca")
    if options.variance and options.map == "umap":
        arguments.error("--variance does not go with --map umap")

    import pandas as pd

    from egara.io.files import write_tsv

    log = logger("projections")
    l2 = options.l2 == "on"
    gram, index = read_vectors(options.gram, options.index)
    if all_equal(gram, l2):
        log.warning("%d LoRAs that do not differ: all coordinates are 0", len(index))
        points, variance, ratio = _one_place(len(index), options.n_components)
    elif options.map == "ipca":
        if options.matrix:
            rows, normal = _load_matrix(options.matrix, len(index)), l2
        else:
            rows, normal = coordinates(normalise(gram) if l2 else gram, tolerance=0.0)[0], False
        points, variance, ratio = incremental_pca(rows, normal, options.n_components, options.batch_size)
    else:
        points, variance, ratio = exact_pca(gram, l2, options.n_components)
    if points.shape[1] < options.n_components:
        log.info("components: %d, not %d: %d LoRAs", points.shape[1], options.n_components, len(index))
    if options.map == "umap":
        points = umap_coordinates(points, options.seed, options.n_neighbors, options.min_dist)
    names = [f"c{number:02d}" for number in range(1, points.shape[1] + 1)]
    write_tsv(
        options.output, pd.concat([index[["author", "work", "set"]], pd.DataFrame(points, columns=names)], axis=1)
    )
    if options.variance:
        table = pd.DataFrame({"component": range(1, len(variance) + 1), "variance": variance, "ratio": ratio})
        write_tsv(options.variance, table)
    log.info("%s of %s, L2 %s: %s", options.map, counted(len(index), "LoRA"), options.l2, options.output)


if __name__ == "__main__":
    run(main)
