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
    """Cosine distances, 1 - cosine, from inner products, both of shape (n_loras, n_loras); 0 on the diagonal.

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
            "%d of %d LoRAs are at the mean of all, the first is number %d of the index; at distance 1 from all others",
            np.count_nonzero(~directed), len(squares), int(directed.argmin()) + 1,
        )  # fmt: skip
    scales = np.divide(1.0, np.sqrt(np.abs(squares)), out=np.zeros(len(squares)), where=directed)
    distances = 1.0 - np.clip(gram * np.outer(scales, scales), -1.0, 1.0)
    np.fill_diagonal(distances, 0.0)
    return distances


def noise_distance(count: int) -> float:
    """Mean cosine distance of `count` vectors of one length after centring: 1 + 1 / (count - 1), whatever they are.

    They sum to zero, so the cosines over all ordered pairs sum to -count. The published means of 1.0029 to 1.0030
    are this number for 330.
    """
    return 1.0 + 1.0 / (count - 1)


class Pairs(NamedTuple):
    """Sums of distances and numbers of ordered pairs of each work's LoRAs with LoRAs of their label, or of another.

    All of shape (…, n_works).
    """

    intra: np.ndarray
    intra_count: np.ndarray
    inter: np.ndarray
    inter_count: np.ndarray

    def means(self, weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Mean distances over all pairs, and inter minus intra; `weights` (…, n_works) counts works several times."""
        weights = np.ones(self.intra.shape[-1]) if weights is None else weights
        with np.errstate(invalid="ignore", divide="ignore"):
            intra = (self.intra * weights).sum(-1) / (self.intra_count * weights).sum(-1)
            inter = (self.inter * weights).sum(-1) / (self.inter_count * weights).sum(-1)
        return {"cosine_intra": intra, "cosine_inter": inter, "cosine_difference": inter - intra}


def pairs_of_labels(distances: np.ndarray, eligible: np.ndarray, labels: np.ndarray, works: np.ndarray) -> Pairs:
    """Sum distances by work and by whether the labels agree.

    Parameters
    ----------
    distances, eligible : distances, and which pairs count (bool, diagonal off), both of shape (n_loras, n_loras).
    labels, works : codes of shape (n_loras,).
    """
    same = eligible & (labels[:, None] == labels[None, :])
    other = eligible & ~same

    def by_work(values: np.ndarray) -> np.ndarray:
        return np.bincount(works, weights=values.sum(axis=1), minlength=int(works.max()) + 1)

    return Pairs(by_work(distances * same), by_work(same), by_work(distances * other), by_work(other))


def count_pairs(eligible: np.ndarray, permuted: np.ndarray) -> np.ndarray:
    """Count the eligible ordered pairs of one label, for labellings of shape (n_permutations, n_loras)."""
    return _sum_pairs(eligible.astype(np.float32), permuted, np.float32)  # whole numbers below 2^24 are exact


def null_of_labels(
    distances: np.ndarray, eligible: np.ndarray, permuted: np.ndarray, pairs: np.ndarray
) -> dict[str, np.ndarray]:
    """Mean distances, as `Pairs.means` gives them, for many labellings at once.

    Parameters
    ----------
    permuted : labellings of shape (n_permutations, n_loras).
    pairs : what `count_pairs` gives for them, of shape (n_permutations,); no distance changes it.
    """
    weighted = distances * eligible
    intra = _sum_pairs(weighted, permuted, np.float64)
    inter, others = weighted.sum() - intra, float(eligible.sum()) - pairs
    return Pairs(*(sums[:, None] for sums in (intra, pairs, inter, others))).means()


def _sum_pairs(values: np.ndarray, permuted: np.ndarray, kind: type) -> np.ndarray:
    """Sum values over pairs of one label: one-hot rows times the values, not one mask of n x n per labelling."""
    sums = np.zeros(len(permuted))
    for label in np.unique(permuted):
        chosen = (permuted == label).astype(kind)  # (n_permutations, n_loras)
        sums += np.einsum("ij,ij->i", chosen @ values, chosen)
    return sums
