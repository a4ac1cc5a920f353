"""Pages composed like manga: panels, grounds, figures, balloons and sounds, with the true box of every face."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from egara.demo import grounds, scenery
from egara.demo.artists import find_style
from egara.demo.characters import Figure, tone_greys
from egara.demo.dialogue import letter_page
from egara.demo.panels import Panel, lay_out
from egara.demo.placement import CastMember, Placed, place_figures, plan_heads, visible_box
from egara.io.errors import EgaraError
from egara.seeds import stream

__all__ = ["CastMember", "Face", "Page", "compose_page"]

if TYPE_CHECKING:
    from PIL.Image import Image

GROUNDS = {
    "paper": (None, 0.18),
    "tone": (grounds.plain_tone, 0.14),
    "gradient": (grounds.gradient_tone, 0.12),
    "speed": (grounds.speed_lines, 0.08),
    "focus": (grounds.focus_lines, 0.08),
    "black": (grounds.black_halo, 0.10),
    "pattern": (grounds.pattern, 0.08),
    "room": (scenery.room, 0.09),
    "window": (scenery.window, 0.05),
    "trees": (scenery.trees, 0.04),
    "buildings": (scenery.buildings, 0.04),
}
EMPTY_GROUNDS = {
    "paper": (None, 0.05),
    "things": (scenery.things, 0.35),
    "room": (scenery.room, 0.12),
    "buildings": (scenery.buildings, 0.14),
    "trees": (scenery.trees, 0.1),
    "window": (scenery.window, 0.08),
    "pattern": (grounds.pattern, 0.06),
    "black": (grounds.black_halo, 0.04),
    "focus": (grounds.focus_lines, 0.06),
}


@dataclass(frozen=True)
class Face:
    """The true box of a head on a page, in pixels, cut to what its panel shows; and whose head it is."""

    left: int
    top: int
    right: int
    bottom: int
    style: str
    character: str


@dataclass(frozen=True)
class Page:
    """A page: a PIL image of mode L and its faces."""

    image: "Image"
    faces: tuple[Face, ...]


def compose_page(
    cast: Sequence[CastMember], name: str, seed: int, width: int = 1000, height: int = 1414, scan: float = 0.0
) -> Page:
    """Compose one page.

    Parameters
    ----------
    cast : the characters that may appear.
    name : the page's name; with `seed` and the cast it fixes the page.
    seed : the study's seed.
    width, height : size in pixels; everything on the page scales with it.
    scan : 0 for a clean page, up to 1 for blur, noise and pale blacks like those of a scan.

    Raises
    ------
    EgaraError : no cast, a style that does not exist, or a page too small to hold a panel.
    """
    from PIL import Image

    if not cast:
        raise EgaraError(f"page {name}: an empty cast; expected at least one character")
    for style in {member.style for member in cast}:
        find_style(style)
    if min(width, height) < 200 or max(width, height) > 8000:
        raise EgaraError(f"page {name}: {width} x {height} pixels; expected 200 to 8000 on each side")
    unit = float(np.sqrt(width * height / (1000 * 1414)))
    page = np.full((height, width), 255, np.uint8)
    panels = lay_out(stream(seed, name, "panels"), width, height, unit)
    dots = _page_tone(stream(seed, name, "tone"), unit)
    masks = [panel.mask(width, height) for panel in panels]
    plans = plan_heads(stream(seed, name, "plan"), panels, unit)
    faces: list[Face] = []
    for index, (panel, mask, wanted) in enumerate(zip(panels, masks, plans, strict=True)):
        left, top, right, bottom = window = panel.window(width, height)
        if panel.splash:
            mask = np.where(np.maximum.reduce([*masks[index + 1 :], np.zeros_like(mask)]) > 0, 0, mask)
        seen = mask[top:bottom, left:right]
        draw = stream(seed, name, "panel", index)
        placed = place_figures(draw, cast, f"{seed}/{name}/{index}", wanted, seen, window, unit)
        _draw_panel(draw, page, panel, seen, window, placed, dots, unit)
        faces += [
            Face(*visible_box(one.head, seen, window)[0], one.member.style, one.member.character) for one in placed
        ]
    boxes = [(face.left, face.top, face.right, face.bottom) for face in faces]
    letter_page(stream(seed, name, "letters"), page, panels, boxes, unit)
    if scan > 0:
        page = _scan(stream(seed, name, "scan"), page, scan)
    return Page(Image.fromarray(page), tuple(faces))


def _draw_panel(
    draw: np.random.Generator,
    page: np.ndarray,
    panel: Panel,
    mask: np.ndarray,
    window: tuple[int, int, int, int],
    placed: list[Placed],
    dots: tuple[float, float] | None,
    unit: float,
) -> None:
    """Draw ground, figures and border of one panel on the page, in place."""
    import cv2

    left, top, right, bottom = window
    rows, columns = mask.shape
    kinds = GROUNDS if placed else EMPTY_GROUNDS
    kind = str(draw.choice(list(kinds), p=[share for _, share in kinds.values()]))
    paint = kinds[kind][0]
    if paint is None:
        canvas = np.full(mask.shape, 255, np.uint8)
    elif kind in ("focus", "black") and placed:
        head = placed[-1].head
        centre = (head[0] + head[2]) / 2 - left, (head[1] + head[3]) / 2 - top
        canvas = paint(draw, rows, columns, unit, centre)
    else:
        canvas = paint(draw, rows, columns, unit)
    halo = round(draw.uniform(2, 5) * unit) if draw.random() < (0.75 if kind == "black" else 0.3) else 0
    for one in placed:
        figure = tone_greys(one.figure, *dots) if dots is not None else one.figure
        _paste(canvas, figure, one.x - left, one.y - top, halo)
    patch = page[top:bottom, left:right]
    share = mask.astype(np.uint16)
    patch[:] = ((canvas * share + patch * (255 - share) + 127) // 255).astype(np.uint8)
    if panel.border:
        outline = np.round(panel.corners * 16).astype(np.int32)
        cv2.polylines(page, [outline], True, 0, max(1, round(panel.border)), cv2.LINE_AA, 4)


def _paste(canvas: np.ndarray, figure: Figure, x: int, y: int, halo: int) -> None:
    """Lay a figure on a canvas in place, with a white rim of `halo` pixels."""
    import cv2

    rows, columns = figure.grey.shape
    top, left = max(0, -y), max(0, -x)
    bottom, right = min(rows, canvas.shape[0] - y), min(columns, canvas.shape[1] - x)
    if bottom <= top or right <= left:
        return
    grey, alpha = figure.grey[top:bottom, left:right], figure.alpha[top:bottom, left:right].astype(np.uint16)
    patch = canvas[y + top : y + bottom, x + left : x + right]
    if halo:
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * halo + 1, 2 * halo + 1))
        patch[:] = np.maximum(patch, cv2.dilate(alpha.astype(np.uint8), kernel))
    patch[:] = ((grey * alpha + patch * (255 - alpha) + 127) // 255).astype(np.uint8)


def _page_tone(draw: np.random.Generator, unit: float) -> tuple[float, float] | None:
    """Return level and pitch of the screentone that shows the grey of hair and clothes; None where grey stays grey."""
    if draw.random() < 0.5:
        return None
    return float(draw.uniform(0.3, 0.5)), max(3.0, float(draw.choice([4, 5, 6.5])) * unit)


def _scan(draw: np.random.Generator, page: np.ndarray, amount: float) -> np.ndarray:
    """Return a page as a scanner sees it: softer, noisier, with blacks and whites short of the ends."""
    import cv2

    soft = cv2.GaussianBlur(page, (0, 0), 0.3 + 0.6 * amount).astype(np.float32)
    black, white = draw.uniform(0, 26) * amount, 255 - draw.uniform(0, 14) * amount
    noise = draw.standard_normal(page.shape, np.float32) * np.float32(5 * amount)
    return np.clip(black + soft * ((white - black) / 255) + noise, 0, 255).round().astype(np.uint8)
