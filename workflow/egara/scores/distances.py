"""Cosine distances of LoRAs and their means within and between labels."""

import logging
from typing import NamedTuple

import numpy as np

from egara.io.errors import EgaraError
from egara.weights.geometry import EQUAL


class NoDirections(EgaraError):
    """The LoRAs do not differ, so that no distance between them is defined."""

    def __init__(self) -> None:
        super().__init__("the LoRAs do not differ")


def cosine_distances(gram: np.ndarray) -> np.ndarray:
    """Cosine distances (n, n), 1 - cosine, from inner products (n, n); 0 on the diagonal.

    A vector that is zero (a LoRA at the mean of all) has no direction; as in scikit-learn it is at distance 1 from all.

    Raises
    ------
    NoDirections : all vectors are zero.
    """
    squares = np.diag(gram)
    directed = squares > EQUAL * max(squares.max(), 0.0)
    if not directed.any():
        raise NoDirections
    if not directed.all():
        logging.getLogger("egara.scores").warning(
            "%d of %d LoRAs lie at the mean of all, the first is number %d of the index; at distance 1 from all others",
            np.count_nonzero(~directed), len(squares), int(directed.argmin()) + 1,
        )  # fmt: skip
    scales = np.divide(1.0, np.sqrt(np.abs(squares)), out=np.zeros(len(squares)), where=directed)
    distances = 1.0 - np.clip(gram * np.outer(scales, scales), -1.0, 1.0)
    np.fill_diagonal(distances, 0.0)
    return distances


class Pairs(NamedTuple):
    """Sums of distances and numbers of ordered pairs, (…, works): work w against LoRAs of its label or of others."""

    intra: np.ndarray
    intra_count: np.ndarray
    inter: np.ndarray
    inter_count: np.ndarray

    def means(self, weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Mean distances over all pairs, and inter minus intra; `weights` (…, works) counts works several times."""
        weights = np.ones(self.intra.shape[-1]) if weights is None else weights
        with np.errstate(invalid="ignore", divide="ignore"):
            intra = (self.intra * weights).sum(-1) / (self.intra_count * weights).sum(-1)
            inter = (self.inter * weights).sum(-1) / (self.inter_count * weights).sum(-1)
        return {"cosine_intra": intra, "cosine_inter": inter, "cosine_difference": inter - intra}


def pairs_of_labels(distances: np.ndarray, eligible: np.ndarray, labels: np.ndarray, works: np.ndarray) -> Pairs:
    """Sum distances by work and by whether the labels agree.

    Parameters
    ----------
    distances, eligible : (n, n) distances, and which pairs count (bool, diagonal off).
    labels : (n,) int.
    works : (n,) int, 0 … W - 1.
    """
    same = eligible & (labels[:, None] == labels[None, :])
    other = eligible & ~same

    def by_work(values: np.ndarray) -> np.ndarray:
        return np.bincount(works, weights=values.sum(axis=1), minlength=int(works.max()) + 1)

    return Pairs(by_work(distances * same), by_work(same), by_work(distances * other), by_work(other))


def count_pairs(eligible: np.ndarray, relabelled: np.ndarray) -> np.ndarray:
    """Number of eligible ordered pairs of one label, for labellings (count, n): (count,)."""
    return _sum_pairs(eligible.astype(np.float32), relabelled, np.float32)  # whole numbers below 2^24 are exact


def null_of_labels(
    distances: np.ndarray, eligible: np.ndarray, relabelled: np.ndarray, pairs: np.ndarray
) -> dict[str, np.ndarray]:
    """Mean distances, as `Pairs.means` gives them, for many labellings (count, n) at once: each is (count,).

    `pairs` (count,) are the numbers that `count_pairs` gives, which no distance changes.
    """
    weighted = distances * eligible
    intra = _sum_pairs(weighted, relabelled, np.float64)
    inter, others = weighted.sum() - intra, float(eligible.sum()) - pairs
    return Pairs(*(sums[:, None] for sums in (intra, pairs, inter, others))).means()


def _sum_pairs(values: np.ndarray, relabelled: np.ndarray, kind: type) -> np.ndarray:
    """Sum values (n, n) over pairs of one label: one-hot rows times the values, not `count` masks of n x n."""
    sums = np.zeros(len(relabelled))
    for label in np.unique(relabelled):
        chosen = (relabelled == label).astype(kind)  # (count, n)
        sums += np.einsum("ij,ij->i", chosen @ values, chosen)
    return sums
