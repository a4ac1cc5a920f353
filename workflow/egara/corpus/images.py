"""Stored image bytes → pixels: whole, upright, grey or RGB."""

import contextlib
import struct
import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from egara.corpus import png
from egara.corpus.jpeg import whole_jpeg, without_leading_bytes
from egara.corpus.limits import MOST, Limits, Unreadable, check_pixels, key
from egara.corpus.signatures import is_heic, is_image, is_jpeg_xl

if TYPE_CHECKING:
    from PIL import Image

# Pillow also reads formats that run programs (EPS) or hold no page (icons, sprites): they stay out.
FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM"]

_ANIMATED = {"GIF": "GIF", "PNG": "PNG", "WEBP": "WebP", "AVIF": "AVIF", "MPO": "MPO", "JXL": "JPEG XL", "HEIF": "HEIC"}

_SUBFILE = 254  # TIFF tag NewSubfileType; bit 0: a smaller copy of another picture

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


@dataclass(frozen=True)
class Pictures:
    """What one image file holds.

    Attributes
    ----------
    pages : places of its pages: a TIFF may have several, and smaller copies between them.
    others : pictures that are no pages, the further ones of an animation.
    kind : how a person calls the format.
    """

    pages: tuple[int, ...] = (0,)
    others: int = 0
    kind: str = ""


def decode(data: bytes, limits: Limits | None = None, frame: int = 0) -> "Image.Image":
    """Decode a page's stored bytes completely.

    Parameters
    ----------
    data : bytes of an image file.
    limits : bounds on its pixels, tested before any is decoded; none for bytes that were tested before.
    frame : place of the page in a file with several.

    Returns
    -------
    The upright page in mode L (grey) or RGB, 8 bits a channel, on white.

    Raises
    ------
    Unreadable : no image, a damaged or truncated one, 0 pixels, or more than `limits`.
    """
    image, data = _opened(data, limits)
    if limits:
        check_pixels(*image.size, limits)
    return _decoded(image, data, limits, frame)


def decode_first(data: bytes, limits: Limits) -> tuple["Image.Image", Pictures]:
    """Decode a file's first page and tell what else the file holds; see `decode`."""
    image, data = _opened(data, limits)
    check_pixels(*image.size, limits)
    pictures = _pictures(image, limits)
    return _decoded(image, data, limits, 0), pictures


def pages_within(data: bytes, limits: Limits) -> tuple[int, ...]:
    """Return the places of the pages in a file, without decoding one; see `Pictures`."""
    return _pictures(_opened(data, None)[0], limits).pages


def measure(data: bytes) -> tuple[int, int]:
    """Return the width and height of the upright page that an image file states, without decoding it.

    Raises
    ------
    Unreadable : no image.
    """
    image, _ = _opened(data, None)
    with image, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        width, height = image.size
        return (height, width) if _orientation(image) >= 5 else (width, height)


def _opened(data: bytes, limits: Limits | None) -> tuple["Image.Image", bytes]:
    """Open an image file without decoding it; return the image and the bytes that it is decoded from."""
    from PIL import Image

    if not data:
        raise Unreadable("empty file")
    if not is_image(data[:64]):
        data = without_leading_bytes(data)
    if limits and (size := _declared_size(data)):
        check_pixels(*size, limits)
    Image.init()
    formats = FORMATS + _added_format(data[:64])
    with warnings.catch_warnings():
        # Pillow warns of large pages, which the limits settle, and of broken EXIF, which leaves a page as it is.
        warnings.simplefilter("ignore")
        try:
            image = Image.open(BytesIO(data), formats=formats)
        except Image.DecompressionBombError as error:
            most = limits.pixels if limits else MOST["pixels"]
            raise Unreadable(
                f"page of more than {MOST['pixels']} pixels; expected at most {most} in all ({key('pixels')})", "limit"
            ) from error
        except Exception as error:
            if data.startswith(png.SIGNATURE) and (alone := png.pixels_alone(data)) != data:
                return _opened(alone, limits)
            raise Unreadable(_reason(error, data)) from error
    return image, data


def _decoded(image: "Image.Image", data: bytes, limits: Limits | None, frame: int) -> "Image.Image":
    """Load an opened image's pixels and set them upright."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if image.format in ("JPEG", "MPO"):
                mended = whole_jpeg(data, tested=limits is None)
                image = image if mended is data else _opened(mended, None)[0]
            elif image.format == "PNG":
                png.check_critical(data)
            if frame:
                image.seek(frame)
                if limits:
                    check_pixels(*image.size, limits)
            image, data = _loaded(image, data)
            if image.format == "PNG":
                _check_rows(image, data)
            orientation = _orientation(image)
            image = _grey_or_rgb(image)
        except (MemoryError, Unreadable):
            raise
        except Exception as error:  # decoders of damaged files raise whatever their arithmetic meets first
            raise Unreadable(_reason(error, data)) from error
    if orientation in _UPRIGHT:
        image = image.transpose(Image.Transpose[_UPRIGHT[orientation]])
    return image


def _loaded(image: "Image.Image", data: bytes) -> tuple["Image.Image", bytes]:
    """Load all pixels; of a PNG file without what stands behind them, where that is what cannot be read."""
    try:
        image.load()
    except (MemoryError, Unreadable):
        raise
    except Exception:
        if image.format != "PNG" or (alone := png.pixels_alone(data)) == data:
            raise
        image, data = _opened(alone, None)
        image.load()
    return image, data


def _pictures(image: "Image.Image", limits: Limits) -> Pictures:
    """Tell how many pages and other pictures a file holds; one whose further pictures are damaged has its first."""
    kind = _ANIMATED.get(image.format, str(image.format))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if image.format != "TIFF":
                return Pictures(others=getattr(image, "n_frames", 1) - 1, kind=kind)
            places, copies = _tiff_pages(image, limits)
            return Pictures(places, copies, kind)
        except Exception:  # as decoders of damaged files do
            return Pictures()
        finally:
            with contextlib.suppress(Exception):
                image.seek(0)


def _tiff_pages(image: "Image.Image", limits: Limits) -> tuple[tuple[int, ...], int]:
    """Return the places of a TIFF's pages, the first picture always, and how many smaller copies stand between."""
    places, copies = [0], 0
    for place in range(1, limits.members):
        try:
            image.seek(place)
        except EOFError:
            break
        except Exception:  # a damaged directory: what it would have held is not known
            copies += 1
            break
        if image.tag_v2.get(_SUBFILE, 0) & 1:
            copies += 1
        else:
            places.append(place)
    return tuple(places), copies


def _added_format(head: bytes) -> list[str]:
    """Return the format of an image that a package of its own reads; raises `Unreadable` where that is missing."""
    try:
        if is_jpeg_xl(head):
            import pillow_jxl  # noqa: F401 - registers the format

            return ["JXL"]
        if is_heic(head):
            import pillow_heif

            pillow_heif.register_heif_opener()
            return ["HEIF"]
    except ImportError as error:
        name, package = ("JPEG XL", "pillow-jxl-plugin") if is_jpeg_xl(head) else ("HEIC", "pillow-heif")
        raise Unreadable(f"{name}, which the Python package {package} reads; expected it installed") from error
    return []


def _check_rows(image: "Image.Image", data: bytes) -> None:
    """Raise `Unreadable` where a PNG file ends before its last row, which then is black, or another if interlaced."""
    last = image.crop((0, image.height - 1, *image.size))
    if (image.info.get("interlace") or not last.getbbox(alpha_only=False)) and png.lacks_rows(data):
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


def _reason(error: Exception, data: bytes) -> str:
    """Return one short line that says why an image cannot be read, the same on every run."""
    from PIL import UnidentifiedImageError

    if is_jpeg_xl(data) or is_heic(data):
        return f"{'JPEG XL' if is_jpeg_xl(data) else 'HEIC'}, damaged or truncated"
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
    """Scale 16-bit or floating-point grey (0–1 or 0–255) to 8 bits."""
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
