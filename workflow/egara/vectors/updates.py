"""The update ΔW itself: inner products without forming it, exact for any ranks."""

import numpy as np

from egara.loras.formats import Factors
from egara.vectors import products


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
    step = max(1, products.BLOCK // (4 * len(layer) * inputs))
    for row in range(0, outputs, step):
        rows = [lora.scale * lora.up[row : row + step] @ lora.down for lora in layer]
        block = np.stack(rows).reshape(len(layer), -1)  # (n, rows * inputs)
        gram += block @ block.T
    return gram


def delta_by_ranks(layer: list[Factors]) -> np.ndarray:
    """Inner products of the updates, from rank x rank products of the factors."""
    down = np.concatenate([lora.down for lora in layer])  # (all ranks, inputs)
    up = np.concatenate([lora.scale * lora.up.T for lora in layer])  # (all ranks, outputs)

    def block(one: slice, two: slice) -> np.ndarray:
        return (down[one] @ down[two].T) * (up[one] @ up[two].T)

    return products.sum_over_ranks([lora.down.shape[0] for lora in layer], block)
