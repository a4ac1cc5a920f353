"""Fit pages into a network's input, and map boxes back to the page."""

from dataclasses import dataclass

import numpy as np

PADDING_GREY = 114  # padding that YOLO networks are trained with


@dataclass(frozen=True)
class Canvas:
    """A page fitted into a network's input.

    Attributes
    ----------
    pixels : float32 of shape (1, 3, height, width).
    scale : input pixels per page pixel, horizontally and vertically.
    origin : left and top of the page in the input, in pixels.
    """

    pixels: np.ndarray
    scale: tuple[float, float]
    origin: tuple[int, int]

    def to_page(self, boxes: np.ndarray) -> np.ndarray:
        """Map boxes of shape (n_boxes, 4 or more) from pixels of the input to pixels of the page."""
        boxes = boxes.copy()
        boxes[:, :4] = (boxes[:, :4] - [*self.origin, *self.origin]) / [*self.scale, *self.scale]
        return boxes


def letterbox(image: np.ndarray, height: int, width: int) -> Canvas:
    """Fit a page, uint8 (h, w) or (h, w, 3), into the centre of the input, RGB in [0, 1]."""
    scale, down, across = _fitted(image, height, width)
    top, left = (height - down) // 2, (width - across) // 2
    return Canvas(_paste(image, height, width, down, across, top, left) / np.float32(255), (scale, scale), (left, top))


def corner(image: np.ndarray, height: int, width: int) -> Canvas:
    """Fit a page into the top left corner of the input, BGR in [0, 255], as YOLOX does."""
    scale, down, across = _fitted(image, height, width)
    pixels = _paste(image, height, width, down, across, 0, 0)[:, ::-1]
    return Canvas(np.ascontiguousarray(pixels, np.float32), (scale, scale), (0, 0))


def stretch(image: np.ndarray, height: int, width: int) -> Canvas:
    """Stretch a page to the whole input, RGB in [0, 1], as RT-DETR does."""
    scale = width / image.shape[1], height / image.shape[0]
    return Canvas(_paste(image, height, width, height, width, 0, 0) / np.float32(255), scale, (0, 0))


FITS = {"letterbox": letterbox, "corner": corner, "stretch": stretch}


def _fitted(image: np.ndarray, height: int, width: int) -> tuple[float, int, int]:
    scale = min(height / image.shape[0], width / image.shape[1])
    down, across = (max(1, round(side * scale)) for side in image.shape[:2])
    return scale, down, across


def _paste(image: np.ndarray, height: int, width: int, down: int, across: int, top: int, left: int) -> np.ndarray:
    """Return uint8 (1, 3, height, width): grey padding, and the page resized to down x across at top, left."""
    import cv2

    if image.ndim == 2:
        image = np.dstack([image] * 3)
    smaller = down < image.shape[0] or across < image.shape[1]
    resized = cv2.resize(image, (across, down), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    canvas = np.full((height, width, 3), PADDING_GREY, np.uint8)
    canvas[top : top + down, left : left + across] = resized
    return canvas.transpose(2, 0, 1)[None]
