"""How large an update is, without its directions: singular values, and norms as a control.

The singular values of ΔW = s B A are those of s (Bᵀ B)^½ (A Aᵀ)^½, an r x r matrix. They reveal the size of the
training set (Salama et al., DSiRe, arXiv 2406.19395), so sets must be equally large.
"""

import numpy as np

from egara.loras.files import Factors
from egara.weights.sides import root


def singular_values(layer: list[Factors]) -> np.ndarray:
    """Singular values of each LoRA's ΔW, largest first, (n, largest rank) float64; smaller ranks end in zeros."""
    width = max(lora.lora_A.shape[0] for lora in layer)
    found = np.zeros((len(layer), width))
    for rank in {lora.lora_A.shape[0] for lora in layer}:
        rows = [row for row, lora in enumerate(layer) if lora.lora_A.shape[0] == rank]
        downs = np.stack([_squares(layer[row].lora_A) for row in rows])  # (LoRAs, rank, rank)
        ups = np.stack([_squares(layer[row].lora_B.T) for row in rows])
        values = np.linalg.svd(root(ups) @ root(downs), compute_uv=False)
        found[rows, :rank] = values * np.abs([[layer[row].scaling] for row in rows])
    return found


def spectrum(layer: list[Factors]) -> np.ndarray:
    """Inner products of the singular values; the same for (B M, M⁻¹ A) and for any rotation of either side."""
    values = singular_values(layer)
    return values @ values.T


def norms(layer: list[Factors]) -> np.ndarray:
    """Inner products of one number a layer, ‖ΔW‖: a control that cannot know a style, only how far training went."""
    squares = [lora.scaling**2 * np.sum(_squares(lora.lora_B.T) * _squares(lora.lora_A)) for lora in layer]
    lengths = np.sqrt(np.clip(squares, 0, None))
    return np.outer(lengths, lengths)


def _squares(rows: np.ndarray) -> np.ndarray:
    rows = rows.astype(np.float64)
    return rows @ rows.T
