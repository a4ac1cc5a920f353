"""Place balloons and sound effects: off every face, with tails towards the speaker."""

import numpy as np

from egara.demo import lettering
from egara.demo.panels import Panel


def letter_page(
    rng: np.random.Generator,
    page: np.ndarray,
    panels: list[Panel],
    boxes: list[tuple[int, int, int, int]],
    unit: float,
) -> None:
    """Add balloons and sound effects in place, off every face; they may touch the hair."""
    height, width = page.shape
    taken = np.zeros(page.shape, bool)
    for left, top, right, bottom in boxes:
        across, down = 0.06 * (right - left), 0.06 * (bottom - top)
        taken[round(top + down) : round(bottom - down), round(left + across) : round(right - across)] = True
    glyphs = lettering.sample_glyphs(rng)
    line, size = rng.uniform(1.6, 3.6) * unit, rng.uniform(14, 21) * unit
    for panel in panels:
        window = panel.window(width, height)
        speakers = [
            b for b in boxes if window[0] <= (b[0] + b[2]) / 2 < window[2] and window[1] <= b[3] < window[3] + 40
        ]
        for _ in range(int(rng.choice([0, 1, 2, 3, 4], p=[0.12, 0.33, 0.32, 0.15, 0.08]))):
            _add_balloon(rng, page, taken, glyphs, window, speakers, line, size * rng.uniform(0.8, 1.25), unit)
        if rng.random() < 0.3:
            _add_sound(rng, page, taken, window, unit)


def _add_balloon(
    rng: np.random.Generator,
    page: np.ndarray,
    taken: np.ndarray,
    glyphs: np.ndarray,
    window: tuple[int, int, int, int],
    speakers: list[tuple[int, int, int, int]],
    line: float,
    size: float,
    unit: float,
) -> None:
    left, top, right, bottom = window
    shape = str(rng.choice(lettering.SHAPES))
    for attempt in range(10):
        shrink = 0.93**attempt
        radii = rng.uniform(42, 92) * unit * shrink, rng.uniform(60, 128) * unit * shrink
        if shape == "box":
            radii = radii[0] * 0.7, radii[1]
        if 2 * radii[0] > 0.9 * (right - left) or 2 * radii[1] > 0.95 * (bottom - top):
            continue
        centre = (
            rng.uniform(left + 0.8 * radii[0], right - 0.8 * radii[0]),
            top + radii[1] * 0.85 + rng.beta(1, 1.8) * (bottom - top - 1.6 * radii[1]),
        )
        balloon = lettering.shape_balloon(rng, centre, radii, shape)
        low, high = _limits(balloon.outline, page.shape, margin=4)
        if taken[low[1] : high[1], low[0] : high[0]].any() and _touches(balloon.outline, taken, low, high):
            continue
        tip = _tail(rng, balloon, speakers, taken) if shape != "box" else None
        lettering.draw_balloon(rng, page, glyphs, balloon, tip=tip, line=line, size=size)
        inner = balloon.outline * 0.92 + np.asarray(balloon.centre) * 0.08
        low, high = _limits(inner, page.shape)
        taken[low[1] : high[1], low[0] : high[0]] = True
        return


def _tail(
    rng: np.random.Generator,
    balloon: lettering.Balloon,
    speakers: list[tuple[int, int, int, int]],
    taken: np.ndarray,
) -> tuple[float, float] | None:
    """Return the end of a balloon's tail, in front of the nearest head; None for no tail."""
    start = np.asarray(balloon.centre)
    if not speakers or rng.random() < 0.15:
        return None
    heads = np.array(speakers, float)
    middles = (heads[:, :2] + heads[:, 2:]) / 2
    nearest = int(np.argmin(np.linalg.norm(middles - start, axis=1)))
    way = middles[nearest] - start
    reach = float(np.hypot(*way))
    for share in np.linspace(0.95, 0.1, 18):
        tip = start + share * way
        x, y = np.clip(np.round(tip).astype(int), 0, np.array(taken.shape[::-1]) - 1)
        if not taken[max(0, y - 6) : y + 7, max(0, x - 6) : x + 7].any():
            longest = 1.9 * max(balloon.radii)
            return tuple(start + way * min(share, longest / max(1.0, reach)))
    return None


def _add_sound(
    rng: np.random.Generator, page: np.ndarray, taken: np.ndarray, window: tuple[int, int, int, int], unit: float
) -> None:
    left, top, right, bottom = window
    for attempt in range(6):
        size = rng.uniform(60, 170) * unit * 0.85**attempt
        strokes = lettering.shape_sound(rng, size)
        place = np.array([rng.uniform(left, right), rng.uniform(top, bottom)])
        strokes = [stroke + place for stroke in strokes]
        low, high = _limits(np.concatenate(strokes), page.shape, margin=8)
        inside = np.prod(high - low) / np.prod(np.ptp(np.concatenate(strokes), axis=0) + 16)
        if (high <= low).any() or inside < 0.8 or taken[low[1] : high[1], low[0] : high[0]].any():
            continue
        lettering.draw_sound(page, strokes, rng.uniform(2, 6) * unit, bool(rng.random() < 0.3))
        taken[low[1] : high[1], low[0] : high[0]] = True
        return


def _limits(points: np.ndarray, shape: tuple[int, int], margin: int = 0) -> tuple[np.ndarray, np.ndarray]:
    low = np.maximum(np.floor(points.min(axis=0)).astype(int) - margin, 0)
    return low, np.minimum(np.ceil(points.max(axis=0)).astype(int) + margin, shape[::-1])


def _touches(outline: np.ndarray, taken: np.ndarray, low: np.ndarray, high: np.ndarray) -> bool:
    import cv2

    inside = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    cv2.fillPoly(inside, [np.round(outline - low).astype(np.int32)], 1)
    return bool((taken[low[1] : high[1], low[0] : high[0]] & (inside > 0)).any())
