"""Chance levels: the value of each score when labels have nothing to do with LoRAs. Arithmetic, not opinion."""

import numpy as np


def chance_of_hit(same: np.ndarray, candidates: np.ndarray, neighbours: int) -> np.ndarray:
    """Chance that `neighbours` drawn from `candidates` without replacement include one of `same` (hypergeometric).

    1 - C(candidates - same, neighbours) / C(candidates, neighbours), elementwise. Where there are fewer candidates
    than neighbours all are drawn.

    Examples
    --------
    330 LoRAs, 90 of one author and 240 of the other (Shimoide & Ito, table 4): 0.602 for one neighbour, 0.943 for
    five, although no LoRA need know anything of its author.
    """
    same, candidates = np.asarray(same, dtype=float), np.asarray(candidates, dtype=float)
    missed = np.ones(np.broadcast(same, candidates).shape)
    for drawn in range(neighbours):
        left = candidates - drawn
        missed *= np.where(left > 0, np.clip(left - same, 0, None) / np.maximum(left, 1), 1.0)
    return 1.0 - missed


def noise_distance(count: int) -> float:
    """Mean cosine distance of `count` vectors of one length after centring: 1 + 1 / (count - 1), whatever they are.

    They sum to zero, so the cosines over all ordered pairs sum to -count. The published means of 1.0029 to 1.0030
    are this number for 330.
    """
    return 1.0 + 1.0 / (count - 1)
