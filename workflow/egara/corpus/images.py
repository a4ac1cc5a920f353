"""Stored image bytes → pixels: whole, upright, grey or RGB."""

import struct
import warnings
from io import BytesIO
from typing import TYPE_CHECKING

from egara.corpus.limits import Limits, Unreadable, check_pixels
from egara.corpus.png import lacks_rows
from egara.errors import EgaraError

if TYPE_CHECKING:
    from PIL import Image

# Pillow also reads formats that run programs (EPS) or hold no page (icons, sprites): they stay out.
FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM"]

# Pillow refuses to open more (twice its MAX_IMAGE_PIXELS), so no limit can lie higher.
PIXELS = 178_956_970

# Members that are taken for pages; JPEG XL and HEIC too, so that they are listed as unreadable and not passed over.
SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".avif"]
    + [".jp2", ".j2k", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".jxl", ".heic", ".heif"]
)

_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP  ")

# EXIF tag 0x0112 → the name of Pillow's transposition that sets the page upright.
_UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


def is_image(head: bytes) -> bool:
    """Tell from its first bytes whether a file is an image."""
    return head.startswith(_SIGNATURES) or head[8:12] in (b"WEBP", b"avif", b"avis")


def decode(data: bytes, where: str = "", limits: Limits | None = None) -> "Image.Image":
    """Decode a page's stored bytes completely.

    Parameters
    ----------
    data : bytes of an image file.
    where : names the page in errors.
    limits : bounds on its pixels, tested before any is decoded; none for bytes that were tested before.

    Returns
    -------
    The upright page in mode L (grey) or RGB, 8 bits a channel, on white.

    Raises
    ------
    Unreadable : no image, or a damaged or truncated one.
    EgaraError : 0 pixels, or more than `limits`.
    """
    from PIL import Image

    if not data:
        raise Unreadable("empty file")
    if limits and (size := _declared_size(data)):
        check_pixels(where, *size, limits)
    Image.init()
    with warnings.catch_warnings():
        # Pillow warns of large pages, which the limits settle, and of broken EXIF, which leaves a page as it is.
        warnings.simplefilter("ignore")
        try:
            image = Image.open(BytesIO(data), formats=FORMATS)
        except Image.DecompressionBombError as error:
            most = limits.pixels if limits else PIXELS
            raise EgaraError(f"{where}: page of more than {PIXELS} pixels; expected at most {most} in all") from error
        except Exception as error:
            raise Unreadable(_reason(error)) from error
        if limits:
            check_pixels(where, *image.size, limits)
        try:
            image.load()
            if image.format == "PNG":
                _check_rows(image, data)
            orientation = _orientation(image)
            image = _grey_or_rgb(image)
        except MemoryError:
            raise
        except Exception as error:  # decoders of damaged files raise whatever their arithmetic meets first
            raise Unreadable(_reason(error)) from error
    if orientation in _UPRIGHT:
        image = image.transpose(Image.Transpose[_UPRIGHT[orientation]])
    return image


def _check_rows(image: "Image.Image", data: bytes) -> None:
    """Raise `Unreadable` where a PNG file ends before its last row, which then is black, or another if interlaced."""
    last = image.crop((0, image.height - 1, *image.size))
    if (image.info.get("interlace") or not last.getbbox(alpha_only=False)) and lacks_rows(data):
        raise Unreadable("truncated, it holds fewer rows than it states")


def _declared_size(data: bytes) -> tuple[int, int] | None:
    """Read width and height from a PNG, GIF or BMP header: Pillow calls one with 0 pixels no image at all."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        return struct.unpack(">II", data[16:24])
    if data.startswith(b"GIF8") and len(data) >= 10:
        return struct.unpack("<HH", data[6:10])
    if data.startswith(b"BM") and len(data) >= 26 and struct.unpack("<I", data[14:18])[0] >= 40:
        width, height = struct.unpack("<ii", data[18:26])
        return abs(width), abs(height)
    return None


def _reason(error: Exception) -> str:
    """Return one short line that says why an image cannot be read, the same on every run."""
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "no image that can be read"
    return " ".join(str(error).split())[:200] or type(error).__name__


def _orientation(image: "Image.Image") -> int:
    """Return the EXIF orientation, 1 (upright) where the tag is missing or broken."""
    try:
        return image.getexif().get(0x0112, 1)
    except Exception:  # a page whose EXIF block is damaged is still a page
        return 1


def _grey_or_rgb(image: "Image.Image") -> "Image.Image":
    """Convert any mode to L or RGB: transparency on white, 16 bits scaled to 8."""
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        return _eight_bits(image)
    grey = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        image = white
    return image.convert("L" if grey else "RGB")


def _eight_bits(image: "Image.Image") -> "Image.Image":
    """Scale 16-bit or floating-point grey (0–1 or 0–255) to 8 bits."""
    import numpy as np
    from PIL import Image

    values = np.nan_to_num(np.asarray(image).astype(np.float32))  # (height, width)
    if image.mode != "F":
        values /= 257
    elif values.size and values.max() <= 1:
        values *= 255
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
