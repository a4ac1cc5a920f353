"""The algebra behind `egara.weights.representations`: exact products of many LoRAs at once, in blocks.

ΔW = s B A is never formed as a whole: what is needed of it follows from A, B and rank x rank products.
"""

from collections.abc import Callable

import numpy as np

from egara.loras.files import Factors

# Bytes that a block of intermediate products may take: cache-friendly, and far below 1 GB at 330 LoRAs of rank 32.
BLOCK = 96 * 2**20
# Bytes of a block of rows of ΔW of all LoRAs: small enough to be read again from the processor's cache.
ROW_BLOCK = 24 * 2**20
# Time per operation by rows, which writes all of ΔW once, relative to one by ranks (measured, layers of 320 to 1280).
ROW_COST = 1.75
# Singular directions whose squared length is a smaller share of the largest are rounding errors of float32 factors.
RANK_TOLERANCE = 1e-10


def gram_of_columns(matrix: np.ndarray) -> np.ndarray:
    """Gram matrix of the rows of `matrix`, of shape (n, d) float32, in blocks of columns that are summed in float64.

    `matrix` may be memory-mapped: one block at a time is in memory. Rows are taken relative to the first one, r: with
    y = x - r, ⟨x, x'⟩ = ⟨y, y'⟩ + ⟨y, r⟩ + ⟨y', r⟩ + ⟨r, r⟩. Where all rows share a large part, as with one A for all
    LoRAs, float32 products of y keep the digits that products of x would lose, and the rounding of the rest depends on
    one row only, which centring takes away. Less than half the time of float64 throughout.
    """
    count, width = matrix.shape
    gram = np.zeros((count, count))
    step = max(1, BLOCK // (16 * count))  # a block that was just written is still in the processor's cache
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
    """Sum a symmetric matrix of all ranks of all LoRAs to one number per pair of LoRAs: (n, n) float64.

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
        # Columns left of the block follow by symmetry.
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


def rows_are_cheaper(loras: list[Factors]) -> bool:
    """Tell whether `delta_by_rows` takes less work than `delta_by_ranks`: small layers, many ranks."""
    inputs, outputs = loras[0].lora_A.shape[1], loras[0].lora_B.shape[0]
    count, rank = len(loras), np.mean([lora.lora_A.shape[0] for lora in loras])
    by_rows = ROW_COST * (count**2 + 2 * count * rank) * inputs * outputs  # products, and ΔW itself
    return by_rows <= (count * rank) ** 2 * (inputs + outputs)


def delta_by_rows(loras: list[Factors]) -> np.ndarray:
    """Inner products of the updates, (n, n) float64, from blocks of rows of ΔW that fit the processor's cache.

    Lower ranks are padded with zeros, so that one batched product makes a block for all LoRAs.
    """
    inputs, outputs = loras[0].lora_A.shape[1], loras[0].lora_B.shape[0]
    count, rank = len(loras), max(lora.lora_A.shape[0] for lora in loras)
    lora_A, lora_B = np.zeros((count, rank, inputs), np.float32), np.zeros((count, outputs, rank), np.float32)
    for place, lora in enumerate(loras):
        own = lora.lora_A.shape[0]
        lora_A[place, :own] = lora.lora_A
        np.multiply(lora.lora_B, lora.scaling, out=lora_B[place, :, :own], casting="same_kind")
    gram = np.zeros((count, count))
    step = max(1, ROW_BLOCK // (4 * count * inputs))
    block = np.empty((count, min(step, outputs), inputs), np.float32)
    for row in range(0, outputs, step):
        rows = min(step, outputs - row)
        part = block if rows == block.shape[1] else block[:, :rows].copy()
        np.matmul(lora_B[:, row : row + rows], lora_A, out=part)
        flat = part.reshape(count, -1)  # (n, rows * inputs)
        gram += flat @ flat.T
    return gram


def delta_by_ranks(loras: list[Factors]) -> np.ndarray:
    """Inner products of the updates, (n, n) float64, from rank x rank products of the factors."""
    lora_A = np.concatenate([lora.lora_A for lora in loras])  # (all ranks, inputs)
    lora_B = np.concatenate([lora.scaling * lora.lora_B.T for lora in loras])  # (all ranks, outputs)

    def block(one: slice, two: slice) -> np.ndarray:
        return (lora_A[one] @ lora_A[two].T) * (lora_B[one] @ lora_B[two].T)

    return sum_over_ranks([lora.lora_A.shape[0] for lora in loras], block)


def outer_side(lora: Factors) -> np.ndarray:
    """C = s B (A Aᵀ)^½, of shape (outputs, rank) float64: ΔW ΔWᵀ = C Cᵀ."""
    return lora.scaling * lora.lora_B.astype(np.float64) @ root(_squares(lora.lora_A))


def inner_side(lora: Factors) -> np.ndarray:
    """C = s Aᵀ (Bᵀ B)^½, of shape (inputs, rank) float64: ΔWᵀ ΔW = C Cᵀ."""
    return lora.scaling * lora.lora_A.astype(np.float64).T @ root(_squares(lora.lora_B.T))


def column_space(lora: Factors) -> np.ndarray:
    """Orthonormal columns, of shape (outputs, rank), that span the columns of ΔW; surplus columns are zero."""
    columns = outer_side(lora)
    values, vectors = np.linalg.eigh(columns.T @ columns)
    kept = values > RANK_TOLERANCE * max(values[-1], 0.0)
    scale = np.where(kept, 1 / np.sqrt(np.where(kept, values, 1.0)), 0.0)
    return columns @ (vectors * scale)


def singular_values(loras: list[Factors]) -> np.ndarray:
    """Singular values of each ΔW, largest first, of shape (n, largest rank) float64; smaller ranks end in zeros.

    Those of ΔW = s B A are those of s (Bᵀ B)^½ (A Aᵀ)^½, a rank x rank matrix.
    """
    width = max(lora.lora_A.shape[0] for lora in loras)
    found = np.zeros((len(loras), width))
    for rank in {lora.lora_A.shape[0] for lora in loras}:
        rows = [row for row, lora in enumerate(loras) if lora.lora_A.shape[0] == rank]
        of_A = np.stack([_squares(loras[row].lora_A) for row in rows])  # (LoRAs, rank, rank)
        of_B = np.stack([_squares(loras[row].lora_B.T) for row in rows])
        values = np.linalg.svd(root(of_B) @ root(of_A), compute_uv=False)
        found[rows, :rank] = values * np.abs([[loras[row].scaling] for row in rows])
    return found


def squared_norm(lora: Factors) -> float:
    """‖ΔW‖² = s² Σ (Bᵀ B) ∘ (A Aᵀ)."""
    return lora.scaling**2 * np.sum(_squares(lora.lora_B.T) * _squares(lora.lora_A))


def root(gram: np.ndarray) -> np.ndarray:
    """Symmetric square root of positive semidefinite matrices, of shape (…, r, r)."""
    values, vectors = np.linalg.eigh(gram)
    return (vectors * np.sqrt(np.clip(values, 0, None))[..., None, :]) @ np.swapaxes(vectors, -1, -2)


def _squares(rows: np.ndarray) -> np.ndarray:
    rows = rows.astype(np.float64)
    return rows @ rows.T
