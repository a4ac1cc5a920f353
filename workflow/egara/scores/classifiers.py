"""Classifiers of LoRAs by label, for many labellings at once: nearest centroid, linear probe; and the silhouette.

A fold is what is held out together when one of its LoRAs is classified: the LoRA alone, or all LoRAs of its work. All
LoRAs of a fold have one label. Cosines are inner products of vectors of length one.
"""

from typing import NamedTuple

import numpy as np

BATCH = 128  # labellings at once
METHODS = ("centroid", "probe", "silhouette")


class Folds(NamedTuple):
    """Folds of LoRAs and what does not depend on labels.

    Attributes
    ----------
    sizes : LoRAs in the fold of each LoRA, of shape (n_loras,).
    fold_similarity : sum of cosines to the LoRAs of the own fold, itself included, of shape (n_loras,).
    cross_fold_similarity : cosines of shape (n_loras, n_loras), 0 within folds.
    loo_projection : of shape (n_loras, n_loras), see `leave_out`.
    fold_norm : squared length of the sum of the own fold, all its cosines, of shape (n_loras,).
    indicator : 1 for the fold of each, of shape (n_loras, n_folds); None where all are alone.
    """

    sizes: np.ndarray
    fold_similarity: np.ndarray
    cross_fold_similarity: np.ndarray
    loo_projection: np.ndarray
    fold_norm: np.ndarray
    indicator: np.ndarray | None


def make_folds(cosines: np.ndarray, codes: np.ndarray) -> Folds:
    """Prepare cosines of shape (n_loras, n_loras) with the fold of each, int 0 … n_folds - 1."""
    together = codes[:, None] == codes[None, :]
    similarity = (cosines * together).sum(axis=1)
    indicator = np.eye(int(codes.max()) + 1)[codes]
    alone = indicator.shape[1] == len(codes)
    return Folds(
        together.sum(axis=1),
        similarity,
        cosines * ~together,
        leave_out(cosines, codes),
        indicator @ (indicator.T @ similarity),
        None if alone else indicator,
    )


def leave_out(cosines: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Matrix that turns targets into what ridge regressions predict for the fold that each was fitted without.

    Linear in the vectors, with an intercept; the penalty is the mean squared length after centring. With the hat
    matrix H of the fit to all, the residuals of a held-out fold g are (I - H_gg)⁻¹ (y - H y)_g (Cook & Weisberg 1982,
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


def classify(folds: Folds, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Classify every LoRA under labellings of shape (n_permutations, n_loras), int 0 … n_labels - 1.

    Returns
    -------
    Three arrays of the labellings' shape.

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
    for start in range(0, len(labels), BATCH):
        part = slice(start, start + BATCH)
        for name, values in _classify(folds, labels[part]).items():
            found[name][part] = values.T
    return found


def _classify(folds: Folds, labels: np.ndarray) -> dict[str, np.ndarray]:
    """`classify` for one batch, label after label: (n_loras, n_labellings) arrays fit a processor's cache."""
    own = np.ascontiguousarray(labels.T)
    shape = own.shape
    answer, distance, outside = np.full(shape, -np.inf), np.full(shape, np.inf), np.full(shape, np.inf)
    inside = np.full(shape, np.nan)
    probe, centroid = np.zeros(shape, bool), np.zeros(shape, bool)
    for label in range(int(labels.max()) + 1):
        mine = own == label
        members = mine.astype(float)
        size = members.sum(axis=0)
        counts = size - folds.sizes[:, None] * members  # without the own fold
        some = counts > 0
        counts[~some] = 1.0
        sums = folds.cross_fold_similarity @ members
        means = sums / counts
        far = np.where(some, 1.0 - means, np.inf)
        np.copyto(inside, far, where=mine)
        np.minimum(outside, np.where(mine, np.inf, far), out=outside)
        _update_best(probe, answer, np.where(some, folds.loo_projection @ members / counts, -np.inf), mine, np.greater)
        square = _squares(folds, (sums + folds.fold_similarity[:, None]) * members, mine) / counts**2
        _update_best(centroid, distance, np.where(some, square - 2.0 * means, np.inf), mine, np.less)
    with np.errstate(invalid="ignore"):
        values = (outside - inside) / np.maximum(inside, outside)
    silhouette = np.where(np.isfinite(inside) & np.isfinite(outside), values, np.nan)
    return {"centroid": centroid, "probe": probe, "silhouette": silhouette}


def _update_best(own: np.ndarray, best: np.ndarray, values: np.ndarray, mine: np.ndarray, better: np.ufunc) -> None:
    """Keep the values that are better than the best so far, and whether they are of the own label."""
    ahead = better(values, best)
    np.copyto(best, values, where=ahead)
    np.copyto(own, mine, where=ahead)


def _squares(folds: Folds, within: np.ndarray, mine: np.ndarray) -> np.ndarray:
    """‖sum of a label's vectors‖² for a LoRA of the label without its fold; of shape (n_loras, n_labellings).

    `within`, of the same shape, has for LoRAs of the label the sum of cosines to all of the label.
    """
    squares = within.sum(axis=0)
    of_fold = within if folds.indicator is None else folds.indicator @ (folds.indicator.T @ within)
    return squares - np.where(mine, 2.0 * of_fold - folds.fold_norm[:, None], 0.0)
