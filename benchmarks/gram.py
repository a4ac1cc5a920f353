"""Exact PCA from a streamed Gram matrix against scikit-learn's IncrementalPCA, on one memory-mapped matrix.

Run `PYTHONPATH=workflow python benchmarks/gram.py`; `--rows 330 --columns 800000` is the size of the paper's rank 8.
The matrix has a flat spectrum, as LoRA factors with independent A have. Three roads to 50 components: eigenvectors
of the Gram matrix, IncrementalPCA on the matrix, and IncrementalPCA on the coordinates that the Gram matrix gives.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from egara.maps import exact_pca, incremental_pca
from egara.vectors.geometry import coordinates
from egara.vectors.products import gram_of_columns


def write_noise(path: Path, rows: int, columns: int) -> None:
    """Write a (rows, columns) float32 matrix of noise, row by row."""
    generator = np.random.default_rng(0)
    matrix = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, columns))
    for row in matrix:
        row[:] = generator.standard_normal(columns, dtype=np.float32)
    matrix.flush()


def correlations(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return |r| of each pair of columns."""
    lengths = np.linalg.norm(found, axis=0) * np.linalg.norm(expected, axis=0)
    return np.abs((found * expected).sum(axis=0)) / lengths


def main() -> None:
    """Time the three roads and print how far they agree."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("--rows", type=int, default=330)
    arguments.add_argument("--columns", type=int, default=60_000)
    arguments.add_argument("--components", type=int, default=50)
    arguments.add_argument("--batch", type=int, default=66)
    options = arguments.parse_args()
    seconds, scores = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "matrix.npy")
        write_noise(path, options.rows, options.columns)
        matrix = np.load(path, mmap_mode="r")

        start = time.perf_counter()
        gram = gram_of_columns(matrix)
        seconds["Gram matrix"] = time.perf_counter() - start
        scores["exact"] = exact_pca(gram, False, options.components)[0]
        seconds["Gram matrix and exact PCA"] = time.perf_counter() - start

        import sklearn.decomposition  # noqa: F401 - loading it is not part of the time

        start = time.perf_counter()
        scores["small"] = incremental_pca(coordinates(gram, 0.0)[0], False, options.components, options.batch)[0]
        seconds["Gram matrix and IncrementalPCA on it"] = seconds["Gram matrix"] + time.perf_counter() - start

        start = time.perf_counter()
        scores["rows"] = incremental_pca(matrix, False, options.components, options.batch)[0]
        seconds["IncrementalPCA on the matrix"] = time.perf_counter() - start
    print(f"{options.rows} x {options.columns} float32, {options.components} components, batches of {options.batch}")
    slowest = seconds["IncrementalPCA on the matrix"]
    for name, value in seconds.items():
        print(f"{name:38} {value:8.2f} s   {slowest / value:6.1f} times as fast")
    for name, pair in {
        "IncrementalPCA, both roads": ("small", "rows"),
        "exact and incremental": ("exact", "rows"),
    }.items():
        r = correlations(scores[pair[0]], scores[pair[1]])
        print(f"{name:38} |r| {r[0]:.4f} first, {r[-1]:.4f} last, {r.min():.4f} least")


if __name__ == "__main__":
    main()
