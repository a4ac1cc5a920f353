"""Nearest neighbours of LoRAs: how often they share a label, and how often they would by chance."""

import numpy as np


def nearest(distances: np.ndarray, eligible: np.ndarray, count: int = 5) -> np.ndarray:
    """Find the nearest eligible neighbours of each LoRA, nearest first.

    Returns
    -------
    Row numbers of shape (n_loras, count), -1 where there are too few.
    """
    apart = np.where(eligible, distances, np.inf)
    order = apart.argmin(axis=1)[:, None] if count == 1 else np.argsort(apart, axis=1, kind="stable")[:, :count]
    found = np.where(np.take_along_axis(eligible, order, axis=1), order, -1)
    return np.pad(found, ((0, 0), (0, max(0, count - found.shape[1]))), constant_values=-1)


def topk_hits(neighbours: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Tell whether a LoRA's own label is among those of its nearest `count` neighbours.

    Parameters
    ----------
    neighbours : rows of shape (n_loras, k) from `nearest`.
    labels : of shape (…, n_loras), one labelling or many.

    Returns
    -------
    bool of the shape of `labels`.
    """
    rows = neighbours[:, :count]
    return ((labels[..., rows] == labels[..., :, None]) & (rows >= 0)).any(axis=-1)


def expected_topk_accuracy(same: np.ndarray, candidates: np.ndarray, neighbours: int) -> np.ndarray:
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
