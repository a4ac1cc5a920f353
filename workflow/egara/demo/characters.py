"""Figures for pages: with a given head height, and a body where the artist drew only a head."""

from dataclasses import dataclass

import numpy as np

from egara.demo.artists import find_style
from egara.demo.drawings import draw_figure
from egara.demo.grounds import halftone
from egara.seeds import stream

# Rendering time grows with the pixels; drawings of larger sides are rendered at these and enlarged.
MAX_SIDE = 320
MAX_SIDE_OUTLINED = 220
# Kits whose drawings reach from head to lower edge; heads of other kits get a generated body.
BODIED = ("notionists", "open-peeps", "micah", "personas", "toon-head", "miniavs", "pixel-art", "voxel-art")


@dataclass(frozen=True)
class Figure:
    """A figure on a transparent background.

    Attributes
    ----------
    grey, alpha : (height, width) uint8.
    head : (left, top, right, bottom) of the head, in whole pixels of `grey`.
    bodied : whether the artist drew the shoulders.
    """

    grey: np.ndarray
    alpha: np.ndarray
    head: tuple[int, int, int, int]
    bodied: bool


def render_figure(
    style: str, character: str, moment: str, part: int, parts: int, height: float, tilt: float, mirrored: bool
) -> Figure:
    """Render a figure whose head is `height` pixels high, for any kit and hair."""
    import cv2
    from PIL import Image

    kit = find_style(style)
    size = height / (kit.head[3] - kit.head[1])
    side = round(min(max(size, 40), MAX_SIDE if kit.line else MAX_SIDE_OUTLINED))
    own = not kit.line and stream(style, character, "palette").random() < 0.2
    drawing = draw_figure(
        style, character, moment, part=part, parts=parts, size=side, tilt=tilt, mirrored=mirrored,
        palette="own" if own else "manga",
    )  # fmt: skip
    image = drawing.image
    box = _without_hands(np.asarray(image)[..., 1], drawing.head) if style in BODIED else drawing.head
    scale = height / (box[3] - box[1])
    if scale < 0.97 or scale > 1.03:
        shape = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        image = image.resize(shape, Image.Resampling.BILINEAR if scale < 1 else Image.Resampling.BICUBIC)
    layers = np.asarray(image)
    if scale > 1.3:
        soft = cv2.GaussianBlur(layers, (0, 0), 0.6 * scale)
        layers = cv2.addWeighted(layers, 2.0, soft, -1.0, 0)
    scale = image.width / drawing.image.width
    head = tuple(round(value * scale) for value in box)
    return _outline(Figure(layers[..., 0], layers[..., 1], head, style in BODIED), max(1, round(height / 110)))


def _without_hands(alpha: np.ndarray, box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Narrow a head box to the head: a raised hand or a shoulder may reach into the kit's head window."""
    import cv2

    left, top, right, bottom = box
    upper = alpha[top : bottom - (bottom - top) // 5, left:right] > 64
    count, _, parts, _ = cv2.connectedComponentsWithStats(upper.astype(np.uint8))
    if count < 2:
        return box
    x, y, across, _, _ = parts[1 + int(parts[1:, cv2.CC_STAT_AREA].argmax())]
    return int(left + x), int(top + y), int(left + x + across), bottom


def _outline(figure: Figure, width: int) -> Figure:
    """Draw a line around the light parts of a silhouette, so that white hair is visible on white paper."""
    import cv2

    pad = width + 1
    grey = cv2.copyMakeBorder(figure.grey, 0, 0, pad, pad, cv2.BORDER_CONSTANT, value=0)
    alpha = cv2.copyMakeBorder(figure.alpha, 0, 0, pad, pad, cv2.BORDER_CONSTANT, value=0)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    light = np.where((grey > 150) & (alpha > 100), alpha, 0)
    ring = cv2.GaussianBlur(cv2.dilate(light, kernel), (3, 3), 0)
    share = alpha / np.float32(255)
    grown = np.maximum(alpha, ring)
    grey = np.round(grey * share / np.maximum(grown / np.float32(255), 1e-3)).clip(0, 255).astype(np.uint8)
    left, top, right, bottom = figure.head
    return Figure(grey, grown, (left + pad, top, right + pad, bottom), figure.bodied)


def add_body(
    rng: np.random.Generator, figure: Figure, bottom: int, line: float, standing: bool = False
) -> tuple[Figure, int]:
    """Add a generated body, outside the head box, to a head without one.

    `bottom` is the height of the body below the head in pixels: shoulders that run out of the panel, or a small whole
    person where `standing`. Returns the figure and the shift of its origin to the left.
    """
    left, top, right, lower = figure.head
    across, down = right - left, lower - top
    half = rng.uniform(0.6, 0.95) * min(across, 1.1 * down)
    half = 0.75 * half if standing else half
    middle = (left + right) / 2
    before, after = max(0, int(half - middle) + 6), max(0, int(middle + half - figure.grey.shape[1]) + 6)
    rows, columns = figure.grey.shape
    grey = np.full((max(rows, lower + bottom), columns + before + after), 255, np.uint8)
    alpha = np.zeros_like(grey)
    x, neck, end = middle + before, 0.16 * across, lower + bottom
    cloth, line = int(rng.choice([255, 255, 20, 170])), max(1, round(line))
    slope = rng.uniform(0.18, 0.34) * down
    hip = lower + 0.45 * bottom if standing else end + 8

    def paint(points: list, value: int, ink: int = 0, closed: bool = True) -> None:
        shape = np.array(points, float) + [x, 0]
        if closed:
            _fill(grey, shape, value)
            _fill(alpha, shape, 255)
        _stroke(grey, shape, ink, line, closed)
        _stroke(alpha, shape, 255, line, closed)

    if standing:
        trousers = int(rng.choice([255, 20, 170, 120]))
        for side in (-1, 1):
            foot = side * half * rng.uniform(0.35, 0.7)
            paint([(0, hip - 6), (side * half * 0.7, hip - 6), (foot + side * half * 0.2, end - line),
                   (foot - side * half * 0.25, end - line)], trousers)  # fmt: skip
    turn = np.linspace(0, np.pi / 2, 8)
    shoulder = np.stack([neck + (half - neck) * np.sin(turn), lower + slope * (1 - np.cos(turn)) ** 0.8], axis=1)
    flank = [(half * (0.8 if standing else 1.04), hip)]
    side = np.concatenate([[(neck, lower - 0.12 * down)], shoulder, flank])
    paint(np.concatenate([side, side[::-1] * [-1, 1]]).tolist(), cloth)
    ink = 255 if cloth < 60 else 0
    for sign in (-1, 1):
        armpit = sign * half * 0.7
        paint([(armpit, lower + 1.3 * slope), (armpit * 0.96, min(hip, lower + 4 * slope))], cloth, ink, closed=False)
    collar = [(-neck, lower), (0, lower + 0.6 * slope), (neck, lower)]
    if rng.random() < 0.6:
        paint([*collar, (neck, lower - 0.12 * down), (-neck, lower - 0.12 * down)], 255, ink)
    if rng.random() < 0.4:
        paint([(0, lower + 0.6 * slope), (0, hip)], cloth, ink, closed=False)
    place = (slice(0, rows), slice(before, before + columns))
    share = figure.alpha / np.float32(255)
    grey[place] = np.round(grey[place] + (figure.grey - grey[place].astype(np.float32)) * share).astype(np.uint8)
    alpha[place] = np.maximum(alpha[place], figure.alpha)
    return Figure(grey, alpha, (left + before, top, right + before, lower), True), before


def tone_greys(figure: Figure, level: float, pitch: float) -> Figure:
    """Replace flat greys inside a figure by screentone: `level` of ink, dots `pitch` pixels apart."""
    import cv2

    flat = cv2.inRange(figure.grey, 91, 224)
    flat = cv2.erode(flat, np.ones((3, 3), np.uint8)) > 0
    if not flat.any():
        return figure
    grey = np.where(flat, halftone(level, *figure.grey.shape, pitch, 45.0), figure.grey)
    return Figure(grey, figure.alpha, figure.head, figure.bodied)


def _fill(canvas: np.ndarray, points: np.ndarray, value: int) -> None:
    import cv2

    cv2.fillPoly(canvas, [np.round(points * 16).astype(np.int32)], value, cv2.LINE_AA, 4)


def _stroke(canvas: np.ndarray, points: np.ndarray, value: int, width: int, closed: bool) -> None:
    import cv2

    cv2.polylines(canvas, [np.round(points * 16).astype(np.int32)], closed, value, width, cv2.LINE_AA, 4)
