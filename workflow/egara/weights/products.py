"""Inner products of many LoRAs at once, in blocks: of flat vectors, and summed over all pairs of ranks."""

from collections.abc import Callable

import numpy as np

# Bytes that a block of intermediate products may take: cache-friendly, and far below 1 GB at 330 LoRAs of rank 32.
BLOCK = 96 * 2**20


def gram_of_columns(matrix: np.ndarray) -> np.ndarray:
    """Gram matrix of the rows of `matrix` (n, d) float32, in blocks of columns that are summed in float64.

    `matrix` may be memory-mapped: one block at a time is in memory. Rows are taken relative to the first one, r: with
    y = x - r, ⟨x, x'⟩ = ⟨y, y'⟩ + ⟨y, r⟩ + ⟨y', r⟩ + ⟨r, r⟩. Where all rows share a large part, as with one A for all
    LoRAs, float32 products of y keep the digits that products of x would lose, and what rounding the rest brings
    depends on one row only, which centring takes away. Less than half the time of float64 throughout.
    """
    count, width = matrix.shape
    gram = np.zeros((count, count))
    step = max(1, BLOCK // (16 * count))  # memory that was just written is still near the processor
    for start in range(0, width, step):
        block = np.array(matrix[:, start : start + step], dtype=np.float32)
        first = block[0].copy()
        block -= first
        along = (block @ first).astype(np.float64)
        gram += block @ block.T
        gram += along[:, None] + along[None, :] + np.dot(first, first.astype(np.float64))
    return gram


def products_of_rows(some: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Inner products of `some` rows (k, d) with all `rows` (n, d), float32 summed in float64 blocks: (k, n) float64."""
    found = np.zeros((len(some), len(rows)))
    step = max(1, BLOCK // (8 * max(len(some) + len(rows), 1)))
    for start in range(0, rows.shape[1], step):
        part = slice(start, start + step)
        found += some[:, part].astype(np.float64) @ rows[:, part].astype(np.float64).T
    return found


def sum_over_ranks(ranks: list[int], products: Callable[[slice, slice], np.ndarray]) -> np.ndarray:
    """Sum a symmetric matrix of all ranks of all LoRAs to one number a pair of LoRAs: (n, n) float64.

    Parameters
    ----------
    ranks : rows of each LoRA in the large matrix.
    products : gives the large matrix's block of these rows and columns, float32.
    """
    count, ends = len(ranks), np.cumsum(ranks)
    starts = np.concatenate([[0], ends[:-1]])
    gram = np.zeros((count, count))
    step = max(1, int(BLOCK * count // (16 * ends[-1] ** 2)))
    for first in range(0, count, step):
        last = min(first + step, count)
        top, bottom = starts[first], ends[last - 1]
        # Columns left of the block are known by symmetry.
        block = products(slice(top, bottom), slice(top, None))
        sums = np.add.reduceat(block, starts[first:last] - top, axis=0)
        sums = np.add.reduceat(sums, starts[first:] - top, axis=1, dtype=np.float64)
        gram[first:last, first:] = sums
        gram[first:, first:last] = sums.T
    return gram


def squared_products(sides: list[np.ndarray]) -> np.ndarray:
    """Sum of squared inner products of the rows of two LoRAs, ‖S₁ S₂ᵀ‖² for sides (ranks, d): (n, n) float64."""
    rows = np.concatenate(sides).astype(np.float32)
    return sum_over_ranks([len(side) for side in sides], lambda one, two: np.square(rows[one] @ rows[two].T))
