"""The update ΔW itself: inner products without forming it, exact for any ranks."""

import numpy as np

from egara.loras.files import Factors
from egara.weights import products

# Bytes of a block of rows of ΔW of all LoRAs: written once and read at once.
NEAR = 24 * 2**20
# Time of an operation by rows, which writes all of ΔW once, against one by ranks (measured, layers of 320 to 1280).
ROWS = 1.75


def delta(layer: list[Factors]) -> np.ndarray:
    """Inner products of the updates ΔW = scale · B A, whatever the ranks; equal for (B M, M⁻¹ A) and (B, A).

    ⟨ΔW₁, ΔW₂⟩ = s₁ s₂ Σ (B₁ᵀ B₂) ∘ (A₁ A₂ᵀ) needs rank x rank products only. Where the layer is small beside the
    rank, forming ΔW a few rows at a time is less work; both ways are exact, and the cheaper one is taken.
    """
    inputs, outputs = layer[0].lora_A.shape[1], layer[0].lora_B.shape[0]
    count, rank = len(layer), np.mean([lora.lora_A.shape[0] for lora in layer])
    by_rows = ROWS * (count**2 + 2 * count * rank) * inputs * outputs  # products, and ΔW itself
    if by_rows <= (count * rank) ** 2 * (inputs + outputs):
        return delta_by_rows(layer)
    return delta_by_ranks(layer)


def delta_by_rows(layer: list[Factors]) -> np.ndarray:
    """Inner products of the updates, from blocks of rows of ΔW that stay near the processor.

    Lower ranks are filled up with zeros, so that one batched product makes a block for all LoRAs.
    """
    inputs, outputs = layer[0].lora_A.shape[1], layer[0].lora_B.shape[0]
    count, rank = len(layer), max(lora.lora_A.shape[0] for lora in layer)
    down, up = np.zeros((count, rank, inputs), np.float32), np.zeros((count, outputs, rank), np.float32)
    for place, lora in enumerate(layer):
        own = lora.lora_A.shape[0]
        down[place, :own] = lora.lora_A
        np.multiply(lora.lora_B, lora.scaling, out=up[place, :, :own], casting="same_kind")
    gram = np.zeros((count, count))
    step = max(1, NEAR // (4 * count * inputs))
    block = np.empty((count, min(step, outputs), inputs), np.float32)
    for row in range(0, outputs, step):
        rows = min(step, outputs - row)
        part = block if rows == block.shape[1] else block[:, :rows].copy()
        np.matmul(up[:, row : row + rows], down, out=part)
        flat = part.reshape(count, -1)  # (n, rows * inputs)
        gram += flat @ flat.T
    return gram


def delta_by_ranks(layer: list[Factors]) -> np.ndarray:
    """Inner products of the updates, from rank x rank products of the factors."""
    down = np.concatenate([lora.lora_A for lora in layer])  # (all ranks, inputs)
    up = np.concatenate([lora.scaling * lora.lora_B.T for lora in layer])  # (all ranks, outputs)

    def block(one: slice, two: slice) -> np.ndarray:
        return (down[one] @ down[two].T) * (up[one] @ up[two].T)

    return products.sum_over_ranks([lora.lora_A.shape[0] for lora in layer], block)
