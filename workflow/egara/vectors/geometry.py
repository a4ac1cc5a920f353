"""Gram matrices as geometry: L2 normalisation and centring need inner products only.

L2 is K ← D^-½ K D^-½ with D = diag(K); centring is K ← H K H with H = I - 1/n.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.errors import EgaraError
from egara.files import read_array, read_tsv

if TYPE_CHECKING:
    import pandas as pd


def read_vectors(gram: str | Path, index: str | Path) -> tuple[np.ndarray, "pd.DataFrame"]:
    """Read a Gram matrix (n, n) and the index of its rows: lora, author, work, set, norm.

    Raises
    ------
    EgaraError : a file is missing or no such file, sizes disagree, a value is not finite, or a LoRA is zero.
    """
    table = read_tsv(index, ["author", "work", "set"], text=["lora", "author", "work", "set"])
    matrix = read_array(gram)
    if matrix.shape != (len(table), len(table)) or not len(table):
        raise EgaraError(f"{gram}: shape {matrix.shape}, but {index} lists {len(table)} LoRAs; expected n x n")
    if not np.isfinite(matrix).all():
        raise EgaraError(f"{gram}: holds values that are not finite numbers")
    if not (np.diag(matrix) > 0).all():
        row = table.iloc[int(np.diag(matrix).argmin())]
        raise EgaraError(f"{gram}: LoRA {row['work']}/{row['set']} is zero; expected a trained one ({index})")
    return matrix.astype(np.float64), table


def normalise(gram: np.ndarray) -> np.ndarray:
    """Give every vector length 1: K ← D^-½ K D^-½."""
    lengths = np.sqrt(np.diag(gram))
    if not (lengths > 0).all():
        row = int(np.argmin(lengths > 0))
        raise EgaraError(f"LoRA {row} (counted from 0 in the index) is zero; it has no direction to normalise")
    return gram / np.outer(lengths, lengths)


def centre(gram: np.ndarray) -> np.ndarray:
    """Subtract the mean vector: K ← H K H."""
    means = gram.mean(axis=0)
    return gram - means[:, None] - means[None, :] + means.mean()


def prepare(gram: np.ndarray, l2: bool) -> np.ndarray:
    """Normalise if `l2`, then centre, as the paper does before PCA (Shimoide & Ito §5.2)."""
    return centre(normalise(gram) if l2 else gram)


def coordinates(gram: np.ndarray, tolerance: float = 1e-7) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (n, rank) whose inner products are `gram`, and its eigenvalues in descending order.

    Eigenvectors times square roots of eigenvalues; of a centred Gram matrix these are the PCA scores. Eigenvalues
    below `tolerance` times the largest are rounding errors of float32 weights and are left out. In each column the
    number of largest size is positive, so that a map does not flip between machines.
    """
    values, vectors = np.linalg.eigh(gram)
    values, vectors = values[::-1], vectors[:, ::-1]
    keep = values > tolerance * max(values[0], 0.0)
    return turn(vectors[:, keep]) * np.sqrt(values[keep]), values[keep]


def turn(columns: np.ndarray) -> np.ndarray:
    """Flip columns so that the number of largest size in each is positive."""
    rows = np.abs(columns).argmax(axis=0)
    signs = np.sign(columns[rows, np.arange(columns.shape[1])])
    return columns * np.where(signs == 0, 1.0, signs)


def read_maps(pairs: list[str], index: "pd.DataFrame | None" = None) -> dict[str, tuple[np.ndarray, "pd.DataFrame"]]:
    """Read maps given as `name=file.tsv`: coordinates (n, k) and author, work, set of each row, by name.

    Raises
    ------
    EgaraError : a pair without `=`, a name twice, a file that is no map, or rows that differ from `index` or
    from the first map.
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
            raise EgaraError(f"{path}: a coordinate is no number; expected numbers in c01, c02, …") from error
        index = table if index is None else index
        if not table[keys].equals(index[keys].astype(table[keys].dtypes)):
            raise EgaraError(f"{path}: its LoRAs are not those of the index, in the same order")
        if not np.isfinite(points).all():
            raise EgaraError(f"{path}: holds values that are not finite numbers")
        maps[name] = (points, table[keys])
    return maps
