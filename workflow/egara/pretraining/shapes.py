"""Shapes of ours for training the detector: hair that makes a head larger than its face, and things that are no heads.

The held-out kits have little hair that stands off the head, and round heads without any; a detector that learned only
from them would frame the face and leave the hair, and take clocks and flowers for heads.
"""

import numpy as np

from egara.pretraining.characters import Figure

FILLS = (255, 255, 255, 20, 20, 140, 190)
ROOM = 0.45  # of the figure's larger side is added around it for hair


def add_hair(figure: Figure, draw: np.random.Generator) -> Figure:
    """Put a mane, tails, a bun or a hat behind a head; what is seen of it belongs to the head."""
    left, top, right, bottom = figure.box
    if right - left < 8 or bottom - top < 8:
        return figure
    room = round(ROOM * max(right - left, bottom - top))
    grey, alpha, head = (
        np.pad(layer, room, constant_values=paper)
        for layer, paper in ((figure.grey, 255), (figure.alpha, 0), (figure.head, 0))
    )
    across, down = right - left, bottom - top
    middle = np.array([(left + right) / 2, top + 0.45 * down]) + room
    kind, mirror = draw.random(), 1 if draw.random() < 0.5 else -1
    if kind < 0.4:  # a mane, down to the shoulders or only around the skull
        length = draw.uniform(0.5, 1.0)
        radii = across * draw.uniform(0.5, 0.85), down * 0.5 * (0.6 + length)
        lobes = [(middle + [0, (length - 0.55) * 0.4 * down], radii, 0.0)]
    elif kind < 0.75:  # tails on one side or both
        radii = across * draw.uniform(0.12, 0.28), down * draw.uniform(0.25, 0.5)
        reach, fall, tilt = draw.uniform(0.42, 0.62) * across, draw.uniform(-0.3, 0.35) * down, draw.uniform(-0.5, 0.5)
        sides = (-1, 1) if draw.random() < 0.65 else (mirror,)
        lobes = [(middle + [side * reach, fall], radii, side * tilt) for side in sides]
    else:  # a bun or a hat
        radii = across * draw.uniform(0.15, 0.5), down * draw.uniform(0.15, 0.4)
        lobes = [(middle + [mirror * draw.uniform(0, 0.2) * across, -0.6 * down], radii, 0.0)]
    under, cover = np.full_like(grey, 255), np.zeros_like(alpha)
    fill, line, strands = int(draw.choice(FILLS)), int(draw.integers(1, 6)), draw.random() < 0.5
    wobble = draw.uniform(0.0, 0.12), int(draw.integers(3, 22))
    for place, radii, tilt in lobes:
        outline = _blob(place, radii, tilt, *wobble, draw)
        _paint(under, cover, outline, fill, line)
        if strands:
            _strand(under, cover, place, radii, tilt, 255 if fill < 60 else 20, max(1, line // 2), draw)
    share = alpha / np.float32(255)
    grey = np.rint(share * grey + (1 - share) * under).astype(np.uint8)
    # Only above the shoulders: hair that lies on the body would be drawn over it, not behind.
    return Figure(grey, np.maximum(alpha, cover), np.maximum(head, np.where(alpha > 128, 0, cover)))


def draw_thing(size: float, draw: np.random.Generator) -> Figure:
    """Draw something round or jagged, about `size` pixels, with marks inside: a thing that is no head."""
    import cv2

    side = max(12, round(1.5 * size))
    grey, alpha = np.full((side, side), 255, np.uint8), np.zeros((side, side), np.uint8)
    middle, radius = np.full(2, side / 2), size / 2
    fill, line = int(draw.choice(FILLS)), int(draw.integers(1, max(2, side // 24) + 1))
    waves = int(draw.choice([0, 4, 5, 8, 13, 24]))
    radii = radius * draw.uniform(0.6, 1, 2)
    _paint(grey, alpha, _blob(middle, radii, 0.0, draw.uniform(0.05, 0.25) if waves else 0.0, waves, draw), fill, line)
    ink = 255 if fill < 60 else 20
    kind = draw.random()
    if kind < 0.3:  # spokes or rays, as of a wheel, a clock or a flower
        for angle in np.arange(int(draw.integers(2, 14))) * 2 * np.pi / int(draw.integers(5, 14)):
            ends = [middle + radii * share * [np.cos(angle), np.sin(angle)] for share in (draw.uniform(0, 0.7), 0.85)]
            cv2.line(grey, *(tuple(int(v) for v in end) for end in ends), ink, line, cv2.LINE_AA)
    elif kind < 0.65:  # spots
        for _ in range(int(draw.integers(1, 8))):
            place = middle + radii * draw.uniform(-0.6, 0.6, 2)
            spot = tuple(max(1, int(v)) for v in radii * draw.uniform(0.05, 0.3, 2))
            cv2.ellipse(
                grey, tuple(int(v) for v in place), spot, 0, 0, 360, ink, int(draw.choice([-1, line])), cv2.LINE_AA
            )
    elif kind < 0.85:  # strokes
        for _ in range(int(draw.integers(2, 12))):
            ends = middle + radii * draw.uniform(-0.65, 0.65, (2, 2))
            cv2.line(grey, *(tuple(int(v) for v in end) for end in ends), ink, line, cv2.LINE_AA)
    return Figure(grey, alpha, np.zeros_like(alpha))


def _blob(
    middle: np.ndarray, radii: tuple[float, float], tilt: float, depth: float, waves: int, draw: np.random.Generator
) -> np.ndarray:
    """Return a closed outline (120, 2): an ellipse, bent at random, with `waves` bumps of `depth`."""
    angle = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    distance = 1 + depth * np.cos(waves * angle + draw.uniform(0, 6))
    for number in (2, 3):
        distance += draw.normal(0, 0.05) * np.cos(number * angle + draw.uniform(0, 6))
    points = np.stack([np.cos(angle) * radii[0], np.sin(angle) * radii[1]], axis=1) * distance[:, None]
    turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    return points @ turn.T + middle


def _paint(grey: np.ndarray, alpha: np.ndarray, outline: np.ndarray, fill: int, line: int) -> None:
    import cv2

    points = [np.rint(outline * 16).astype(np.int32)]
    cv2.fillPoly(grey, points, fill, cv2.LINE_AA, 4)
    cv2.polylines(grey, points, True, 10, line, cv2.LINE_AA, 4)
    cv2.fillPoly(alpha, points, 255, cv2.LINE_AA, 4)
    cv2.polylines(alpha, points, True, 255, line, cv2.LINE_AA, 4)


def _strand(
    grey: np.ndarray,
    alpha: np.ndarray,
    middle: np.ndarray,
    radii: tuple[float, float],
    tilt: float,
    ink: int,
    line: int,
    draw: np.random.Generator,
) -> None:
    """Draw wavy hairs down a lobe, in place; some leave it."""
    import cv2

    share = np.linspace(-1, 1, 24)
    swing, pitch = draw.uniform(0, 0.12), draw.uniform(2, 9)
    for across in np.linspace(-0.85, 0.85, int(draw.integers(4, 16))) + draw.normal(0, 0.05):
        x = radii[0] * (across * np.sqrt(np.maximum(0, 1.05 - share**2)) + swing * np.sin(pitch * share))
        y = radii[1] * share * draw.uniform(0.85, 1.1)
        points = np.stack([x * np.cos(tilt) - y * np.sin(tilt), x * np.sin(tilt) + y * np.cos(tilt)], axis=1) + middle
        points = [np.rint(points * 16).astype(np.int32)]
        cv2.polylines(grey, points, False, ink, line, cv2.LINE_AA, 4)
        cv2.polylines(alpha, points, False, 255, line, cv2.LINE_AA, 4)
