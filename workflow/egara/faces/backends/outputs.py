"""The output of a network in a known layout → boxes in pixels of its input, with the score of a face."""

from collections.abc import Sequence

import numpy as np

from egara.faces.backends.class_names import KEY
from egara.faces.backends.layouts import Facts, Layout
from egara.faces.boxes import best_first
from egara.faces.protocol import PageFailed
from egara.io.errors import EgaraError


def read_output(
    output: np.ndarray, layout: Layout, facts: Facts, threshold: float, faces: Sequence[int] | None = None
) -> np.ndarray:
    """Turn the output for one page into boxes.

    Parameters
    ----------
    output : of shape (n_rows, n_columns).
    layout : of the output, see `egara.faces.backends.layouts.recognise_layout`.
    facts : of the network.
    threshold : minimum score of a box.
    faces : numbers of the classes that are faces; None where the network names no classes.

    Returns
    -------
    Boxes of shape (n_boxes, 5) in pixels of the input, best first.

    Raises
    ------
    EgaraError : a class of `faces` does not exist, or there are several and `faces` is None.
    PageFailed : a side of a box is not finite.
    """
    table = (output.T if layout.transposed else output).astype(np.float64)
    if table.shape[1] < 5 + layout.objectness or layout.labelled and table.shape[1] < 6:
        raise EgaraError(
            f"returns {table.shape[1]} numbers per box; expected the layout {layout.name}, as on other pages"
        )
    sides = _decode_grid(table[:, :4], layout, facts) if layout.strides else table[:, :4]
    if layout.labelled:
        score = _score_by_label(table[:, 4], table[:, 5], threshold, faces)
    else:
        score = _score_by_class(table[:, 4 + layout.objectness :], facts.classes, faces)
        if layout.objectness:
            score = score * table[:, 4]
    kept = score >= threshold
    sides, score = sides[kept], score[kept]
    if not np.isfinite(sides).all():
        raise PageFailed("the network returns boxes whose sides are not finite; expected pixels")
    if not layout.corners:
        centre, half = sides[:, :2], sides[:, 2:] / 2
        sides = np.hstack([centre - half, centre + half])
    if layout.fractions:
        sides = sides * [facts.width, facts.height, facts.width, facts.height]
    return best_first(np.column_stack([sides, score.clip(0, 1)]))


def _decode_grid(sides: np.ndarray, layout: Layout, facts: Facts) -> np.ndarray:
    """Turn grid offsets and logarithms of sizes into pixels; rows are in the order of strides, then cells."""
    cells = []
    for stride in layout.strides:
        rows, columns = facts.height // stride, facts.width // stride
        y, x = np.divmod(np.arange(rows * columns), columns)
        cells.append(np.column_stack([x, y, np.full(rows * columns, stride)]))
    grid = np.concatenate(cells)
    if len(grid) != len(sides):
        raise EgaraError(f"returns {len(sides)} boxes; expected one for each of {len(grid)} cells")
    stride = grid[:, 2:]
    # Clipped so that a diverged network cannot overflow; no face is e^8 strides wide.
    return np.hstack([(sides[:, :2] + grid[:, :2]) * stride, np.exp(sides[:, 2:].clip(-8, 8)) * stride])


def _score_by_class(scores: np.ndarray, named: int, faces: Sequence[int] | None) -> np.ndarray:
    count = named or scores.shape[1]
    if faces is None and count > 1:
        raise EgaraError(f"returns scores of {count} classes without names; expected the numbers of the faces in {KEY}")
    faces = faces or [0]
    if max(faces) >= count:
        raise EgaraError(f"returns scores of {count} classes; expected a class {max(faces)} ({KEY})")
    return scores[:, faces].max(axis=1)


def _score_by_label(score: np.ndarray, label: np.ndarray, threshold: float, faces: Sequence[int] | None) -> np.ndarray:
    if faces is not None:
        return np.where(np.isin(label, faces), score, -1)
    if others := sorted(set(label[score >= threshold]) - {0}):
        raise EgaraError(f"returns class {others[0]:g} without names; expected the numbers of the faces in {KEY}")
    return score
