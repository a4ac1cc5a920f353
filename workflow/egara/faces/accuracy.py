"""Precision, recall and average precision of boxes against true boxes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from egara.faces.boxes import area, best_first, overlap

MATCH = 0.5  # intersection over union from which a box counts as found (PASCAL VOC, Everingham et al. 2010)


@dataclass(frozen=True)
class Accuracy:
    """Agreement of boxes with the true ones.

    Attributes
    ----------
    faces : true boxes.
    large : true boxes whose crops have at least `min_pixels` pixels.
    found : detected boxes.
    precision : share of the detected boxes that match a true one; 1 where none is detected.
    recall, recall_large : share of the (large) true boxes that are matched; NaN where there are none.
    ap : area under the precision-recall curve at every point (PASCAL VOC 2010).
    """

    faces: int
    large: int
    found: int
    precision: float
    recall: float
    recall_large: float
    ap: float


def match(found: np.ndarray, truth: np.ndarray, limit: float = MATCH) -> np.ndarray:
    """Match boxes to faces one to one, best score first, each to the unmatched face of largest overlap.

    Parameters
    ----------
    found : of shape (n_boxes, 5), best first.
    truth : of shape (n_faces, 4).

    Returns
    -------
    Matched row of `truth` or -1, int of shape (n_boxes,).
    """
    owner = np.full(len(found), -1)
    shared = overlap(found, truth)
    for row in range(len(found)):
        if len(truth) and shared[row].max() >= limit:
            owner[row] = shared[row].argmax()
            shared[:, owner[row]] = -1
    return owner


def measure(
    found: Sequence[np.ndarray],
    truth: Sequence[np.ndarray],
    min_pixels: float = 10_000,
    pixels: Sequence[np.ndarray] | None = None,
) -> Accuracy:
    """Compare boxes with true boxes over all pages of a work.

    Parameters
    ----------
    found : boxes per page, each of shape (n_boxes, 5).
    truth : true boxes per page, each of shape (n_faces, 4).
    min_pixels : minimum pixels of a face that counts for `recall_large`.
    pixels : pixels of the faces' crops per page, each of shape (n_faces,); None for the areas of the true boxes.
    """
    found = [best_first(boxes) for boxes in found]
    owners = [match(boxes, faces) for boxes, faces in zip(found, truth, strict=True)]
    scores = np.concatenate([boxes[:, 4] for boxes in found]) if found else np.zeros(0)
    right = np.concatenate([owner >= 0 for owner in owners]) if owners else np.zeros(0, bool)
    faces = sum(map(len, truth))
    pixels = [area(boxes) for boxes in truth] if pixels is None else pixels
    large = [np.asarray(sizes) >= min_pixels for sizes in pixels]
    large_found = sum(int(big[owner[owner >= 0]].sum()) for big, owner in zip(large, owners, strict=True))
    large_count = sum(int(big.sum()) for big in large)
    return Accuracy(
        faces=faces,
        large=large_count,
        found=len(scores),
        precision=float(right.mean()) if len(right) else 1.0,
        recall=float(right.sum() / faces) if faces else float("nan"),
        recall_large=large_found / large_count if large_count else float("nan"),
        ap=average_precision(scores, right, faces),
    )


def average_precision(scores: np.ndarray, right: np.ndarray, faces: int) -> float:
    """Return the area under the precision-recall curve, with precision made monotone, at every recall that occurs."""
    if not faces:
        return float("nan")
    hits = np.cumsum(right[np.argsort(-scores, kind="stable")])
    precision = hits / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(precision * np.diff(hits, prepend=0)) / faces)
