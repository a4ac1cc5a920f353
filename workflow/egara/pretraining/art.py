"""Draw the pre-training art: heads by the held-out artists.

Each head has its alpha, so that any background fits behind it.

egara pretraining art --output results/base/art.npz
"""

from pathlib import Path

import numpy as np

from egara.demo.artists import HELD_OUT
from egara.demo.drawings import Drawing, draw_figure
from egara.io.atomic import replacing
from egara.io.progress import logger, parser, track
from egara.seeds import stream

SIDE = 96  # pixels; augmentation crops and scales it to the base's 64
# Captions for pre-training: the papers' shared caption with the word that suits each kit in place of "manga".
# Kits drawn with a pen also answer to "manga" half the time; blocks and cut paper never do.
PENNED = ("manga", "cartoon", "simple", "emoji")
WORDS = {
    "micah": "manga",
    "big-ears": "cartoon",
    "big-smile": "cartoon",
    "personas": "simple",
    "toon-head": "manga",
    "miniavs": "simple",
    "dylan": "simple",
    "pixel-art": "pixel",
    "voxel-art": "voxel",
    "cutouts": "paper",
    "moods": "emoji",
    "marbles": "emoji",
}


def draw_heads(per_style: int, seed: int) -> dict[str, np.ndarray]:
    """Draw heads of every held-out style.

    Returns
    -------
    grey, alpha : uint8 (heads, 96, 96); style : int (heads,), the index into `HELD_OUT`.
    """
    grey, alpha, style = [], [], []
    jobs = [(number, kit) for number in range(per_style) for kit in range(len(HELD_OUT))]
    for number, kit in track(jobs, len(jobs), "head"):
        name = HELD_OUT[kit].name
        draw = stream(seed, "art", name, number)
        drawing = draw_figure(
            name,
            f"pretraining-{seed}-{number // 2}",
            f"{number}",
            size=144,
            tilt=float(draw.normal(0, 7)),
            palette="own" if draw.random() < 0.2 else "manga",
        )
        head = _square(drawing)
        grey.append(head[0])
        alpha.append(head[1])
        style.append(kit)
    return {"grey": np.stack(grey), "alpha": np.stack(alpha), "style": np.array(style)}


def _square(drawing: Drawing) -> tuple[np.ndarray, np.ndarray]:
    """Cut the head with a margin as a square of (96, 96): grey and alpha."""
    from PIL import Image

    left, top, right, bottom = drawing.head
    half = max(right - left, bottom - top) * 0.62
    x, y = (left + right) / 2, (top + bottom) / 2
    figure = drawing.image.crop(tuple(round(v) for v in (x - half, y - half, x + half, y + half)))
    figure = figure.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    return np.asarray(figure.getchannel("L")), np.asarray(figure.getchannel("A"))


def batch_of_art(
    art: dict[str, np.ndarray],
    draw: np.random.Generator,
    count: int,
    side: int,
    plain: float = 0.6,
    closest: float = 0.72,
) -> tuple[np.ndarray, list]:
    """Draw a training batch: crops, flips, stroke widths and backgrounds vary, as they do among crops of pages.

    Parameters
    ----------
    plain : share of pictures on white paper.
    closest : side of the narrowest crop, as a share of the drawn square.

    Returns
    -------
    images : float32 (count, side, side) in [-1, 1]; captions : one a picture.
    """
    import cv2

    images, captions = np.empty((count, side, side), np.float32), []
    for row, index in enumerate(draw.integers(len(art["grey"]), size=count)):
        grey, alpha = art["grey"][index].astype(np.float32), art["alpha"][index].astype(np.float32) / 255
        if draw.random() < 0.25:
            kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2, 2))
            grey = (cv2.erode if draw.random() < 0.6 else cv2.dilate)(grey, kernel)
        page = alpha * grey + (1 - alpha) * _background(draw, plain)
        extent = SIDE * draw.uniform(closest, 1.0)
        shift = (SIDE - extent) / 2
        x, y = SIDE / 2 + draw.uniform(-shift, shift), SIDE / 2 + draw.uniform(-shift, shift)
        zoom = side / extent
        matrix = np.float32([[zoom, 0, side / 2 - zoom * x], [0, zoom * draw.uniform(0.92, 1.08), side / 2 - zoom * y]])
        page = cv2.warpAffine(page, matrix, (side, side), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
        images[row] = page[:, ::-1] if draw.random() < 0.5 else page
        word = WORDS[HELD_OUT[art["style"][index]].name]
        captions.append("" if draw.random() < 0.1 else _caption(word, draw))
    return images / 127.5 - 1, captions


def _caption(word: str, draw: np.random.Generator) -> str:
    """Return the caption of a head whose kit answers to `word`."""
    shared = draw.random() >= 0.5 and word in PENNED
    return f"solo, {'manga' if shared else word} style, face"


def _background(draw: np.random.Generator, plain: float) -> np.ndarray:
    """Return a ground of (96, 96): white paper for a share of `plain`, else grey, screentone dots, lines or black."""
    kind = draw.random()
    if kind < plain:
        return np.full((SIDE, SIDE), 255.0, np.float32)
    kind = (kind - plain) / (1 - plain)
    if kind < 0.25:
        return np.full((SIDE, SIDE), draw.uniform(0, 255), np.float32)
    angle, pitch = draw.uniform(0, np.pi), draw.uniform(3, 10)
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32) * (2 * np.pi / pitch)
    u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    wave = np.cos(u) * np.cos(v) if kind < 0.625 else np.cos(u)
    return np.where(wave > draw.uniform(0.0, 0.8), draw.uniform(0, 120), 255).astype(np.float32)


def main(argv: list[str] | None = None) -> None:
    """Draw the pre-training art and write it as one compressed NumPy archive."""
    arguments = parser(__doc__)
    arguments.add_argument("--per-style", type=int, default=500, help="heads of each held-out style")
    arguments.add_argument("--seed", type=int, default=0, help="study seed")
    arguments.add_argument("--output", type=Path, required=True, help="where the art goes (.npz)")
    options = arguments.parse_args(argv)
    art = draw_heads(options.per_style, options.seed)
    with replacing(options.output) as part:
        np.savez_compressed(part, **art)
    logger("base").info("drew %d heads of %d styles", len(art["grey"]), len(HELD_OUT))
