"""LoRAs beside the members of every label, for many labellings at once: nearest centroid, silhouette, linear probe.

A fold is what is left out together when one of its LoRAs is judged: the LoRA alone, or all LoRAs of its work. All
LoRAs of a fold bear one label. Cosines are inner products of vectors of length one.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

# Bytes of one array (LoRAs, labellings, labels) of a batch of labellings.
BLOCK = 48 * 2**20
METHODS = ("centroid", "probe", "silhouette")


class Folds(NamedTuple):
    """Folds of n LoRAs and what does not depend on labels."""

    codes: np.ndarray  # (n,) int
    sizes: np.ndarray  # (n,) LoRAs in the fold of each
    own: np.ndarray  # (n,) sum of cosines to the LoRAs of the fold, itself included
    apart: np.ndarray  # (n, n) cosines, 0 within folds
    smoother: np.ndarray  # (n, n), see `leave_out`


def make_folds(cosines: np.ndarray, codes: np.ndarray) -> Folds:
    """Prepare cosines (n, n) with folds (n,) int 0 … F - 1."""
    together = codes[:, None] == codes[None, :]
    return Folds(
        codes, together.sum(axis=1), (cosines * together).sum(axis=1), cosines * ~together, leave_out(cosines, codes)
    )


def leave_out(cosines: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Matrix (n, n) that turns targets into what ridge regressions predict for the fold that each was fitted without.

    Linear in the vectors, with an intercept; the penalty is the mean squared length after centring. With the hat
    matrix H of the fit to all, the residuals of a left-out fold g are (I - H_gg)⁻¹ (y - H y)_g (Cook & Weisberg 1982,
    section 2.2, for any penalised least squares), so no fit is repeated.
    """
    count = len(cosines)
    means = cosines.mean(axis=0)
    centred = cosines - means[:, None] - means[None, :] + means.mean()
    penalty = np.trace(centred) / count
    hat = np.linalg.solve(centred + penalty * np.eye(count), centred).T + 1.0 / count
    residuals = np.eye(count) - hat
    predictions = np.eye(count)
    for fold in range(int(codes.max()) + 1):
        rows = np.flatnonzero(codes == fold)
        if len(rows) < count:
            predictions[rows] -= np.linalg.solve(residuals[np.ix_(rows, rows)], residuals[rows])
    return predictions


def judge(folds: Folds, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Judge every LoRA by labellings (p, n) int 0 … C - 1; each result is (p, n).

    Returns
    -------
    centroid
        Whether the mean of the LoRAs of its label outside its fold is the nearest of the labels' means.
    probe
        Whether a linear classifier trained without its fold answers its label: ridge regression on the labels'
        indicators, each divided by the number of its LoRAs, so that a large label has no head start.
    silhouette
        (b - a) / max(a, b), a the mean cosine distance to its label outside its fold, b the least mean distance to
        another label (Rousseeuw 1987); NaN without a member of its label, or of another.
    """
    found = {name: np.empty(labels.shape) for name in METHODS}
    for part in _batches(labels):
        for name, values in _judge(folds, labels[part]).items():
            found[name][part] = values.T
    return found


def _batches(labels: np.ndarray) -> Iterator[slice]:
    step = max(1, BLOCK // (8 * labels.shape[1] * (int(labels.max()) + 1)))
    return (slice(start, start + step) for start in range(0, len(labels), step))


def _judge(folds: Folds, labels: np.ndarray) -> dict[str, np.ndarray]:
    """`judge` for one batch; arrays are (n, p) or (n, p, C)."""
    count, several = labels.shape[1], len(labels)
    classes = int(labels.max()) + 1
    rows, columns, own = np.arange(count)[:, None], np.arange(several)[None, :], labels.T
    members = np.zeros((count, several, classes))
    members[rows, columns, own] = 1.0
    flat = members.reshape(count, -1)
    sums = (folds.apart @ flat).reshape(members.shape)
    answers = (folds.smoother @ flat).reshape(members.shape)
    counts = np.broadcast_to(members.sum(axis=0), members.shape).copy()
    counts[rows, columns, own] -= folds.sizes[:, None]
    del members, flat
    empty = counts == 0
    counts[empty] = 1.0
    sums /= counts
    answers /= counts
    answers[empty] = -np.inf
    probe = answers.argmax(axis=2) == own
    silhouette = _silhouette(sums, empty, rows, columns, own)
    centroid = _nearest_mean(folds, sums, counts, empty, own)
    return {"centroid": centroid, "probe": probe, "silhouette": silhouette}


def _silhouette(
    means: np.ndarray, empty: np.ndarray, rows: np.ndarray, columns: np.ndarray, own: np.ndarray
) -> np.ndarray:
    distances = np.where(empty, np.inf, 1.0 - means)
    inside = distances[rows, columns, own]
    distances[rows, columns, own] = np.inf
    outside = distances.min(axis=2)
    with np.errstate(invalid="ignore"):
        values = (outside - inside) / np.maximum(inside, outside)
    return np.where(np.isfinite(inside) & np.isfinite(outside), values, np.nan)


def _nearest_mean(
    folds: Folds, means: np.ndarray, counts: np.ndarray, empty: np.ndarray, own: np.ndarray
) -> np.ndarray:
    """Whether ‖x - mean‖² is least for the own label; ‖mean‖² without the fold comes from sums over folds."""
    count, several, classes = means.shape
    rows, columns = np.arange(count)[:, None], np.arange(several)[None, :]
    own_sums = means[rows, columns, own] * np.where(empty, 0.0, counts)[rows, columns, own] + folds.own[:, None]
    squares = np.zeros((several, classes))  # ‖sum of a label's vectors‖²
    np.add.at(squares, (np.broadcast_to(columns, own.shape), own), own_sums)
    fold_count = int(folds.codes.max()) + 1
    by_fold = np.zeros((fold_count, several))
    np.add.at(by_fold, folds.codes, own_sums)
    within = np.bincount(folds.codes, weights=folds.own, minlength=fold_count)
    distances = squares[None] / counts**2 - 2.0 * means
    left = squares[columns, own] - 2.0 * by_fold[folds.codes] + within[folds.codes][:, None]
    own_counts = counts[rows, columns, own]
    distances[rows, columns, own] = left / own_counts**2 - 2.0 * means[rows, columns, own]
    distances[empty] = np.inf
    return distances.argmin(axis=2) == own
