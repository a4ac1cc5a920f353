"""Compose pages: panels, backgrounds, figures, balloons and sound effects, with the true box of every face."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from egara.demo import grounds, scenery
from egara.demo.artists import find_style
from egara.demo.characters import Figure, tone_greys
from egara.demo.dialogue import letter_page
from egara.demo.panels import Panel, split_page
from egara.demo.placement import CastMember, Placed, place_figures, plan_heads, visible_box
from egara.io.errors import EgaraError
from egara.seeds import stream

__all__ = ["CastMember", "Face", "Page", "compose_page"]

if TYPE_CHECKING:
    from PIL.Image import Image

BACKGROUNDS = {
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
EMPTY_BACKGROUNDS = {
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
    """The true box of a head on a page in pixels, clipped to the visible part; its style and character."""

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
    cast : characters that may appear.
    name : of the page; with `seed` and the cast it determines the page.
    seed : of the study.
    width, height : in pixels; everything on the page scales with them.
    scan : 0 for a clean page, up to 1 for blur, noise and pale blacks as in a scan.

    Raises
    ------
    EgaraError : an empty cast, an unknown style, or a page size out of range.
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
    panels = split_page(stream(seed, name, "panels"), width, height, unit)
    dots = _page_tone(stream(seed, name, "tone"), unit)
    masks = [panel.mask(width, height) for panel in panels]
    plans = plan_heads(stream(seed, name, "plan"), panels, unit)
    faces: list[Face] = []
    for index, (panel, mask, wanted) in enumerate(zip(panels, masks, plans, strict=True)):
        left, top, right, bottom = window = panel.window(width, height)
        if panel.splash:
            mask = np.where(np.maximum.reduce([*masks[index + 1 :], np.zeros_like(mask)]) > 0, 0, mask)
        seen = mask[top:bottom, left:right]
        rng = stream(seed, name, "panel", index)
        placed = place_figures(rng, cast, f"{seed}/{name}/{index}", wanted, seen, window, unit)
        _draw_panel(rng, page, panel, seen, window, placed, dots, unit)
        faces += [
            Face(*visible_box(one.head, seen, window)[0], one.member.style, one.member.character) for one in placed
        ]
    boxes = [(face.left, face.top, face.right, face.bottom) for face in faces]
    letter_page(stream(seed, name, "letters"), page, panels, boxes, unit)
    if scan > 0:
        page = _scan(stream(seed, name, "scan"), page, scan)
    return Page(Image.fromarray(page), tuple(faces))


def _draw_panel(
    rng: np.random.Generator,
    page: np.ndarray,
    panel: Panel,
    mask: np.ndarray,
    window: tuple[int, int, int, int],
    placed: list[Placed],
    dots: tuple[float, float] | None,
    unit: float,
) -> None:
    """Draw background, figures and border of one panel on the page, in place."""
    import cv2

    left, top, right, bottom = window
    rows, columns = mask.shape
    kinds = BACKGROUNDS if placed else EMPTY_BACKGROUNDS
    kind = str(rng.choice(list(kinds), p=[share for _, share in kinds.values()]))
    paint = kinds[kind][0]
    if paint is None:
        canvas = np.full(mask.shape, 255, np.uint8)
    elif kind in ("focus", "black") and placed:
        head = placed[-1].head
        centre = (head[0] + head[2]) / 2 - left, (head[1] + head[3]) / 2 - top
        canvas = paint(rng, rows, columns, unit, centre)
    else:
        canvas = paint(rng, rows, columns, unit)
    halo = round(rng.uniform(2, 5) * unit) if rng.random() < (0.75 if kind == "black" else 0.3) else 0
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
    """Paste a figure on a canvas in place, with a white rim of `halo` pixels."""
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


def _page_tone(rng: np.random.Generator, unit: float) -> tuple[float, float] | None:
    """Return level and pitch of the screentone for grey hair and clothes; None where they stay grey."""
    if rng.random() < 0.5:
        return None
    return float(rng.uniform(0.3, 0.5)), max(3.0, float(rng.choice([4, 5, 6.5])) * unit)


def _scan(rng: np.random.Generator, page: np.ndarray, amount: float) -> np.ndarray:
    """Return a page as if scanned: blurred, noisy, with pale blacks and dim whites."""
    import cv2

    soft = cv2.GaussianBlur(page, (0, 0), 0.3 + 0.6 * amount).astype(np.float32)
    black, white = rng.uniform(0, 26) * amount, 255 - rng.uniform(0, 14) * amount
    noise = rng.standard_normal(page.shape, np.float32) * np.float32(5 * amount)
    return np.clip(black + soft * ((white - black) / 255) + noise, 0, 255).round().astype(np.uint8)
