"""One side of the update: what it writes (ΔW ΔWᵀ), what it reads (ΔWᵀ ΔW), and the space in which it writes.

With C = s B (A Aᵀ)^½ there is ΔW ΔWᵀ = C Cᵀ, so ⟨ΔW₁ ΔW₁ᵀ, ΔW₂ ΔW₂ᵀ⟩ = ‖C₁ᵀ C₂‖²: rank x rank products only, and none
of them depends on the random A. Values are fourth powers of weights; layers of large updates weigh far more than in ΔW,
which layer-by-layer normalisation evens out.
"""

import numpy as np

from egara.loras.files import Factors
from egara.weights.products import squared_products

# Directions whose share of the largest one's squared length is smaller are rounding errors of float32 factors.
NOTHING = 1e-10


def output(layer: list[Factors]) -> np.ndarray:
    """Inner products of ΔW ΔWᵀ; the same for (B M, M⁻¹ A), and for any rotation of the inputs."""
    return squared_products([written(lora).T for lora in layer])


def input_side(layer: list[Factors]) -> np.ndarray:
    """Inner products of ΔWᵀ ΔW; the same for (B M, M⁻¹ A), and for any rotation of the outputs."""
    return squared_products([read(lora).T for lora in layer])


def subspace(layer: list[Factors]) -> np.ndarray:
    """Inner products of the projectors on the column spaces of ΔW, ‖U₁ᵀ U₂‖² = Σ cos² of the principal angles.

    Sees neither the size of an update nor its singular values; the same for (B M, M⁻¹ A). A LoRA's own product is the
    dimension of its space.
    """
    return squared_products([column_space(lora).T for lora in layer])


def written(lora: Factors) -> np.ndarray:
    """C = s B (A Aᵀ)^½, (outputs, rank) float64: ΔW ΔWᵀ = C Cᵀ."""
    down = lora.lora_A.astype(np.float64)
    return lora.scaling * lora.lora_B.astype(np.float64) @ root(down @ down.T)


def read(lora: Factors) -> np.ndarray:
    """C = s Aᵀ (Bᵀ B)^½, (inputs, rank) float64: ΔWᵀ ΔW = C Cᵀ."""
    up = lora.lora_B.astype(np.float64)
    return lora.scaling * lora.lora_A.astype(np.float64).T @ root(up.T @ up)


def column_space(lora: Factors) -> np.ndarray:
    """Orthonormal columns (outputs, rank) that span the columns of ΔW; columns beyond its dimension are zero."""
    columns = written(lora)
    values, vectors = np.linalg.eigh(columns.T @ columns)
    kept = values > NOTHING * max(values[-1], 0.0)
    scale = np.where(kept, 1 / np.sqrt(np.where(kept, values, 1.0)), 0.0)
    return columns @ (vectors * scale)


def root(gram: np.ndarray) -> np.ndarray:
    """Symmetric square root of positive semidefinite matrices (…, r, r)."""
    values, vectors = np.linalg.eigh(gram)
    return (vectors * np.sqrt(np.clip(values, 0, None))[..., None, :]) @ np.swapaxes(vectors, -1, -2)
