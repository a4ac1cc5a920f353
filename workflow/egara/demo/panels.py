"""Split a page recursively into panels, with gutters, slants and bleeds."""

from dataclasses import dataclass

import numpy as np

COUNTS = (3, 4, 5, 6, 7)
COUNT_SHARES = (0.12, 0.24, 0.28, 0.22, 0.14)
SPLASH_SHARE = 0.05
# Gutters between rows are wider than those within a row, to guide the reader along rows.
ROW_GUTTER = (16.0, 30.0)
COLUMN_GUTTER = (7.0, 15.0)
MIN_SIDE = 170.0  # at 1000 x 1414 pixels


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes
    ----------
    corners : (4, 2) x and y of top left, top right, bottom right, bottom left; beyond the page where the panel bleeds.
    border : width of the drawn border in pixels; 0 for none.
    splash : whether the panel is the whole page.
    """

    corners: np.ndarray
    border: float
    splash: bool = False

    def window(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Return the panel's bounding box on the page in whole pixels: left, top, right, bottom."""
        low = np.floor(self.corners.min(axis=0)).astype(int)
        high = np.ceil(self.corners.max(axis=0)).astype(int)
        return max(0, int(low[0])), max(0, int(low[1])), min(width, int(high[0])), min(height, int(high[1]))

    def mask(self, width: int, height: int) -> np.ndarray:
        """Return the panel's coverage of each pixel of the page, uint8 of shape (height, width)."""
        import cv2

        mask = np.zeros((height, width), np.uint8)
        cv2.fillPoly(mask, [np.round(self.corners * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        return mask


def split_page(rng: np.random.Generator, width: int, height: int, unit: float) -> list[Panel]:
    """Return a page's panels in drawing order; `unit` is the page's scale, 1 at 1000 x 1414 pixels."""
    left, right = rng.uniform(34, 70, 2) * unit
    top, bottom = rng.uniform(40, 80, 2) * unit
    frame = np.array([[left, top], [width - right, top], [width - right, height - bottom], [left, height - bottom]])
    border = float(rng.choice([1.5, 2.0, 3.0, 3.5, 4.5])) * unit
    if rng.random() < SPLASH_SHARE:
        return _splash(rng, frame, border, width, height)
    count = int(rng.choice(COUNTS, p=COUNT_SHARES))
    slanted = 0.55 if rng.random() < 0.45 else 0.0
    bleeding = rng.choice([0.0, 0.15, 0.4])
    panels = []
    for corners in _split(rng, frame, count, slanted, unit):
        if rng.random() < bleeding:
            corners = _bleed(corners, frame, width, height)
        panels.append(Panel(corners, 0.0 if rng.random() < 0.05 else border))
    return panels


def _splash(rng: np.random.Generator, frame: np.ndarray, border: float, width: int, height: int) -> list[Panel]:
    """Return one panel for the whole page, sometimes with a small panel over one corner."""
    corners = _bleed(frame, frame, width, height) if rng.random() < 0.6 else frame
    panels = [Panel(corners, border, splash=True)]
    if rng.random() < 0.5:
        across, down = rng.uniform(0.3, 0.45), rng.uniform(0.18, 0.28)
        x = rng.choice([0.07, 0.93 - across]) * width
        y = rng.choice([0.06, 0.94 - down]) * height
        box = [[x, y], [x + across * width, y], [x + across * width, y + down * height], [x, y + down * height]]
        panels.append(Panel(np.array(box), border))
    return panels


def _split(rng: np.random.Generator, quad: np.ndarray, count: int, slanted: float, unit: float) -> list[np.ndarray]:
    if count == 1:
        return [quad]
    across, down = np.ptp(quad, axis=0)
    rows = rng.random() < (0.9 if down > 1.15 * across else 0.04 if across > 1.35 * down else 0.5)
    first = 1 if count == 2 else int(np.clip(round(count * rng.uniform(0.3, 0.7)), 1, count - 1))
    share = float(np.clip(first / count + rng.uniform(-0.1, 0.1), 0.28, 0.72))
    slant = rng.uniform(-0.09, 0.09) if rng.random() < slanted else 0.0
    for along_rows in (rows, not rows):
        gutter = rng.uniform(*(ROW_GUTTER if along_rows else COLUMN_GUTTER)) * unit
        one, two = _cut(quad, share, slant, gutter, along_rows)
        if min(np.ptp(one, axis=0).min(), np.ptp(two, axis=0).min()) >= MIN_SIDE * unit:
            return _split(rng, one, first, slanted, unit) + _split(rng, two, count - first, slanted, unit)
    return [quad]


def _cut(quad: np.ndarray, share: float, slant: float, gutter: float, rows: bool) -> tuple[np.ndarray, np.ndarray]:
    """Cut a quadrilateral in two across its height (`rows`) or its width, leaving a gutter."""
    corners = quad if rows else quad[[0, 3, 2, 1]]
    start, end = corners[3] - corners[0], corners[2] - corners[1]
    a, b = share - slant / 2, share + slant / 2
    half = np.array([gutter / 2 / np.linalg.norm(start), gutter / 2 / np.linalg.norm(end)])
    one = np.array([corners[0], corners[1], corners[1] + (b - half[1]) * end, corners[0] + (a - half[0]) * start])
    two = np.array([corners[0] + (a + half[0]) * start, corners[1] + (b + half[1]) * end, corners[2], corners[3]])
    return (one, two) if rows else (one[[0, 3, 2, 1]], two[[0, 3, 2, 1]])


def _bleed(corners: np.ndarray, frame: np.ndarray, width: int, height: int) -> np.ndarray:
    """Move the sides on the frame beyond the edge of the page."""
    moved = corners.copy()
    for axis, size in ((0, width), (1, height)):
        low, high = frame[:, axis].min(), frame[:, axis].max()
        moved[np.isclose(corners[:, axis], low), axis] = -0.02 * size
        moved[np.isclose(corners[:, axis], high), axis] = 1.02 * size
    return moved
