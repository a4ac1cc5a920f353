"""Decoded images → pages: upright, 8 bits per channel, greyscale or RGB on white."""

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

_ORIENTATION = 0x0112  # EXIF tag


def orientation(image: "Image.Image") -> int:
    """Return the EXIF orientation, 1 (upright) where the tag is missing or broken."""
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # a damaged EXIF block does not make a page unreadable
        return 1


def upright(image: "Image.Image") -> "Image.Image":
    """Apply the EXIF orientation to a loaded image; a damaged EXIF block is ignored."""
    from PIL import ImageOps

    with contextlib.suppress(Exception):  # see `orientation`
        ImageOps.exif_transpose(image, in_place=True)
    return image


def grey_or_rgb(image: "Image.Image") -> "Image.Image":
    """Convert any mode to L or RGB: transparency on white, 16 bits scaled to 8."""
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        return _eight_bits(image)
    if image.mode == "LAB":
        image = _from_lab(image)
    grey = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        image = white
    return image.convert("L" if grey else "RGB")


def _eight_bits(image: "Image.Image") -> "Image.Image":
    """Scale 16-bit or floating-point greyscale (0–1 or 0–255) to 8 bits."""
    import numpy as np
    from PIL import Image

    values = np.nan_to_num(np.asarray(image).astype(np.float32))  # (height, width)
    if image.mode != "F":
        values /= 257
    elif values.size and values.max() <= 1:
        values *= 255
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))


def _from_lab(image: "Image.Image") -> "Image.Image":
    """Convert CIE L*a*b* to sRGB."""
    from PIL import ImageCms

    lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(image, lab, rgb, outputMode="RGB")
