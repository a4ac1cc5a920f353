"""Faces by named artists, drawn from their kits: the same names give the same drawing."""

from dataclasses import dataclass
from functools import cache
from io import BytesIO

import numpy as np

from egara.demo.artists import Style, definition, find_style
from egara.io.errors import EgaraError
from egara.seeds import derive_seed, stream

# Components with fewer variants are shared by all works of a style: they could not be split into casts.
SPLIT_FROM = 6
# What makes a character recognisable from panel to panel; every other component may change with the moment.
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
    """A figure on a transparent ground.

    Attributes
    ----------
    image : PIL image of mode LA, the whole figure.
    head : (left, top, right, bottom) of the head in pixels of `image`.
    """

    image: "object"
    head: tuple[int, int, int, int]


@cache
def _style(name: str) -> "object":
    from dicebear import Style as Kit

    return Kit(definition(name))


def cast_variants(style: str, part: int, parts: int) -> dict[str, list[str]]:
    """Split a style's components into disjoint casts and return the variants that belong to `part` of `parts`.

    Only components with at least max(6, 2 x parts) variants are split; the split is our construction, not the artist's.
    """
    if not 0 <= part < parts:
        raise EgaraError(f"style {style}: part {part} of {parts}; expected 0 to {parts - 1}")
    variants = {
        name: sorted(component.get("variants", {})) for name, component in definition(style)["components"].items()
    }
    return {n: v[part::parts] for n, v in variants.items() if len(v) >= max(SPLIT_FROM, 2 * parts)}


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
    character : name that fixes hair, head, nose and colours: who it is.
    moment : name that fixes eyes, brows and mouth: what the face does here.
    part, parts : the cast that the character belongs to, see `cast_variants`.
    size : side of the square drawing in pixels, before it is tilted.
    tilt : degrees, counter-clockwise.
    mirrored : flip left and right.
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
    """Return the SVG: every choice comes from the character's or the moment's own stream, never from the kit's seed."""
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
    return Avatar(_style(kit.name), options).to_string()


def _manga_colours(kit: Style, character: str) -> dict[str, list[str]]:
    draw = stream(kit.name, character, "colours")
    hair = str(draw.choice(["#111111", "#111111", "#ffffff", "#8c8c8c"]))
    clothes = str(draw.choice(["#ffffff", "#111111", "#aaaaaa"]))
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
    """Rasterise to grey and alpha, (size, size) uint8 each.

    Kits that paint flat areas get a contour where areas meet, so that white skin on white paper stays a face.
    """
    import resvg_py
    from PIL import Image

    scale = 2 if outlined else 1
    # No kit holds text; reading the machine's fonts would take most of the time.
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
    """Name a character of a cast, unique across styles, casts and splits."""
    return f"{style}-{part}of{parts}-{number:02d}-{derive_seed(style, part, parts, number) % 1000:03d}"
