"""How a LoRA becomes a point: each representation is one function from a layer to its share of the Gram matrix.

A representation gets one layer of all LoRAs, `list[Factors]` of length n, and returns the n x n inner products that
this layer adds. A LoRA's vector is the concatenation over layers, so the Gram matrix is the sum over layers. A new
representation is one such function and one entry in `REPRESENTATIONS`.
"""

from collections.abc import Callable

import numpy as np

from egara.loras.formats import Factors

# Bytes that a block of intermediate products may take: cache-friendly, and far below 1 GB at 330 LoRAs of rank 32.
BLOCK = 96 * 2**20


def factors(layer: list[Factors]) -> np.ndarray:
    """Inner products of A and B, flattened and concatenated (Shimoide & Ito §5.2; Liu et al., arXiv 2412.12048).

    The scale takes no part, as in the papers. All LoRAs must have one rank.
    """
    down = np.stack([lora.down.ravel() for lora in layer])  # (n, rank * inputs)
    up = np.stack([lora.up.ravel() for lora in layer])  # (n, outputs * rank)
    return gram_of_columns(down) + gram_of_columns(up)


def delta(layer: list[Factors]) -> np.ndarray:
    """Inner products of the updates ΔW = scale · B A, whatever the ranks; equal for (B M, M⁻¹ A) and (B, A).

    ⟨ΔW₁, ΔW₂⟩ = s₁ s₂ Σ (B₁ᵀ B₂) ∘ (A₁ A₂ᵀ) needs rank x rank products only. Where the layer is small beside the
    rank, forming ΔW a few rows at a time is less work; both ways are exact, and the cheaper one is taken.
    """
    inputs, outputs = layer[0].down.shape[1], layer[0].up.shape[0]
    rank = np.mean([lora.down.shape[0] for lora in layer])
    if inputs * outputs <= rank**2 * (inputs + outputs):
        return delta_by_rows(layer)
    return delta_by_ranks(layer)


def delta_by_rows(layer: list[Factors]) -> np.ndarray:
    """Inner products of the updates, from blocks of rows of ΔW."""
    inputs, outputs = layer[0].down.shape[1], layer[0].up.shape[0]
    gram = np.zeros((len(layer), len(layer)))
    step = max(1, BLOCK // (4 * len(layer) * inputs))
    for row in range(0, outputs, step):
        rows = [lora.scale * lora.up[row : row + step] @ lora.down for lora in layer]
        block = np.stack(rows).reshape(len(layer), -1)  # (n, rows * inputs)
        gram += block @ block.T
    return gram


def delta_by_ranks(layer: list[Factors]) -> np.ndarray:
    """Inner products of the updates, from rank x rank products of the factors."""
    ends = np.cumsum([lora.down.shape[0] for lora in layer])
    starts = np.concatenate([[0], ends[:-1]])
    down = np.concatenate([lora.down for lora in layer])  # (all ranks, inputs)
    up = np.concatenate([lora.scale * lora.up.T for lora in layer])  # (all ranks, outputs)
    gram = np.zeros((len(layer), len(layer)))
    step = max(1, int(BLOCK * len(layer) // (16 * ends[-1] ** 2)))
    for first in range(0, len(layer), step):
        last = min(first + step, len(layer))
        top, bottom = starts[first], ends[last - 1]
        # Columns left of the block are known by symmetry.
        products = (down[top:bottom] @ down[top:].T) * (up[top:bottom] @ up[top:].T)
        sums = np.add.reduceat(products, starts[first:last] - top, axis=0)
        sums = np.add.reduceat(sums, starts[first:] - top, axis=1, dtype=np.float64)
        gram[first:last, first:] = sums
        gram[first:, first:last] = sums.T
    return gram


def gram_of_columns(matrix: np.ndarray) -> np.ndarray:
    """Gram matrix of the rows of `matrix` (n, d), summed in float64 over blocks of columns.

    `matrix` may be memory-mapped: one block at a time is in memory. Float64 matters with a shared A, where a large
    common part cancels when the vectors are centred.
    """
    count, width = matrix.shape
    gram = np.zeros((count, count))
    step = max(1, BLOCK // (8 * count))
    for start in range(0, width, step):
        block = np.asarray(matrix[:, start : start + step], dtype=np.float64)
        gram += block @ block.T
    return gram


REPRESENTATIONS: dict[str, Callable[[list[Factors]], np.ndarray]] = {"factors": factors, "delta": delta}
