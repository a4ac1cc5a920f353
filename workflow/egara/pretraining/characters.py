"""Figures for training the detector: drawn once from the held-out kits, then varied anew each time they are shown.

A dozen kits are few. Every showing therefore changes what differs from artist to artist: stroke width, how hair and
skin are filled, proportions, and whether lines wobble. The variation is ours; nobody drew these faces.
"""

from dataclasses import dataclass

import numpy as np

from egara.seeds import stream

SIDE = 240  # pixels of a drawing: its head is then as large as the largest face at the working scale


@dataclass(frozen=True)
class Figure:
    """A figure on a transparent ground: `grey`, `alpha` and `head` (what of it is head), uint8 (h, w) each."""

    grey: np.ndarray
    alpha: np.ndarray
    head: np.ndarray

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the head in the figure's pixels."""
        rows, columns = np.flatnonzero(self.head.max(axis=1) > 64), np.flatnonzero(self.head.max(axis=0) > 64)
        if not len(rows):
            return (0, 0, 0, 0)
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def draw_figures(styles: list[str], per_style: int, seed: int) -> list[Figure]:
    """Draw `per_style` figures of each style, upright; the names of characters hold the seed."""
    from egara.demo.drawings import draw_figure
    from egara.io.progress import track

    figures = []
    jobs = [(style, number) for style in styles for number in range(per_style)]
    for style, number in track(jobs, len(jobs), "figure"):
        draw = stream(seed, "detector", style, number)
        palette = "own" if draw.random() < 0.25 else "manga"
        drawing = draw_figure(style, f"detector-{seed}-{number}", "0", size=SIDE, palette=palette)
        grey, alpha = (np.asarray(drawing.image.getchannel(band)) for band in "LA")
        head = np.zeros_like(alpha)
        left, top, right, bottom = drawing.head
        head[top:bottom, left:right] = alpha[top:bottom, left:right]
        rows, columns = np.flatnonzero(alpha.max(axis=1)), np.flatnonzero(alpha.max(axis=0))
        window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        figures.append(Figure(grey[window].copy(), alpha[window].copy(), head[window].copy()))
    return figures


def vary(figure: Figure, height: float, draw: np.random.Generator) -> Figure:
    """Return the figure redrawn by chance, its head `height` pixels high before it is warped."""
    top, bottom = figure.box[1], figure.box[3]
    figure = Figure(refill(figure.grey, figure.alpha, draw), figure.alpha, figure.head)
    return warp(figure, height / max(1, bottom - top), draw)


def refill(grey: np.ndarray, alpha: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Change fills and strokes of a figure: solid black hollowed, greys moved, lines thicker or thinner."""
    import cv2

    ink = np.where(alpha > 64, grey, 255).astype(np.uint8)
    if draw.random() < 0.35:  # solid black becomes an outline around white, a grey or hatching
        solid = cv2.erode((ink < 70).astype(np.uint8), np.ones((7, 7), np.uint8))
        solid = cv2.dilate(solid, np.ones((3, 3), np.uint8)) > 0
        ink = np.where(solid, _fill(ink.shape, draw), ink)
    kind = draw.random()
    if kind < 0.3:  # lines only
        ink = np.where(ink < draw.integers(50, 110), ink, 255)
    elif kind < 0.6:  # the kit's greys move, whites and blacks stay
        middle = (ink > 60) & (ink < 235)
        level, spread = draw.uniform(0, 255), draw.uniform(0, 1)
        moved = (level + spread * (ink.astype(float) - 150)).clip(0, 255)
        ink = np.where(middle, _fill(ink.shape, draw) if draw.random() < 0.4 else moved, ink)
    elif kind < 0.7:  # skin and paper darken
        ink = np.where(ink > 60, ink * draw.uniform(0.45, 0.95), ink)
    ink = ink.astype(np.uint8)
    if draw.random() < 0.5:
        thicker = draw.random() < 0.6
        size = int(draw.integers(2, 5 if thicker else 4))
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
        strokes = (cv2.erode if thicker else cv2.dilate)(ink, kernel)
        # Strokes thinner than the kernel would vanish, and with them the face.
        if (strokes < 128).sum() > 0.3 * (ink < 128).sum():
            ink = strokes
    return ink


def _fill(shape: tuple[int, int], draw: np.random.Generator) -> np.ndarray:
    """Return a flat grey, hatching or screentone."""
    kind = draw.random()
    if kind < 0.5:
        return np.full(shape, draw.choice([255, 255, 255, 200, 150, 100]), np.uint8)
    y, x = np.mgrid[: shape[0], : shape[1]]
    angle, bend = draw.uniform(0, np.pi), draw.uniform(0, 3)
    across, along = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    pitch = 2 * np.pi / draw.uniform(5, 14)
    dots = np.cos(pitch * along) if kind < 0.75 else 1
    wave = np.cos(pitch * across + (bend * np.sin(y / 25) if kind >= 0.75 else 0)) * dots
    return np.where(wave > draw.uniform(-0.2, 0.8), 20, 255).astype(np.uint8)


def warp(figure: Figure, scale: float, draw: np.random.Generator) -> Figure:
    """Scale, mirror, tilt, stretch, shear and bend a figure."""
    import cv2

    height, width = figure.grey.shape
    stretch, tilt, shear = np.exp(draw.normal(0, 0.1)), np.deg2rad(draw.normal(0, 9)), draw.normal(0, 0.08)
    sign = 1 if draw.random() < 0.5 else -1
    turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    matrix = scale * turn @ np.array([[sign * stretch, shear], [0, 1 / stretch]])
    corners = matrix @ (np.array([[0, width, 0, width], [0, 0, height, height]]) - [[width / 2], [height / 2]])
    columns, rows = (int(np.ceil(np.ptp(corners[axis]))) + 8 for axis in (0, 1))
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    points = np.stack([x.ravel() - columns / 2, y.ravel() - rows / 2])
    if draw.random() < 0.6:
        bend = draw.normal(0, 0.03 * min(rows, columns), (2, 4, 4)).astype(np.float32)
        points = points + np.stack(
            [cv2.resize(b, (columns, rows), interpolation=cv2.INTER_CUBIC).ravel() for b in bend]
        )
    source = np.linalg.inv(matrix) @ points + [[width / 2], [height / 2]]
    maps = source.reshape(2, rows, columns).astype(np.float32)
    blur = max(0.0, 0.45 / scale - 0.35)  # remap does not average: blur first, as a smaller drawing would
    layers = np.dstack([np.where(figure.alpha > 0, figure.grey, 255), figure.alpha, figure.head])
    layers = cv2.GaussianBlur(layers, (0, 0), blur) if blur > 0.2 else layers
    paper = (255, 0, 0)
    layers = cv2.remap(layers, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=paper)
    return Figure(*(np.ascontiguousarray(layers[..., band]) for band in range(3)))
