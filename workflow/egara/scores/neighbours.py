"""Nearest neighbours of LoRAs, and how often they share a label."""

import numpy as np


def nearest(distances: np.ndarray, eligible: np.ndarray, count: int = 5) -> np.ndarray:
    """Rows of each LoRA's nearest eligible neighbours, nearest first: (n, count) int, -1 where there are too few."""
    apart = np.where(eligible, distances, np.inf)
    order = apart.argmin(axis=1)[:, None] if count == 1 else np.argsort(apart, axis=1, kind="stable")[:, :count]
    found = np.where(np.take_along_axis(eligible, order, axis=1), order, -1)
    return np.pad(found, ((0, 0), (0, max(0, count - found.shape[1]))), constant_values=-1)


def hits(neighbours: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Whether the nearest `count` neighbours (n, k) include the own label: (…, n) bool for labels (…, n)."""
    rows = neighbours[:, :count]
    return ((labels[..., rows] == labels[..., :, None]) & (rows >= 0)).any(axis=-1)
