"""A labelled grid of images: one row per work, one block of columns per strength, training crops at the left."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 160  # as `egara.figures.style.save` writes
MIN_SIDE, MAX_SIDE = 128, 256  # pixels of an image on the grid
GUTTER, BLOCK_GAP, MARGIN = 4, 16, 24  # pixels between images, between blocks of columns, around
FRAME_GREY = 215  # of a line around each image, so that the edge of a white one is seen
TITLE_HEIGHT, HEAD_HEIGHT = 84, 34  # pixels for the title and for the names of columns
CROPS = "training crops"
TEXT_STYLE = {"fontsize": 8, "color": "0.3", "va": "center", "parse_math": False}


def enlarge(image: np.ndarray, side: int) -> np.ndarray:
    """Scale a square image of shape (h, w, 3) to `side`: whole multiples by repeating pixels, all else by Lanczos."""
    from PIL import Image

    resample = Image.Resampling.NEAREST if side % len(image) == 0 else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(image).resize((side, side), resample))


def draw_grid(
    images: np.ndarray,
    crops: list[np.ndarray] | None,
    labels: list[tuple[str, str]],
    heads: list[str],
    title: tuple[str, str],
) -> "Figure":
    """Lay images out on a grid, pixel by pixel.

    Parameters
    ----------
    images : uint8 of shape (n_works, n_blocks, n_images, height, width, 3).
    crops : training crops of each work, uint8 of shape (n_crops, height, width, 3), or None to show none.
    labels : work and author of each row.
    heads : names of the blocks.
    title : what is drawn, and how.
    """
    from matplotlib.figure import Figure

    side = int(np.clip(2 * images.shape[3], MIN_SIDE, MAX_SIDE))
    blocks = [(head, images[:, place]) for place, head in enumerate(heads)]
    if crops is not None:
        blocks.insert(0, (CROPS, crops))
    names = _text_width([work for work, _ in labels], 9, "bold"), _text_width([author for _, author in labels], 8)
    lefts, left = [], MARGIN + max(names) + BLOCK_GAP
    for _, block in blocks:
        lefts.append(left)
        left += len(block[0]) * (side + GUTTER) - GUTTER + BLOCK_GAP
    needed = max(_text_width(title[:1], 9.5, "bold"), _text_width(title[1:], 8)) + 2 * MARGIN
    width = max(left - BLOCK_GAP + MARGIN, needed)
    top = TITLE_HEIGHT + HEAD_HEIGHT
    height = top + len(labels) * (side + GUTTER) - GUTTER + MARGIN
    canvas = np.full((height, width, 3), 255, np.uint8)
    for (_, block), start in zip(blocks, lefts, strict=True):
        for row, part in enumerate(block):
            for place, image in enumerate(part):
                y, x = top + row * (side + GUTTER), start + place * (side + GUTTER)
                canvas[y - 1 : y + side + 1, x - 1 : x + side + 1] = FRAME_GREY
                canvas[y : y + side, x : x + side] = enlarge(image, side)
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    figure.figimage(canvas)

    def write(x: int, y: float, text: str, **style: object) -> None:
        figure.text(x / width, 1 - y / height, text, **(TEXT_STYLE | style))

    write(MARGIN, 0.36 * TITLE_HEIGHT, title[0], fontsize=9.5, color="0.1", weight="bold")
    write(MARGIN, 0.72 * TITLE_HEIGHT, title[1])
    for (head, _), start in zip(blocks, lefts, strict=True):
        write(start, TITLE_HEIGHT + 0.5 * HEAD_HEIGHT, head, fontsize=9, color="0.1")
    for row, (work, author) in enumerate(labels):
        middle = top + row * (side + GUTTER) + side / 2
        write(MARGIN, middle - 13, work, fontsize=9, color="0.1", weight="bold")
        write(MARGIN, middle + 13, author)
    return figure


def _text_width(texts: list[str], size: float, weight: str = "normal") -> int:
    """Return the width in pixels of the longest text at a size in points, in the theme's fonts."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    canvas = FigureCanvasAgg(Figure(dpi=DPI))
    drawn = [canvas.figure.text(0, 0, text, fontsize=size, weight=weight, parse_math=False) for text in texts]
    return int(max(text.get_window_extent(canvas.get_renderer()).width for text in drawn)) + 1
