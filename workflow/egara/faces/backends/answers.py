"""A network's answer, once its layout is told → boxes in pixels of its input, with the score of a face."""

from collections.abc import Sequence

import numpy as np

from egara.faces.backends.classes import KEY
from egara.faces.backends.layouts import Facts, Layout
from egara.faces.boxes import best_first
from egara.faces.protocol import PageFailed
from egara.io.errors import EgaraError


def read_answer(
    answer: np.ndarray, layout: Layout, facts: Facts, threshold: float, faces: Sequence[int] | None = None
) -> np.ndarray:
    """Turn one page's answer into boxes.

    Parameters
    ----------
    answer : (rows, columns), as the network gives it.
    layout : what `egara.faces.backends.layouts.decide` tells.
    facts : of the network; the size of its input, and how many classes it names.
    threshold : least score of a box that is returned.
    faces : numbers of the classes that count; None where the network names none.

    Returns
    -------
    Boxes (n, 5) in pixels of the input, best first.

    Raises
    ------
    EgaraError : a class that counts is not there, or there are several and nobody says which are faces.
    PageFailed : a box of a face is no box of numbers.
    """
    table = (answer.T if layout.lying else answer).astype(np.float64)
    if table.shape[1] < 5 + layout.objectness or layout.labelled and table.shape[1] < 6:
        raise EgaraError(
            f"answers {table.shape[1]} numbers per box; expected the layout {layout.name} as on other pages"
        )
    sides = _unfold(table[:, :4], layout, facts) if layout.strides else table[:, :4]
    if layout.labelled:
        score = _of_labels(table[:, 4], table[:, 5], threshold, faces)
    else:
        score = _of_scores(table[:, 4 + layout.objectness :], facts.classes, faces)
        if layout.objectness:
            score = score * table[:, 4]
    kept = score >= threshold
    sides, score = sides[kept], score[kept]
    if not np.isfinite(sides).all():
        raise PageFailed("the network answers boxes that are no numbers; expected sides in pixels")
    if not layout.corners:
        middle, half = sides[:, :2], sides[:, 2:] / 2
        sides = np.hstack([middle - half, middle + half])
    if layout.shares:
        sides = sides * [facts.width, facts.height, facts.width, facts.height]
    return best_first(np.column_stack([sides, score.clip(0, 1)]))


def _unfold(sides: np.ndarray, layout: Layout, facts: Facts) -> np.ndarray:
    """Turn offsets in the cells of grids and logarithms of sizes into pixels, cell by cell, stride by stride."""
    cells = []
    for stride in layout.strides:
        rows, columns = facts.height // stride, facts.width // stride
        y, x = np.divmod(np.arange(rows * columns), columns)
        cells.append(np.column_stack([x, y, np.full(rows * columns, stride)]))
    grid = np.concatenate(cells)
    if len(grid) != len(sides):
        raise EgaraError(f"answers {len(sides)} boxes; expected one for each of {len(grid)} cells")
    stride = grid[:, 2:]
    # No face is e^8 strides wide: bounded so that a network gone astray cannot overflow.
    return np.hstack([(sides[:, :2] + grid[:, :2]) * stride, np.exp(sides[:, 2:].clip(-8, 8)) * stride])


def _of_scores(scores: np.ndarray, named: int, faces: Sequence[int] | None) -> np.ndarray:
    count = named or scores.shape[1]
    if faces is None and count > 1:
        raise EgaraError(f"answers scores of {count} classes and names none; expected {KEY}: the numbers of the faces'")
    faces = faces or [0]
    if max(faces) >= count:
        raise EgaraError(f"answers scores of {count} classes; expected a class {max(faces)} ({KEY})")
    return scores[:, faces].max(axis=1)


def _of_labels(score: np.ndarray, label: np.ndarray, threshold: float, faces: Sequence[int] | None) -> np.ndarray:
    if faces is not None:
        return np.where(np.isin(label, faces), score, -1)
    if others := sorted(set(label[score >= threshold]) - {0}):
        raise EgaraError(f"answers class {others[0]:g} and names none; expected {KEY}: the numbers of the faces'")
    return score
