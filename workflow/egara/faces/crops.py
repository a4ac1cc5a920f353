"""Boxes → face crops: square with a margin, clipped to the page, of a minimum size, without duplicates."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from egara.faces.protocol import Page
from egara.io.errors import counted
from egara.io.hashing import sha256
from egara.skipped import skipped

COLUMNS = (
    "face", "volume", "page", "left", "top", "right", "bottom", "score", "width", "height", "sha256", "file",
)  # fmt: skip


@dataclass
class Cropping:
    """The crops of a work.

    Attributes
    ----------
    rows : one dict per crop, with the keys `COLUMNS`.
    pages, found : number of pages and of boxes on them.
    small : pixels (width x height) of every crop left out as too small.
    repeated : number of crops left out as duplicates.
    left_out : rows of `egara.skipped`, one per page and cause.
    """

    rows: list[dict] = field(default_factory=list)
    pages: int = 0
    found: int = 0
    small: list[int] = field(default_factory=list)
    repeated: int = 0
    left_out: list[dict[str, str | int]] = field(default_factory=list)


def crop_window(box: np.ndarray, width: int, height: int, margin: float) -> tuple[int, int, int, int]:
    """Return the square window of a crop in whole pixels: left, top, right, bottom.

    Parameters
    ----------
    box : left, top, right, bottom, ... of the face; its longer side is the square's.
    width, height : of the page; at its edge the window is clipped and no longer square.
    margin : on each side, as a fraction of the longer side.
    """
    left, top, right, bottom = (float(value) for value in box[:4])
    half = max(right - left, bottom - top) / 2 * (1 + 2 * margin)
    x, y = (left + right) / 2, (top + bottom) / 2
    # Rounded half up, not to even, so that windows of equal boxes have equal sizes anywhere on the page.
    low = np.floor([x - half + 0.5, y - half + 0.5]).astype(int)
    high = np.floor([x + half + 0.5, y + half + 0.5]).astype(int)
    return max(0, low[0]), max(0, low[1]), min(width, high[0]), min(height, high[1])


def write_crops(pages: Iterable[tuple[Page, np.ndarray]], folder: Path, margin: float, min_pixels: int) -> Cropping:
    """Write the faces of pages as PNG files into `folder` and list them.

    Parameters
    ----------
    pages : pages with their boxes of shape (n_boxes, 5); crops are numbered in this order, on a page top to bottom.
    margin : see `crop_window`.
    min_pixels : minimum pixels (width x height) of a crop.
    """
    from PIL import Image

    result, seen = Cropping(), set()
    for page, boxes in pages:
        result.pages += 1
        result.found += len(boxes)
        height, width = page.image.shape[:2]
        small, repeated = [], 0
        for box in boxes[np.lexsort((boxes[:, 0], boxes[:, 1]))]:
            left, top, right, bottom = crop_window(box, width, height, margin)
            pixels = max(0, right - left) * max(0, bottom - top)
            if pixels < max(1, min_pixels):
                small.append(pixels)
                continue
            crop = np.ascontiguousarray(page.image[top:bottom, left:right])
            digest = hashlib.sha256(repr(crop.shape).encode() + crop.tobytes()).digest()
            if digest in seen:
                repeated += 1
                continue
            seen.add(digest)
            face = f"{len(result.rows):05d}"
            file = folder / f"{face}.png"
            Image.fromarray(crop).save(file)
            values = (
                face, page.volume, page.page, left, top, right, bottom, float(box[4]), right - left, bottom - top,
                sha256(file), file.name,
            )  # fmt: skip
            result.rows.append(dict(zip(COLUMNS, values, strict=True)))
        result.small += small
        result.repeated += repeated
        where = page.volume, page.page
        if small:
            sizes = f"{min(small):,}" if min(small) == max(small) else f"{min(small):,} to {max(small):,}"
            reason = f"crop of {sizes} pixels; expected at least {min_pixels:,} (faces.min_pixels)"
            result.left_out.append(skipped(*where, "small", reason, len(small)))
        if repeated:
            result.left_out.append(skipped(*where, "repeated", "the same pixels as an earlier crop", repeated))
    return result


def describe_small(result: Cropping, min_pixels: int) -> str:
    """Describe the share of faces that are too small, and how many a lower `faces.min_pixels` would keep."""
    faces = result.found - result.repeated
    if not result.small:
        return f"none of {counted(faces, 'face')} has fewer than {min_pixels:,} pixels (faces.min_pixels)"
    share = len(result.small) / faces
    median, upper = (int(value) for value in np.quantile(result.small, [0.5, 0.75], method="inverted_cdf"))
    keeps = ", ".join(
        f"{least:,} would keep {sum(pixels >= least for pixels in result.small):,} of them"
        for least in sorted({median, upper})
    )
    return (
        f"fewer than {min_pixels:,} pixels: {len(result.small):,} of {counted(faces, 'face')} ({share:.0%})"
        f" (faces.min_pixels; {keeps})"
    )
