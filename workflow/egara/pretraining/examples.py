"""Training pictures for the detector: crops of composed pages, with varied figures laid over some of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from egara.pretraining.characters import Figure, vary
from egara.pretraining.shapes import add_hair, draw_thing
from egara.seeds import stream

# Boxes of which less is visible are neither faces nor background: an ignored region of the loss.
VISIBLE = 0.6
SMALLEST = 16  # working pixels; smaller heads are ignored likewise
SCALES = (0.5, 1.4)
COVERED = -1  # by a figure, though not by its head
LAID = 0.55  # share of pictures with figures laid over them
THING, HAIRED = 0.25, 0.35  # shares of what is laid: things that are no heads, and heads with hair of ours


@dataclass(frozen=True)
class Scene:
    """A page at 1.4 times the working scale: grey uint8 (h, w) and true boxes (n, 4)."""

    image: np.ndarray
    boxes: np.ndarray


@dataclass(frozen=True)
class Example:
    """A training picture: grey uint8 (side, side), boxes of faces (n, 4), boxes of ignored regions (m, 4)."""

    image: np.ndarray
    faces: np.ndarray
    ignored: np.ndarray


def make_scene(image: np.ndarray, boxes: np.ndarray, working: float) -> Scene:
    """Scale a page for training; `working` is its factor to the working scale."""
    import cv2

    factor = min(1.0, working * SCALES[1])
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    return Scene(cv2.resize(image, size, interpolation=cv2.INTER_AREA), boxes * factor)


def draw_example(scenes: Sequence[Scene], figures: Sequence[Figure], side: int, draw: np.random.Generator) -> Example:
    """Draw one training picture of `side` pixels.

    Parameters
    ----------
    scenes : composed pages.
    figures : figures that are varied and laid over every other picture.
    """
    image, boxes = crop(scenes[draw.integers(len(scenes))], side, draw)
    if draw.random() < LAID:
        image, boxes = lay_figures(image, boxes, figures, draw)
    image = degrade(image, draw)
    if draw.random() < 0.5:
        image = np.ascontiguousarray(image[:, ::-1])
        boxes[:, [0, 2]] = side - boxes[:, [2, 0]]
    clipped = boxes[:, :4].clip(0, side)
    seen = (
        np.prod(clipped[:, 2:] - clipped[:, :2], axis=1) / np.prod(boxes[:, 2:4] - boxes[:, :2], axis=1) * boxes[:, 4]
    )
    large = (boxes[:, 2:4] - boxes[:, :2]).min(axis=1) >= SMALLEST
    # A cut head keeps the box of what is seen: that is also what a true box at a panel's edge would be.
    return Example(image, clipped[(seen >= VISIBLE) & large], clipped[(seen > 0.02) & ~((seen >= VISIBLE) & large)])


def crop(scene: Scene, side: int, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Cut a window at a chance scale; boxes (n, 5) end with the share of each that nothing covers, here 1."""
    import cv2

    scale = np.exp(draw.uniform(*np.log(SCALES))) / SCALES[1]
    extent = side / scale
    height, width = scene.image.shape
    if len(scene.boxes) and draw.random() < 0.7:
        box = scene.boxes[draw.integers(len(scene.boxes))]
        x, y = (box[:2] + box[2:]) / 2 - draw.uniform(0.2, 0.8, 2) * extent
    else:
        x, y = draw.uniform(-0.2, 0.8) * width, draw.uniform(-0.2, 0.8) * height
    x, y = (min(max(v, -0.1 * extent), max(-0.1 * extent, s - 0.9 * extent)) for v, s in ((x, width), (y, height)))
    source = scene.image
    if scale < 0.6:  # warpAffine does not average
        source = cv2.GaussianBlur(source, (0, 0), 0.4 / scale)
    matrix = np.float32([[scale, 0, -x * scale], [0, scale, -y * scale]])
    image = cv2.warpAffine(source, matrix, (side, side), flags=cv2.INTER_LINEAR, borderValue=255)
    boxes = (scene.boxes - [x, y, x, y]) * scale
    inside = (boxes[:, 2:] > 0).all(axis=1) & (boxes[:, :2] < side).all(axis=1)
    return image, np.column_stack([boxes[inside], np.ones(inside.sum())])


def lay_figures(
    image: np.ndarray, boxes: np.ndarray, figures: Sequence[Figure], draw: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Lay one to six varied figures and things on a picture, later over earlier ones; boxes as `crop` returns them."""
    side = len(image)
    image, owner, heads = image.copy(), np.zeros(image.shape, np.int32), []
    for number in range(1, int(draw.integers(2, 8))):
        height = np.exp(draw.uniform(np.log(22), np.log(0.8 * side)))
        figure = _choose(figures, height, draw)
        left, top, right, bottom = figure.box
        x, y = (round(draw.uniform(-0.15, 1.15) * side - span / 2) for span in figure.grey.shape[::-1])
        place, part = _meet(x, y, figure.grey.shape, side)
        mask, head = figure.alpha[part], figure.head[part] > 128
        if not mask.size or (owner[place] > 0).mean() > 0.35:
            continue
        alpha = mask.astype(np.float32) / 255
        image[place] = np.rint(alpha * figure.grey[part] + (1 - alpha) * image[place]).astype(np.uint8)
        owner[place][mask > 128] = COVERED
        owner[place][head] = number
        if right - left >= 8 and bottom - top >= 8:
            heads.append((number, head.sum(), [x + left, y + top, x + right, y + bottom]))
    laid = [[*box, (owner == number).sum() / max(1, drawn)] for number, drawn, box in heads]
    for row in boxes:
        left, top, right, bottom = row[:4].clip(0, side).round().astype(int)
        row[4] = (owner[top:bottom, left:right] == 0).mean() if right > left and bottom > top else 0
    return image, np.concatenate([boxes, np.array(laid, float).reshape(-1, 5)])


def _choose(figures: Sequence[Figure], height: float, draw: np.random.Generator) -> Figure:
    if draw.random() < THING:
        return draw_thing(height, draw)
    figure = figures[draw.integers(len(figures))]
    return vary(add_hair(figure, draw) if draw.random() < HAIRED else figure, height, draw)


def _meet(x: int, y: int, shape: tuple[int, int], side: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return where a figure at x, y meets a picture of `side`: windows of the picture and of the figure."""
    spans = [(max(0, at), max(0, min(side, at + length)), at) for at, length in zip((y, x), shape, strict=True)]
    place = tuple(slice(low, max(low, high)) for low, high, _ in spans)
    return place, tuple(slice(low - at, max(low, high) - at) for low, high, at in spans)


def degrade(image: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Print and scan a picture: levels, blur, noise, JPEG; seldom white on black."""
    import cv2

    if draw.random() < 0.03:
        image = 255 - image
    if draw.random() < 0.4:
        black, white = draw.uniform(0, 70), draw.uniform(180, 255)
        curve = black + (white - black) * (np.arange(256) / 255) ** np.exp(draw.normal(0, 0.3))
        image = curve.round().astype(np.uint8)[image]
    if draw.random() < 0.3:
        image = cv2.GaussianBlur(image, (0, 0), draw.uniform(0.3, 1.1))
    if draw.random() < 0.3:
        noise = draw.standard_normal(image.shape, np.float32) * np.float32(draw.uniform(2, 14))
        image = (image + noise).clip(0, 255).astype(np.uint8)
    if draw.random() < 0.3:
        code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(draw.integers(25, 90))])[1]
        image = cv2.imdecode(code, cv2.IMREAD_GRAYSCALE)
    return image


def draw_batch(
    scenes: Sequence[Scene], figures: Sequence[Figure], side: int, count: int, *names: str | int
) -> list[Example]:
    """Draw `count` training pictures from the stream that belongs to `names`."""
    draw = stream(*names)
    return [draw_example(scenes, figures, side, draw) for _ in range(count)]
