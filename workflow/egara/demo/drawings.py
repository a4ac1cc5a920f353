"""Figures from artists' drawing kits; the same names give the same drawing."""

from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from egara.demo.artists import Style, definition, find_style
from egara.io.errors import EgaraError
from egara.seeds import derive_seed, stream

if TYPE_CHECKING:
    from dicebear import Style as Kit
    from PIL.Image import Image

# Components with fewer variants are not split into casts, but shared by all works of a style.
MIN_VARIANTS = 6
# Components that identify a character; all others may change from panel to panel.
IDENTITY = (
    "hair",
    "top",
    "head",
    "body",
    "face",
    "beard",
    "facialHair",
    "glasses",
    "nose",
    "ears",
    "frontHair",
    "rearHair",
)
SKIN = ("skin", "base", "paper", "paperFace", "face", "body", "sphere")
HAIR = ("hair", "top", "facialHair", "paperHair", "hat")
CLOTHES = ("clothing", "shirt", "clothes", "headContrast", "outfit", "jacket")


@dataclass(frozen=True)
class Drawing:
    """A figure on a transparent background.

    Attributes
    ----------
    image : the whole figure, in mode LA.
    head : (left, top, right, bottom) of the head in pixels of `image`.
    """

    image: "Image"
    head: tuple[int, int, int, int]


@cache
def _kit(name: str) -> "Kit":
    from dicebear import Style as Kit

    return Kit(definition(name))


def cast_variants(style: str, part: int, parts: int) -> dict[str, list[str]]:
    """Split a style's components into `parts` disjoint casts and return the variants of cast `part`.

    Only components with at least max(6, 2 x parts) variants are split; the split is not by the artist.
    """
    if not 0 <= part < parts:
        raise EgaraError(f"style {style}: part {part} of {parts}; expected 0 to {parts - 1}")
    variants = {
        name: sorted(component.get("variants", {})) for name, component in definition(style)["components"].items()
    }
    return {n: v[part::parts] for n, v in variants.items() if len(v) >= max(MIN_VARIANTS, 2 * parts)}


def draw_figure(
    style: str,
    character: str,
    moment: str,
    *,
    part: int = 0,
    parts: int = 1,
    size: int = 256,
    tilt: float = 0.0,
    mirrored: bool = False,
    palette: str = "manga",
) -> Drawing:
    """Draw one figure.

    Parameters
    ----------
    style : name of a drawing kit.
    character : name that determines hair, head, nose and colours.
    moment : name that determines eyes, brows and mouth.
    part, parts : cast of the character, see `cast_variants`.
    size : side of the square drawing in pixels, before it is tilted.
    tilt : degrees, counter-clockwise.
    mirrored : whether to flip left and right.
    palette : `manga` (white skin; black, grey or white hair and clothes) or `own` (the kit's colours as greys).
    """
    from PIL import Image, ImageOps

    kit = find_style(style)
    markup = _markup(kit, character, moment, part, parts, palette)
    grey, alpha = _render(markup, size, outlined=not kit.line)
    image = Image.merge("LA", (Image.fromarray(grey), Image.fromarray(alpha)))
    left, top, right, bottom = (round(f * size) for f in kit.head)
    window = np.zeros((size, size), np.uint8)
    window[top:bottom, left:right] = 255
    head = Image.fromarray(np.minimum(alpha, window))
    if mirrored:
        image, head = ImageOps.mirror(image), ImageOps.mirror(head)
    if tilt:
        image = image.rotate(tilt, Image.Resampling.BICUBIC, expand=True)
        head = head.rotate(tilt, Image.Resampling.BICUBIC, expand=True)
    box = head.point(lambda value: 255 * (value > 64)).getbbox()
    if box is None:
        raise EgaraError(f"style {style}: nothing drawn for character {character}, moment {moment}")
    return Drawing(image, box)


def _markup(kit: Style, character: str, moment: str, part: int, parts: int, palette: str) -> str:
    """Return the SVG: every choice is from the stream of the character or the moment, never from the kit's seed."""
    from dicebear import Avatar

    components = definition(kit.name)["components"]
    allowed = cast_variants(kit.name, part, parts)
    options: dict[str, object] = {"seed": f"{kit.name}/{character}", "backgroundColor": ["#ffffff00"]}
    for name, component in sorted(components.items()):
        variants = allowed.get(name) or sorted(component.get("variants", {}))
        if not variants:
            continue
        owner = character if name in IDENTITY else f"{character}/{moment}"
        options[f"{name}Variant"] = [str(stream(kit.name, owner, name).choice(variants))]
    if palette == "manga":
        options |= _manga_colours(kit, character)
    return Avatar(_kit(kit.name), options).to_string()


def _manga_colours(kit: Style, character: str) -> dict[str, list[str]]:
    rng = stream(kit.name, character, "colours")
    hair = str(rng.choice(["#111111", "#111111", "#ffffff", "#8c8c8c"]))
    clothes = str(rng.choice(["#ffffff", "#111111", "#aaaaaa"]))
    colours = {}
    for name in definition(kit.name).get("colors", {}):
        if name in SKIN:
            colours[f"{name}Color"] = ["#ffffff"]
        elif name in HAIR:
            colours[f"{name}Color"] = [hair]
        elif name in CLOTHES:
            colours[f"{name}Color"] = [clothes]
    return colours


def _render(markup: str, size: int, outlined: bool) -> tuple[np.ndarray, np.ndarray]:
    """Rasterise to grey and alpha, uint8 of shape (size, size).

    Kits of flat areas get contours between areas, so that a face with white skin is visible on white paper.
    """
    import resvg_py
    from PIL import Image

    scale = 2 if outlined else 1
    # Kits contain no text, and loading system fonts would take most of the time.
    png = resvg_py.svg_to_bytes(svg_string=markup, width=size * scale, height=size * scale, skip_system_fonts=True)
    image = Image.open(BytesIO(bytes(png))).convert("RGBA")
    grey, alpha = np.asarray(image.convert("L")), np.asarray(image.getchannel("A"))
    if not outlined:
        return grey, alpha
    import cv2

    flat = np.asarray(image).copy()
    flat[alpha == 0] = 0
    kernel = np.ones((3, 3), np.uint8)
    edge = (cv2.dilate(flat, kernel).astype(int) - cv2.erode(flat, kernel)).max(axis=2) > 40
    width = max(1, round(size * scale / 160))
    edge = cv2.dilate(edge.astype(np.uint8) * 255, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width + 1, width + 1)))
    grey, alpha = np.where(edge > 0, 16, grey).astype(np.uint8), np.maximum(alpha, edge)
    pick = (size, size)
    return (
        np.asarray(Image.fromarray(grey).resize(pick, Image.Resampling.BOX)),
        np.asarray(Image.fromarray(alpha).resize(pick, Image.Resampling.BOX)),
    )


def character_name(style: str, part: int, parts: int, number: int) -> str:
    """Return a character's name, unique across styles, casts and splits."""
    return f"{style}-{part}of{parts}-{number:02d}-{derive_seed(style, part, parts, number) % 1000:03d}"
