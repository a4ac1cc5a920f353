"""Project LoRAs: exact PCA, IncrementalPCA as published, or UMAP.

All projections follow from the n x n Gram matrix alone. PCA scores are eigenvectors times square roots of eigenvalues
of the centred matrix. IncrementalPCA only combines rows, so it gives the same scores on any coordinates with the same
inner products: on n numbers per LoRA instead of millions. With `--matrix` it runs on the memory-mapped vectors
themselves, as the paper did (Shimoide & Ito §5.2), which is slower; the two differ by rounding to float32.
"""

import contextlib

import numpy as np

from egara.io.arrays import read_array
from egara.io.errors import EgaraError, counted
from egara.io.progress import logger, parser
from egara.seeds import derive_seed
from egara.settings import Projections, Settings
from egara.settings.arguments import add_setting
from egara.vocabulary import L2, PROJECTIONS
from egara.weights.geometry import all_equal, classical_mds, normalise, normalise_and_center, read_vectors

LEAST_UMAP = 4  # LoRAs; three points have no neighbourhoods to lay out


def exact_pca(gram: np.ndarray, l2: bool, components: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """PCA of n vectors from their Gram matrix.

    Parameters
    ----------
    gram : (n, n) inner products of the vectors as they are.
    l2 : scale each vector to unit norm before centring.
    components : wanted; at most n - 1 and the rank of the centred vectors are given. Of vectors that do not differ all
        scores are 0, and no share of the variance is defined.

    Returns
    -------
    Scores (n, k), variance of each component (k,), and its share of the whole variance (k,).
    """
    if all_equal(gram, l2):
        return _one_place(len(gram), components)
    centred = normalise_and_center(gram, l2)
    scores, values = classical_mds(centred)
    count = min(components, len(gram) - 1, scores.shape[1])
    return scores[:, :count], values[:count] / (len(gram) - 1), values[:count] / np.trace(centred)


def _one_place(loras: int, components: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The projection of LoRAs that do not differ."""
    count = max(1, min(components, loras - 1))
    return np.zeros((loras, count)), np.zeros(count), np.full(count, np.nan)


def incremental_pca(
    rows: np.ndarray, l2: bool, components: int, size: int = 66
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """IncrementalPCA of `rows` (n, d), fitted and applied in batches; `rows` may be memory-mapped.

    `size` is raised to the number of components where it is smaller, for a batch must hold as many rows. Rows that are
    zero stay so with `l2`. Returns what `exact_pca` returns.
    """
    from sklearn.decomposition import IncrementalPCA
    from sklearn.utils import gen_batches
    from sklearn.utils.extmath import svd_flip

    count = min(components, len(rows) - 1, rows.shape[1])
    if count < 1:
        return _one_place(len(rows), components)
    model = IncrementalPCA(n_components=count)
    # A last batch of fewer rows than components joins the one before.
    parts = list(gen_batches(len(rows), max(size, count), min_batch_size=count))
    for part in parts:
        model.partial_fit(_batch(rows, part, l2))
    scores = np.concatenate([model.transform(_batch(rows, part, l2)) for part in parts])
    return svd_flip(scores, None)[0], model.explained_variance_, model.explained_variance_ratio_


def _batch(rows: np.ndarray, part: slice, l2: bool) -> np.ndarray:
    batch = np.array(rows[part])
    if l2:
        lengths = np.linalg.norm(batch.astype(np.float64, copy=False), axis=1, keepdims=True)
        batch /= np.where(lengths > 0, lengths, 1.0).astype(batch.dtype)
    return batch


def umap_coordinates(points: np.ndarray, seed: int, n_neighbors: int = 15, min_dist: float = 0.1) -> np.ndarray:
    """UMAP of `points` (n, k) to two dimensions (n, 2), the same for the same seed; zeros if all points are equal.

    `n_neighbors` is lowered to n - 1. Below five LoRAs, too few for a spectral start, the start is random.
    """
    if len(points) < LEAST_UMAP:
        raise EgaraError(f"{len(points)} LoRAs; UMAP needs at least {LEAST_UMAP}")
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
    """Let Numba cache UMAP's machine code on disk: compiling takes 17 s in every process, loading half a second."""
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
        raise EgaraError(f"{path}: shape {matrix.shape}; expected {count} rows, one per LoRA")
    return matrix


def main(argv: list[str] | None = None) -> None:
    """Read a Gram matrix and write one projection, and how much variance its components explain."""
    arguments = parser(__doc__)
    arguments.add_argument("--gram", required=True, help="Gram matrix, n x n (.npy)")
    arguments.add_argument("--index", required=True, help="index of its rows (.tsv)")
    arguments.add_argument("--matrix", help="factors, n x d, for IncrementalPCA on the vectors themselves (.npy)")
    arguments.add_argument("--map", required=True, choices=[*PROJECTIONS], help="which projection")
    arguments.add_argument("--l2", required=True, choices=list(L2), help="scale each vector to unit norm first")
    for name in ("n_components", "batch_size", "n_neighbors", "min_dist"):
        add_setting(arguments, Projections, name)
    add_setting(arguments, Settings, "seed")
    arguments.add_argument("--output", required=True, help="projection to write: author, work, set, c01, c02, … (.tsv)")
    arguments.add_argument("--variance", help="table to write: component, variance, ratio (.tsv)")
    options = arguments.parse_args(argv)
    if options.matrix and options.map != "ipca":
        arguments.error("--matrix goes with --map ipca")

    import pandas as pd

    from egara.io.tables import write_tsv

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
            rows, normal = classical_mds(normalise(gram) if l2 else gram, tolerance=0.0)[0], False
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
