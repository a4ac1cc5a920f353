"""Abstract backgrounds: screentone, gradients, speed and focus lines, black, patterns."""

import numpy as np

Canvas = np.ndarray  # (height, width) uint8, 0 black to 255 white


def halftone(level: np.ndarray | float, height: int, width: int, pitch: float, angle: float) -> Canvas:
    """Return a halftone of `level` (0 white to 1 black, a number or an array), with soft edges.

    `pitch` is the distance of dots in pixels, `angle` the direction of the screen in degrees.
    """
    turn = 2 * np.pi / pitch
    across = turn * np.cos(np.radians(angle)), turn * np.sin(np.radians(angle))
    wave = _wave(height, width, *across) + _wave(height, width, -across[1], across[0])
    spot = 0.5 + 0.25 * wave  # (height, width), near-uniform in [0, 1]
    ink = (np.asarray(level, np.float32) - spot) * np.float32(pitch * 0.9) + 0.5
    return (255 - 255 * np.clip(ink, 0, 1)).astype(np.uint8)


def _wave(height: int, width: int, across: float, down: float) -> np.ndarray:
    """Return cos(across x + down y) by two outer products instead of one cosine per pixel."""
    x = (across * np.arange(width)).astype(np.float32)
    y = (down * np.arange(height)).astype(np.float32)
    return np.cos(y)[:, None] * np.cos(x)[None] - np.sin(y)[:, None] * np.sin(x)[None]


def plain_tone(rng: np.random.Generator, height: int, width: int, unit: float) -> Canvas:
    """Return an even screentone."""
    pitch = float(rng.choice([4.5, 6, 8, 10, 14])) * unit
    angle = float(rng.choice([45, 45, 15, 75, 0]))
    return halftone(rng.uniform(0.12, 0.5), height, width, max(3.0, pitch), angle)


def gradient_tone(rng: np.random.Generator, height: int, width: int, unit: float) -> Canvas:
    """Return a screentone that fades across the panel or outwards from a point."""
    y, x = np.linspace(0, 1, height, dtype=np.float32)[:, None], np.linspace(0, 1, width, dtype=np.float32)[None]
    if rng.random() < 0.3:
        ramp = np.sqrt((x - rng.uniform(0.2, 0.8)) ** 2 + (y - rng.uniform(0.2, 0.8)) ** 2) * 1.3
    else:
        turn = rng.choice([np.pi / 2, -np.pi / 2, rng.uniform(-np.pi, np.pi)])
        ramp = 0.5 + (x - 0.5) * np.cos(turn) + (y - 0.5) * np.sin(turn)
    low, high = rng.uniform(-0.25, 0.1), rng.uniform(0.4, 0.95)
    pitch = max(3.0, float(rng.choice([5, 7, 9, 12])) * unit)
    return halftone(low + (high - low) * np.clip(ramp, 0, 1), height, width, pitch, 45.0)


def speed_lines(rng: np.random.Generator, height: int, width: int, unit: float) -> Canvas:
    """Return parallel streaks of motion, thick and thin."""
    black = rng.random() < 0.2
    canvas = np.full((height, width), 0 if black else 255, np.uint8)
    angle = rng.choice([0.0, 0.0, np.pi / 2, rng.uniform(-0.6, 0.6)])
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    reach = np.hypot(height, width)
    for offset in rng.uniform(-0.55, 0.55, int(rng.integers(40, 130))) * reach:
        start, length = rng.uniform(-0.6, 0.3) * reach, rng.uniform(0.25, 1.1) * reach
        half = rng.exponential(1.1) * unit + 0.4
        base = np.array([width, height]) / 2 + across * offset + along * start
        wedge = [base - across * half, base + along * length, base + across * half]
        _fill(canvas, wedge, 255 if black else 0)
    return canvas


def focus_lines(
    rng: np.random.Generator, height: int, width: int, unit: float, centre: tuple[float, float] | None = None
) -> Canvas:
    """Return wedges that point at a clear spot, the focus lines (集中線) of surprise."""
    black = rng.random() < 0.25
    canvas = np.full((height, width), 0 if black else 255, np.uint8)
    x, y = centre or (width * rng.uniform(0.35, 0.65), height * rng.uniform(0.35, 0.65))
    reach = np.hypot(height, width)
    clear = rng.uniform(0.22, 0.42) * min(height, width) + 30 * unit
    count = int(rng.integers(70, 190))
    turns = np.linspace(0, 2 * np.pi, count, endpoint=False) + rng.uniform(-0.03, 0.03, count)
    for turn in turns:
        near = clear * rng.uniform(0.85, 1.6)
        spread = rng.exponential(0.006) + 0.002
        tip = (x + near * np.cos(turn) * 1.15, y + near * np.sin(turn))
        far = [(x + reach * np.cos(turn + s), y + reach * np.sin(turn + s)) for s in (-spread, spread)]
        _fill(canvas, [tip, *far], 255 if black else 0)
    return canvas


def black_halo(
    rng: np.random.Generator, height: int, width: int, unit: float, centre: tuple[float, float] | None = None
) -> Canvas:
    """Return a black background, usually with a ragged or soft white glow."""
    canvas = np.zeros((height, width), np.uint8)
    kind = rng.random()
    if kind < 0.25:
        return canvas
    x, y = centre or (width * rng.uniform(0.35, 0.65), height * rng.uniform(0.35, 0.65))
    radius = rng.uniform(0.3, 0.5) * min(height, width)
    if kind < 0.6:
        turns = np.linspace(0, 2 * np.pi, 120, endpoint=False)
        radii = radius * np.where(np.arange(120) % 2, rng.uniform(1.0, 1.7, 120), rng.uniform(0.8, 1.0, 120))
        _fill(canvas, np.stack([x + radii * np.cos(turns), y + radii * np.sin(turns)], axis=1), 255)
        return canvas
    down, across = np.arange(height, dtype=np.float32)[:, None] - y, np.arange(width, dtype=np.float32)[None] - x
    level = np.clip(np.sqrt(down**2 + across**2) / radius - 0.6, 0, 1.2)
    return halftone(level, height, width, max(4.0, 8 * unit), 45.0)


def pattern(rng: np.random.Generator, height: int, width: int, unit: float) -> Canvas:
    """Return a decorative pattern: rings, flowers, sparkles or hatching."""
    import cv2

    canvas = plain_tone(rng, height, width, unit) if rng.random() < 0.4 else np.full((height, width), 255, np.uint8)
    kind = rng.choice(["rings", "flowers", "sparkles", "hatching"])
    if kind == "hatching":
        return _hatching(rng, canvas, unit)
    for _ in range(int(rng.integers(8, 34))):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        radius = rng.uniform(8, 62) * unit
        line = max(1, round(rng.uniform(1, 3) * unit))
        if kind == "rings":
            cv2.circle(canvas, (x, y), round(radius), 255, -1, cv2.LINE_AA)
            cv2.circle(canvas, (x, y), round(radius), 0, line, cv2.LINE_AA)
            if rng.random() < 0.4:
                cv2.ellipse(canvas, (x, y), (round(radius * 0.7),) * 2, 0, 190, 250, 0, line, cv2.LINE_AA)
            continue
        turns = np.linspace(0, 2 * np.pi, 60, endpoint=False) + rng.uniform(0, 2)
        if kind == "flowers":
            radii = radius * (0.55 + 0.45 * np.abs(np.cos(2.5 * turns)))
        else:
            radii = radius * 0.12 / (0.09 + np.abs(np.sin(2 * turns)))
        outline = np.stack([x + radii * np.cos(turns), y + radii * np.sin(turns)], axis=1)
        _fill(canvas, outline, 255)
        cv2.polylines(canvas, [_fixed(outline)], True, 0, line, cv2.LINE_AA, 4)
        if kind == "flowers":
            cv2.circle(canvas, (x, y), max(2, round(radius * 0.2)), 0, line, cv2.LINE_AA)
    return canvas


def _hatching(rng: np.random.Generator, canvas: Canvas, unit: float) -> Canvas:
    import cv2

    height, width = canvas.shape
    reach = height + width
    for slope in ((1, 1), (1, -1))[: int(rng.integers(1, 3))]:
        for offset in np.arange(-reach, reach, rng.uniform(7, 16) * unit):
            start = np.array([offset, 0 if slope[1] > 0 else height]) + rng.normal(0, 1.5, 2)
            line = np.stack([start, start + np.array(slope) * reach])
            cv2.polylines(canvas, [_fixed(line)], False, 60, 1, cv2.LINE_AA, 4)
    return canvas


def _fixed(points: np.ndarray | list) -> np.ndarray:
    """Return points in OpenCV's fixed-point format for sub-pixel accuracy, `shift=4`."""
    return np.round(np.asarray(points, float) * 16).astype(np.int32)


def _fill(canvas: Canvas, outline: np.ndarray | list, value: int) -> None:
    import cv2

    cv2.fillPoly(canvas, [_fixed(outline)], value, cv2.LINE_AA, 4)
