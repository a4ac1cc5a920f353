"""Pages as a network wants them: fitted into its input, and the way back from its pixels to the page's."""

from dataclasses import dataclass

import numpy as np

GREY = 114  # what networks of YOLO's kind see in training where a page leaves their input empty


@dataclass(frozen=True)
class Canvas:
    """A page in a network's input.

    Attributes
    ----------
    pixels : float32 (1, 3, height, width).
    scale : input pixels per page pixel, across and down.
    origin : input pixels left of the page and above it.
    """

    pixels: np.ndarray
    scale: tuple[float, float]
    origin: tuple[int, int]

    def to_page(self, boxes: np.ndarray) -> np.ndarray:
        """Take boxes, (n, 4+), from pixels of the input to pixels of the page."""
        boxes = boxes.copy()
        boxes[:, :4] = (boxes[:, :4] - [*self.origin, *self.origin]) / [*self.scale, *self.scale]
        return boxes


def letterbox(image: np.ndarray, height: int, width: int) -> Canvas:
    """Fit a page, uint8 (h, w) or (h, w, 3), into the middle of the input, RGB in [0, 1]."""
    scale, down, across = _fitted(image, height, width)
    top, left = (height - down) // 2, (width - across) // 2
    return Canvas(_lay(image, height, width, down, across, top, left) / np.float32(255), (scale, scale), (left, top))


def corner(image: np.ndarray, height: int, width: int) -> Canvas:
    """Fit a page into the upper left corner of the input, BGR in [0, 255]: YOLOX's way."""
    scale, down, across = _fitted(image, height, width)
    pixels = _lay(image, height, width, down, across, 0, 0)[:, ::-1]
    return Canvas(np.ascontiguousarray(pixels, np.float32), (scale, scale), (0, 0))


def stretch(image: np.ndarray, height: int, width: int) -> Canvas:
    """Stretch a page to the whole input, RGB in [0, 1]: RT-DETR's way."""
    scale = width / image.shape[1], height / image.shape[0]
    return Canvas(_lay(image, height, width, height, width, 0, 0) / np.float32(255), scale, (0, 0))


FITS = {"letterbox": letterbox, "corner": corner, "stretch": stretch}


def _fitted(image: np.ndarray, height: int, width: int) -> tuple[float, int, int]:
    scale = min(height / image.shape[0], width / image.shape[1])
    down, across = (max(1, round(side * scale)) for side in image.shape[:2])
    return scale, down, across


def _lay(image: np.ndarray, height: int, width: int, down: int, across: int, top: int, left: int) -> np.ndarray:
    """Return uint8 (1, 3, height, width), grey but for the page, resized to down x across at top, left."""
    import cv2

    if image.ndim == 2:
        image = np.dstack([image] * 3)
    smaller = down < image.shape[0] or across < image.shape[1]
    resized = cv2.resize(image, (across, down), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    canvas = np.full((height, width, 3), GREY, np.uint8)
    canvas[top : top + down, left : left + across] = resized
    return canvas.transpose(2, 0, 1)[None]
