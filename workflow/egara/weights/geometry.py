"""Gram matrices as geometry: L2 normalisation and centring need inner products only.

L2 is K ← D^-½ K D^-½ with D = diag(K); centring is K ← H K H with H = I - 1/n. A LoRA that is zero has no direction:
L2 leaves it at zero, as scikit-learn's `normalize` does.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.io.arrays import read_array
from egara.io.errors import EgaraError
from egara.io.tables import read_tsv

if TYPE_CHECKING:
    import pandas as pd

EQUAL = 1e-14  # of the mean squared norm: rounding errors of float32 weights and float64 sums


def read_vectors(gram: str | Path, index: str | Path) -> tuple[np.ndarray, "pd.DataFrame"]:
    """Read a Gram matrix (n, n) and the index of its rows: lora, author, work, set, norm.

    Raises
    ------
    EgaraError : a file is missing or of another kind, sizes disagree, a value is not finite, or a square is negative.
    """
    table = read_tsv(index, ["author", "work", "set"], text=["lora", "author", "work", "set"])
    matrix = read_array(gram)
    if matrix.shape != (len(table), len(table)) or not len(table):
        raise EgaraError(f"{gram}: shape {matrix.shape}, but {index} lists {len(table)} LoRAs; expected n x n")
    if not np.isfinite(matrix).all():
        raise EgaraError(f"{gram}: contains values that are not finite numbers")
    squares = np.diag(matrix)
    if squares.min() < 0:
        row = table.iloc[int(squares.argmin())]
        raise EgaraError(f"{gram}: LoRA {row['work']}/{row['set']} has a negative square; expected inner products")
    if (zero := np.flatnonzero(squares == 0)).size:
        row = table.iloc[int(zero[0])]
        logging.getLogger("egara.weights").warning(
            "%s: %d of %d LoRAs are zero, the first %s/%s; they have no direction and stay at zero with L2",
            gram, len(zero), len(table), row["work"], row["set"],
        )  # fmt: skip
    return matrix.astype(np.float64), table


def normalise(gram: np.ndarray) -> np.ndarray:
    """Scale each vector to unit norm, K ← D^-½ K D^-½; zero vectors stay zero."""
    scales = _inverse_lengths(gram)
    return gram * np.outer(scales, scales)


def _inverse_lengths(gram: np.ndarray) -> np.ndarray:
    lengths = np.sqrt(np.diag(gram))
    return np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)


def all_equal(gram: np.ndarray, l2: bool) -> bool:
    """Tell whether vectors with inner products (n, n) are equal up to rounding, after L2 where it is on."""
    scales = _inverse_lengths(gram) if l2 else np.ones(len(gram))
    squares, means = np.diag(gram) * scales**2, scales * (gram @ scales) / len(gram)
    return bool((squares - 2 * means + means.mean()).max() <= EQUAL * squares.mean())


def centre(gram: np.ndarray) -> np.ndarray:
    """Subtract the mean vector: K ← H K H."""
    means = gram.mean(axis=0)
    return gram - means[:, None] - means[None, :] + means.mean()


def normalise_and_center(gram: np.ndarray, l2: bool) -> np.ndarray:
    """Normalise if `l2`, then centre, as the paper does before PCA (Shimoide & Ito §5.2).

    Equal vectors give zeros, not the rounding errors of centring.
    """
    if all_equal(gram, l2):
        return np.zeros_like(gram)
    return centre(normalise(gram) if l2 else gram)


def classical_mds(gram: np.ndarray, tolerance: float = 1e-7) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (n, rank) whose inner products are `gram`, and its eigenvalues in descending order (Torgerson 1952).

    Eigenvectors times square roots of eigenvalues; of a centred Gram matrix these are the PCA scores. Eigenvalues
    below `tolerance` times the largest are rounding errors of float32 weights and are left out. In each column the
    number of largest size is positive, so that a projection does not flip between machines.
    """
    from sklearn.utils.extmath import svd_flip

    values, vectors = np.linalg.eigh(gram)
    values, vectors = values[::-1], vectors[:, ::-1]
    keep = values > tolerance * max(values[0], 0.0)
    return svd_flip(vectors[:, keep], None)[0] * np.sqrt(values[keep]), values[keep]


def read_maps(pairs: list[str], index: "pd.DataFrame | None" = None) -> dict[str, tuple[np.ndarray, "pd.DataFrame"]]:
    """Read projections given as `name=file.tsv`: coordinates (n, k) and author, work, set of each row, by name.

    Raises
    ------
    EgaraError : a pair without `=`, a name twice, a file that is not a projection, or rows that differ from `index` or
    from the first projection.
    """
    maps: dict[str, tuple[np.ndarray, pd.DataFrame]] = {}
    keys = ["author", "work", "set"]
    for pair in pairs:
        name, equals, path = pair.partition("=")
        if not (name and equals and path) or name in maps:
            raise EgaraError(f"map {pair!r}: expected NAME=FILE, each name once")
        table = read_tsv(path, [*keys, "c01"], text=keys)
        columns = [c for c in table.columns if c[0] == "c" and c[1:].isdigit()]
        try:
            points = table[columns].to_numpy(dtype=np.float64)
        except ValueError as error:
            raise EgaraError(f"{path}: a coordinate is not a number; expected numbers in c01, c02, …") from error
        index = table if index is None else index
        if not table[keys].equals(index[keys].astype(table[keys].dtypes)):
            raise EgaraError(f"{path}: its LoRAs are not those of the index, in the same order")
        if not np.isfinite(points).all():
            raise EgaraError(f"{path}: contains values that are not finite numbers")
        maps[name] = (points, table[keys])
    return maps
