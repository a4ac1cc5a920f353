"""A short vector of fixed length for any rank: R₁ᵀ ΔW R₂ with random projections that a layer's name decides.

The entries of R₁ (outputs, k) and R₂ (inputs, k) are independent N(0, 1/k). Then the inner product of two sketches has
the mean ⟨ΔW₁, ΔW₂⟩ (Johnson & Lindenstrauss 1984, on both sides), and for two updates of rank one its variance is at
most (4 / k + 4 / k²) ‖ΔW₁‖² ‖ΔW₂‖² a layer; higher ranks and many layers average it down. ΔW is never formed:
R₁ᵀ ΔW R₂ = s (R₁ᵀ B) (A R₂). Sketches of different studies can be compared, which serves search.
"""

from functools import lru_cache

import numpy as np

from egara.loras.files import Factors
from egara.seeds import stream

SIDE = 16  # k: 256 numbers a layer, 40,960 for the 160 linear layers of Stable Diffusion 1.5, whatever the rank


@lru_cache(maxsize=8)
def projections(name: str, outputs: int, inputs: int, side: int = SIDE) -> tuple[np.ndarray, np.ndarray]:
    """R₁ (outputs, side) and R₂ (inputs, side) of a layer, float32, from streams that its name and sizes name."""
    drawn = (
        stream("sketch", place, name, size, side).standard_normal((size, side)) / np.sqrt(side)
        for place, size in (("outputs", outputs), ("inputs", inputs))
    )
    first, second = (values.astype(np.float32) for values in drawn)
    return first, second


def sketches(layer: list[Factors], name: str, side: int = SIDE) -> np.ndarray:
    """Sketches of one layer of n LoRAs: (n, side²) float32."""
    first, second = projections(name, layer[0].lora_B.shape[0], layer[0].lora_A.shape[1], side)
    return np.stack([(lora.scaling * (first.T @ lora.lora_B) @ (lora.lora_A @ second)).ravel() for lora in layer])


def sketch(layer: list[Factors], name: str) -> np.ndarray:
    """Inner products of the sketches; the same for (B M, M⁻¹ A)."""
    rows = sketches(layer, name).astype(np.float64)
    return rows @ rows.T
