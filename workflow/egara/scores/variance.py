"""How much of the LoRAs' variance authors, works and sets explain: a nested decomposition, from inner products alone.

The total sum of squares of centred vectors is the trace of their Gram matrix; a grouping explains the part
between its means. Authors hold works, works hold sets: total = author + work within author + set within work (nested
permutational analysis of variance, Anderson 2001).
"""

from typing import NamedTuple

import numpy as np

from egara.scores.labels import authors_by_work


class Shares(NamedTuple):
    """Shares of the total sum of squares; with work they sum to 1."""

    author: float
    work: float
    set: float


def between_group_ss(products: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Sum of squares between groups: what the labels' means explain.

    Parameters
    ----------
    products : centred inner products of shape (n_loras, n_loras).
    labels : labellings of shape (n_permutations, n_loras).

    Returns
    -------
    Sums of shape (n_permutations,).
    """
    values = np.zeros(len(labels))
    for label in range(int(labels.max()) + 1):
        chosen = (labels == label).astype(float)
        sizes = chosen.sum(axis=1)
        values += np.einsum("ij,ij->i", chosen @ products, chosen) / np.where(sizes, sizes, 1.0)
    return values


def shares(products: np.ndarray, authors: np.ndarray, works: np.ndarray) -> Shares:
    """Decompose centred inner products of shape (n_loras, n_loras) by codes of authors and works."""
    total = float(np.trace(products))
    author, work = (float(between_group_ss(products, codes[None])[0]) / total for codes in (authors, works))
    return Shares(author, work - author, 1.0 - work)


def chance_of_work(products: np.ndarray, authors: np.ndarray, works: np.ndarray) -> float:
    """Share that works explain within authors if works were drawn at random there; exact.

    Of the sum of squares within an author of n LoRAs and w works, works at random explain (w - 1) / (n - 1).
    """
    total, expected = float(np.trace(products)), 0.0
    for author in range(int(authors.max()) + 1):
        rows = np.flatnonzero(authors == author)
        part = products[np.ix_(rows, rows)]
        if len(rows) > 1:
            within = float(np.trace(part)) - part.sum() / len(rows)
            expected += within * (len(np.unique(works[rows])) - 1) / (len(rows) - 1)
    return expected / total


def permute_within(works: np.ndarray, authors: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """Permute works over the LoRAs of each author, `count` times: labels of shape (count, n_loras)."""
    labels = np.tile(works, (count, 1))
    for author in range(int(authors.max()) + 1):
        rows = np.flatnonzero(authors == author)
        labels[:, rows] = generator.permuted(labels[:, rows], axis=1)
    return labels


def bootstrap_shares(products: np.ndarray, authors: np.ndarray, works: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Shares of author and work in bootstrap samples of works.

    Parameters
    ----------
    draws : how often each work is drawn, of shape (n_bootstraps, n_works).

    Returns
    -------
    Shares of shape (n_bootstraps, 2); NaN without variance.
    """
    by_work = np.eye(int(works.max()) + 1)[works]  # (n_loras, n_works)
    sums, sizes = by_work.T @ products @ by_work, by_work.sum(axis=0)
    squares = np.bincount(works, weights=np.diag(products))
    owner = np.eye(int(authors.max()) + 1)[authors_by_work(authors, works)]  # (n_works, n_authors)
    mean = np.einsum("bi,ij,bj->b", draws, sums, draws) / (draws @ sizes)
    total = draws @ squares - mean
    between = draws @ (np.diag(sums) / sizes) - mean
    weighted = draws[:, :, None] * owner  # (n_bootstraps, n_works, n_authors)
    of_author = np.einsum("bia,ij,bja->ba", weighted, sums, weighted, optimize=True)
    counts = np.einsum("bia,i->ba", weighted, sizes)
    author = (of_author / np.where(counts, counts, 1.0)).sum(axis=1) - mean
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.stack([author / total, (between - author) / total], axis=1)
