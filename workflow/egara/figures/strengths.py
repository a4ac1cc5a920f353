"""A labelled grid of pictures: a row a work, a block of columns a strength of its LoRA, training crops at the left."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS = 160  # an inch, as `egara.figures.style.save` writes
LEAST, MOST = 128, 256  # side of a picture on the grid
GUTTER, BLOCK, MARGIN = 4, 16, 24  # pixels between pictures, between blocks of columns, around
FRAME = 215  # grey of a line around each picture, so that white pictures end somewhere
HEADING, HEAD = 84, 34  # pixels for the title and for the names of columns
CROPS = "training crops"
WRITTEN = {"fontsize": 8, "color": "0.3", "va": "center", "parse_math": False}


def enlarge(picture: np.ndarray, side: int) -> np.ndarray:
    """Scale a square picture (h, w, 3) to `side`: whole multiples by repeating pixels, all else by Lanczos."""
    from PIL import Image

    kind = Image.Resampling.NEAREST if side % len(picture) == 0 else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(picture).resize((side, side), kind))


def draw_strengths(
    pictures: np.ndarray,
    crops: list[np.ndarray] | None,
    labels: list[tuple[str, str]],
    heads: list[str],
    title: tuple[str, str],
) -> "Figure":
    """Lay pictures out on a grid, pixel by pixel.

    Parameters
    ----------
    pictures : uint8 (works, blocks, count, height, width, 3).
    crops : training crops of each work, uint8 (any, height, width, 3), or None to show none.
    labels : work and author of each row.
    heads : names of the blocks.
    title : what is drawn, and how.
    """
    from matplotlib.figure import Figure

    side = int(np.clip(2 * pictures.shape[3], LEAST, MOST))
    blocks = [(head, pictures[:, place]) for place, head in enumerate(heads)]
    if crops is not None:
        blocks.insert(0, (CROPS, crops))
    names = _text_width([work for work, _ in labels], 9, "bold"), _text_width([author for _, author in labels], 8)
    lefts, left = [], MARGIN + max(names) + BLOCK
    for _, block in blocks:
        lefts.append(left)
        left += len(block[0]) * (side + GUTTER) - GUTTER + BLOCK
    needed = max(_text_width(title[:1], 9.5, "bold"), _text_width(title[1:], 8)) + 2 * MARGIN
    width = max(left - BLOCK + MARGIN, needed)
    top = HEADING + HEAD
    height = top + len(labels) * (side + GUTTER) - GUTTER + MARGIN
    canvas = np.full((height, width, 3), 255, np.uint8)
    for (_, block), start in zip(blocks, lefts, strict=True):
        for row, part in enumerate(block):
            for place, picture in enumerate(part):
                y, x = top + row * (side + GUTTER), start + place * (side + GUTTER)
                canvas[y - 1 : y + side + 1, x - 1 : x + side + 1] = FRAME
                canvas[y : y + side, x : x + side] = enlarge(picture, side)
    figure = Figure(figsize=(width / DOTS, height / DOTS), dpi=DOTS)
    figure.figimage(canvas)

    def write(x: int, y: float, text: str, **style: object) -> None:
        figure.text(x / width, 1 - y / height, text, **(WRITTEN | style))

    write(MARGIN, 0.36 * HEADING, title[0], fontsize=9.5, color="0.1", weight="bold")
    write(MARGIN, 0.72 * HEADING, title[1])
    for (head, _), start in zip(blocks, lefts, strict=True):
        write(start, HEADING + 0.5 * HEAD, head, fontsize=9, color="0.1")
    for row, (work, author) in enumerate(labels):
        middle = top + row * (side + GUTTER) + side / 2
        write(MARGIN, middle - 13, work, fontsize=9, color="0.1", weight="bold")
        write(MARGIN, middle + 13, author)
    return figure


def _text_width(texts: list[str], size: float, weight: str = "normal") -> int:
    """Width in pixels of the longest text at a size in points, in the theme's fonts."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    canvas = FigureCanvasAgg(Figure(dpi=DOTS))
    drawn = [canvas.figure.text(0, 0, text, fontsize=size, weight=weight, parse_math=False) for text in texts]
    return int(max(text.get_window_extent(canvas.get_renderer()).width for text in drawn)) + 1
