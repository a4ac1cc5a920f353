"""Boxes → face crops: with a margin, clipped to the page, large enough, none twice."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from egara.faces.protocol import Page
from egara.files import sha256

COLUMNS = (
    "face", "volume", "page", "left", "top", "right", "bottom", "score", "width", "height", "sha256", "file",
)  # fmt: skip
SHAPES = ("square", "detected")


@dataclass
class Cropping:
    """What came of a work's boxes.

    Attributes
    ----------
    rows : one dict a crop, keys `COLUMNS`.
    pages, found : pages seen and boxes on them.
    small, repeated : boxes left out because the crop has too few pixels or was there already.
    """

    rows: list[dict] = field(default_factory=list)
    pages: int = 0
    found: int = 0
    small: int = 0
    repeated: int = 0


def crop_window(
    box: np.ndarray, width: int, height: int, margin: float, shape: str = "square"
) -> tuple[int, int, int, int]:
    """Return the window of a page that a crop shows: left, top, right, bottom, whole pixels on the page.

    Parameters
    ----------
    box : left, top, right, bottom, ... of the face.
    width, height : size of the page; what lies outside it is cut off, so a window at the edge is no square.
    margin : added on each side, as a fraction of the box's side.
    shape : `square` around the box's middle with its longer side, or `detected` with the box's own sides.
    """
    left, top, right, bottom = (float(value) for value in box[:4])
    half = np.array([right - left, bottom - top]) / 2
    if shape == "square":
        half[:] = half.max()
    half *= 1 + 2 * margin
    x, y = (left + right) / 2, (top + bottom) / 2
    # Half up, not to even: windows of equal boxes are equally large wherever they lie.
    low = np.floor([x - half[0] + 0.5, y - half[1] + 0.5]).astype(int)
    high = np.floor([x + half[0] + 0.5, y + half[1] + 0.5]).astype(int)
    return max(0, low[0]), max(0, low[1]), min(width, high[0]), min(height, high[1])


def write_crops(
    pages: Iterable[tuple[Page, np.ndarray]], folder: Path, margin: float, min_pixels: int, shape: str = "square"
) -> Cropping:
    """Write the faces of pages as PNG files into `folder` and list them.

    Parameters
    ----------
    pages : each page with its boxes (n, 5); crops are numbered in this order, on a page from top to bottom.
    margin, shape : see `crop_window`.
    min_pixels : crops of fewer pixels (width x height) are left out.
    """
    from PIL import Image

    result, seen = Cropping(), set()
    for page, boxes in pages:
        result.pages += 1
        result.found += len(boxes)
        height, width = page.image.shape[:2]
        for box in boxes[np.lexsort((boxes[:, 0], boxes[:, 1]))]:
            left, top, right, bottom = crop_window(box, width, height, margin, shape)
            if max(0, right - left) * max(0, bottom - top) < max(1, min_pixels):
                result.small += 1
                continue
            pixels = np.ascontiguousarray(page.image[top:bottom, left:right])
            digest = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()
            if digest in seen:
                result.repeated += 1
                continue
            seen.add(digest)
            face = f"{len(result.rows):05d}"
            file = folder / f"{face}.png"
            Image.fromarray(pixels).save(file)
            values = (
                face, page.volume, page.page, left, top, right, bottom, float(box[4]), right - left, bottom - top,
                sha256(file), file.name,
            )  # fmt: skip
            result.rows.append(dict(zip(COLUMNS, values, strict=True)))
    return result
