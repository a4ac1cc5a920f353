"""Boxes as arrays of shape (n_boxes, 5), float64: left, top, right, bottom in pixels, score; best first."""

import numpy as np

COLUMNS = ("left", "top", "right", "bottom", "score")


def empty() -> np.ndarray:
    """Return an array without boxes, (0, 5)."""
    return np.zeros((0, 5))


def best_first(boxes: np.ndarray) -> np.ndarray:
    """Sort boxes by descending score; equal scores keep their order."""
    return boxes[np.argsort(-boxes[:, 4], kind="stable")]


def clip(boxes: np.ndarray, width: float, height: float) -> np.ndarray:
    """Clip boxes to a page and drop those that are outside it or have a side that is NaN."""
    boxes = boxes.copy()
    boxes[:, 0:4:2] = boxes[:, 0:4:2].clip(0, width)
    boxes[:, 1:4:2] = boxes[:, 1:4:2].clip(0, height)
    return boxes[(boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])]


def overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the intersection over union of every pair of boxes, of shape (n_first, n_second)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:4], second[None, :, 2:4])
    shared = (high - low).clip(0).prod(axis=2)
    union = area(first)[:, None] + area(second)[None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def area(boxes: np.ndarray) -> np.ndarray:
    """Return the area of each box, of shape (n_boxes,)."""
    return (boxes[:, 2:4] - boxes[:, :2]).clip(0).prod(axis=1)


def suppress(boxes: np.ndarray, limit: float = 0.5) -> np.ndarray:
    """Return boxes, best first, without those that overlap a better one by more than `limit` (NMS)."""
    boxes = best_first(boxes)
    shared = overlap(boxes, boxes)
    kept: list[int] = []
    for index in range(len(boxes)):
        if not kept or shared[index, kept].max() <= limit:
            kept.append(index)
    return boxes[kept]
