"""Speech balloons with made-up writing, and sound effects in brush strokes: no font is needed."""

from dataclasses import dataclass

import numpy as np

Canvas = np.ndarray  # (height, width) uint8, 0 black to 255 white
SHAPES = ("ellipse", "ellipse", "ellipse", "cloud", "burst", "box", "blob")
GLYPHS = 48
ATLAS = 40  # side of a stored glyph in pixels
# Strokes of syllables of sound effects, in a square from -0.5 to 0.5, in writing order.
_VOICED = [[(0.36, -0.56), (0.44, -0.38)], [(0.52, -0.62), (0.6, -0.44)]]
MARKS = {
    "go": [[(-0.4, -0.33), (0.33, -0.33), (0.33, 0.4)], [(-0.4, 0.38), (0.4, 0.38)], *_VOICED],
    "do": [[(-0.12, -0.5), (-0.12, 0.5)], [(-0.1, -0.1), (0.36, 0.16)], *_VOICED],
    "n": [[(-0.42, -0.36), (-0.14, -0.16)], [(-0.42, 0.42), (0.1, 0.22), (0.46, -0.32)]],
    "ba": [[(-0.14, -0.34), (-0.26, 0.06), (-0.48, 0.4)], [(0.12, -0.34), (0.3, 0.02), (0.48, 0.4)], *_VOICED],
    "ga": [
        [(-0.42, -0.2), (0.3, -0.2), (0.26, 0.3), (0.12, 0.36)],
        [(-0.04, -0.5), (-0.1, 0.1), (-0.4, 0.46)],
        *_VOICED,
    ],
    "stop": [
        [(-0.32, -0.02), (-0.22, 0.16)],
        [(-0.04, -0.08), (0.04, 0.1)],
        [(0.34, -0.06), (0.22, 0.24), (-0.1, 0.44)],
    ],
    "za": [
        [(-0.46, -0.14), (0.42, -0.14)],
        [(-0.2, -0.44), (-0.2, 0.12)],
        [(0.18, -0.44), (0.14, 0.14), (-0.14, 0.46)],
        *_VOICED,
    ],
    "ki": [[(-0.36, -0.18), (0.36, -0.3)], [(-0.42, 0.14), (0.42, 0.02)], [(-0.08, -0.5), (0.1, 0.5)]],
    "shi": [
        [(-0.34, -0.42), (-0.12, -0.28)],
        [(-0.46, -0.12), (-0.22, 0.02)],
        [(-0.42, 0.42), (0.12, 0.22), (0.46, -0.28)],
    ],
    "long": [[(-0.06, -0.46), (0.02, 0.0), (-0.04, 0.46)]],
    "ta": [[(-0.12, -0.5), (-0.42, 0.0)], [(-0.18, -0.3), (0.34, -0.3), (-0.24, 0.46)], [(-0.16, -0.04), (0.14, 0.14)]],
}
WORDS = (
    ("go", "go", "go"), ("do", "n"), ("ba", "stop"), ("ga", "n"), ("za", "stop"), ("ki", "stop"), ("shi", "long", "n"),
    ("do", "do", "do"), ("za", "za"), ("ba", "n"), ("ta", "ta", "ta"), ("ga", "ta"), ("do", "stop"), ("shi", "n"),
)  # fmt: skip


@dataclass(frozen=True)
class Balloon:
    """One balloon: outline of shape (n_points, 2), centre, half-axes of the text area, and shape."""

    outline: np.ndarray
    centre: tuple[float, float]
    radii: tuple[float, float]
    shape: str


def sample_glyphs(rng: np.random.Generator) -> np.ndarray:
    """Sample made-up characters, uint8 of shape (GLYPHS, ATLAS, ATLAS) with 255 for ink."""
    import cv2

    glyphs = np.zeros((GLYPHS, ATLAS, ATLAS), np.uint8)
    for glyph in glyphs:
        for _ in range(int(rng.integers(2, 8))):
            kind, width = rng.random(), int(rng.integers(2, 5))
            x, y = rng.integers(6, ATLAS - 6, 2)
            length = int(rng.integers(8, 30))
            if kind < 0.35:
                end = (min(ATLAS - 4, int(x) + length), int(y) + int(rng.integers(-2, 2)))
                cv2.line(glyph, (max(4, int(x) - 8), int(y)), end, 255, width, cv2.LINE_AA)
            elif kind < 0.7:
                end = (int(x) + int(rng.integers(-2, 3)), min(ATLAS - 4, int(y) + length))
                cv2.line(glyph, (int(x), max(4, int(y) - 8)), end, 255, width, cv2.LINE_AA)
            elif kind < 0.85:
                end = (max(4, int(x) - length // 2), min(ATLAS - 4, int(y) + length // 2))
                cv2.line(glyph, (int(x), int(y)), end, 255, width, cv2.LINE_AA)
            else:
                axes = (int(rng.integers(4, 12)), int(rng.integers(4, 12)))
                start = int(rng.integers(0, 360))
                cv2.ellipse(glyph, (int(x), int(y)), axes, 0, start, start + 250, 255, width - 1, cv2.LINE_AA)
    return glyphs


def write_columns(
    rng: np.random.Generator, page: Canvas, glyphs: np.ndarray, box: tuple[float, float, float, float], size: float
) -> None:
    """Draw vertical columns of text from right to left into `box` (left, top, right, bottom), in place."""
    import cv2

    side = max(5, round(size))
    small = [cv2.resize(glyph, (side, side), interpolation=cv2.INTER_AREA) for glyph in glyphs]
    left, top, right, bottom = box
    pitch = side * 1.35
    columns, rows = int((right - left + 0.35 * side) / pitch), int((bottom - top) / (side * 1.06))
    if columns < 1 or rows < 1:
        return
    start = (left + right) / 2 + (columns * pitch - 0.35 * side) / 2 - side
    for column in range(columns):
        length = rows if column < columns - 1 and rng.random() < 0.7 else int(rng.integers(max(1, rows // 2), rows + 1))
        for row in range(length):
            x, y = round(start - column * pitch), round(top + row * side * 1.06)
            if x < 0 or y < 0 or x + side > page.shape[1] or y + side > page.shape[0]:
                continue
            patch = page[y : y + side, x : x + side]
            np.minimum(patch, 255 - small[int(rng.integers(len(small)))], out=patch)


def shape_balloon(
    rng: np.random.Generator, centre: tuple[float, float], radii: tuple[float, float], shape: str
) -> Balloon:
    """Return a balloon's outline around `centre` with half-axes near `radii`."""
    turns = np.linspace(0, 2 * np.pi, 144, endpoint=False)
    scale = np.ones_like(turns)
    power = 1.0
    if shape == "cloud":
        scale = 0.9 + 0.16 * np.abs(np.sin(turns * int(rng.integers(9, 15)) / 2 + rng.uniform(0, 3)))
    elif shape == "burst":
        spikes = np.where(np.arange(len(turns)) % 6 == 0, rng.uniform(1.12, 1.4, len(turns)), 0.94)
        scale = np.interp(np.arange(len(turns)), np.arange(0, len(turns), 3), spikes[::3])
    elif shape == "blob":
        scale = 1 + 0.05 * np.sin(2 * turns + rng.uniform(0, 6)) + 0.04 * np.sin(3 * turns + rng.uniform(0, 6))
        power = 0.75
    elif shape == "box":
        x, y = radii
        corners = np.array([[-x, -y], [x, -y], [x, y], [-x, y]])
        return Balloon(np.asarray(centre) + corners, centre, (x * 0.84, y * 0.86), shape)
    cos, sin = np.cos(turns), np.sin(turns)
    points = np.stack([np.sign(cos) * np.abs(cos) ** power * radii[0], np.sign(sin) * np.abs(sin) ** power * radii[1]])
    return Balloon(np.asarray(centre) + (points * scale).T, centre, (radii[0] * 0.68, radii[1] * 0.7), shape)


def draw_balloon(
    rng: np.random.Generator,
    page: Canvas,
    glyphs: np.ndarray,
    balloon: Balloon,
    *,
    tip: tuple[float, float] | None,
    line: float,
    size: float,
) -> None:
    """Draw a balloon with its text on the page, in place; `tip` is the end of its tail, None for no tail."""
    import cv2

    parts = [balloon.outline]
    if tip is not None:
        way = np.asarray(tip) - balloon.centre
        way = way / max(1.0, float(np.hypot(*way)))
        across = np.array([-way[1], way[0]]) * min(balloon.radii) * rng.uniform(0.16, 0.3)
        root = np.asarray(balloon.centre) + way * 0.5 * np.asarray(balloon.radii)
        parts.append(np.array([root - across, np.asarray(tip), root + across]))
    low = np.floor(np.min([p.min(axis=0) for p in parts], axis=0)).astype(int) - 8
    high = np.ceil(np.max([p.max(axis=0) for p in parts], axis=0)).astype(int) + 8
    low, high = np.maximum(low, 0), np.minimum(high, page.shape[::-1])
    if (high <= low).any():
        return
    patch = page[low[1] : high[1], low[0] : high[0]]
    inside = np.zeros(patch.shape, np.uint8)
    for part in parts:
        cv2.fillPoly(inside, [_fixed(part - low)], 255, cv2.LINE_AA, 4)
    # The border is the ring added by dilation, so a balloon and its tail have one outline.
    ring = max(2, round(line))
    grown = cv2.dilate(inside, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * ring + 1, 2 * ring + 1)))
    dark = balloon.shape in ("burst", "box") and rng.random() < 0.15
    paper, ink = (10, 255) if dark else (255, 0)
    blend = patch + (ink - patch.astype(np.float32)) * (grown / 255.0)
    blend += (paper - blend) * (inside / 255.0)
    patch[:] = np.round(blend).astype(np.uint8)
    if dark:
        patch[:] = 255 - patch
    x, y = balloon.centre
    box = (x - balloon.radii[0], y - balloon.radii[1], x + balloon.radii[0], y + balloon.radii[1])
    write_columns(rng, page, glyphs, box, size)
    if dark:
        patch[:] = 255 - patch


def shape_sound(rng: np.random.Generator, size: float) -> list[np.ndarray]:
    """Return the brush strokes of a sound effect as polygons around (0, 0), with characters `size` pixels high."""
    marks = WORDS[int(rng.integers(len(WORDS)))]
    turn = np.radians(rng.uniform(-25, 25) + (90 if rng.random() < 0.6 else 0))
    along = np.array([np.cos(turn), np.sin(turn)])
    swell, tilt = rng.uniform(-0.18, 0.25), np.radians(rng.uniform(-20, 20))
    cos, sin = np.cos(tilt), np.sin(tilt)
    thick, thin = rng.uniform(0.07, 0.12), rng.uniform(0.015, 0.07)
    polygons = []
    for index, mark in enumerate(marks):
        place = along * size * 1.1 * (index - (len(marks) - 1) / 2)
        scale = size * (1 + swell * (index - (len(marks) - 1) / 2)) * rng.uniform(0.9, 1.1)
        for path in MARKS[mark]:
            points = np.array(path) + rng.normal(0, 0.025, (len(path), 2))
            stroke = _brush(points, thick * rng.uniform(0.85, 1.2), thin)
            polygons.append(place + scale * stroke @ np.array([[cos, sin], [-sin, cos]]))
    return polygons


def draw_sound(page: Canvas, polygons: list[np.ndarray], rim: float, inverse: bool) -> None:
    """Draw a sound effect in place: black with a white rim, or inverse."""
    import cv2

    outer, inner = (0, 255) if inverse else (255, 0)
    for polygon in polygons:
        cv2.polylines(page, [_fixed(polygon)], True, outer, max(2, round(2 * rim)), cv2.LINE_AA, 4)
    for polygon in polygons:
        cv2.fillPoly(page, [_fixed(polygon)], inner, cv2.LINE_AA, 4)


def _brush(path: np.ndarray, thick: float, thin: float) -> np.ndarray:
    """Return a stroke's outline along a path, thick at its start and thin at its end."""
    reach = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    t = np.linspace(0, 1, 16)
    points = np.stack([np.interp(t * reach[-1], reach, path[:, axis]) for axis in (0, 1)], axis=1)
    way = np.gradient(points, axis=0)
    way /= np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-6)
    normal = np.stack([-way[:, 1], way[:, 0]], axis=1) * (thick + (thin - thick) * t**1.5)[:, None]
    return np.concatenate([points + normal, (points - normal)[::-1]])


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.round(np.asarray(points, float) * 16).astype(np.int32)
