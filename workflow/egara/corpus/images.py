"""Image files → pixels: complete, upright, greyscale or RGB."""

import contextlib
import struct
import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from egara.corpus import png
from egara.corpus.jpeg import complete_jpeg, without_leading_bytes
from egara.corpus.limits import MOST, Limits, Unreadable, check_pixels, key
from egara.corpus.modes import grey_or_rgb, orientation, upright
from egara.corpus.signatures import is_heic, is_image, is_jpeg_xl

if TYPE_CHECKING:
    from PIL import Image

# Without Pillow's formats that run programs (EPS) or hold no pages (icons, sprites).
FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM"]

_ANIMATED = {"GIF": "GIF", "PNG": "PNG", "WEBP": "WebP", "AVIF": "AVIF", "MPO": "MPO", "JXL": "JPEG XL", "HEIF": "HEIC"}

_SUBFILE = 254  # TIFF tag NewSubfileType; bit 0: a smaller copy of another image


@dataclass(frozen=True)
class Frames:
    """The frames of an image file.

    Attributes
    ----------
    pages : indices of the frames that are pages: a TIFF may have several, and smaller copies between them.
    others : number of other frames, such as those of an animation.
    kind : name of the format.
    """

    pages: tuple[int, ...] = (0,)
    others: int = 0
    kind: str = ""


def decode(data: bytes, limits: Limits | None = None, frame: int = 0) -> "Image.Image":
    """Decode a page's stored bytes completely.

    Parameters
    ----------
    data : bytes of an image file.
    limits : bounds on its pixels, checked before decoding; None for bytes that were checked before.
    frame : index of the page in a file with several.

    Returns
    -------
    The upright page in mode L (greyscale) or RGB, 8 bits per channel, on white.

    Raises
    ------
    Unreadable : not an image, a damaged or truncated one, 0 pixels, or more than `limits`.
    """
    image, data = _opened(data, limits)
    if limits:
        check_pixels(*image.size, limits)
    return _decoded(image, data, limits, frame)


def decode_first(data: bytes, limits: Limits) -> tuple["Image.Image", Frames]:
    """Decode a file's first page and list its frames; see `decode`."""
    image, data = _opened(data, limits)
    check_pixels(*image.size, limits)
    frames = _read_frames(image, limits)
    return _decoded(image, data, limits, 0), frames


def pages_within(data: bytes, limits: Limits) -> tuple[int, ...]:
    """Return the indices of the pages in a file without decoding them; see `Frames`."""
    return _read_frames(_opened(data, None)[0], limits).pages


def measure(data: bytes) -> tuple[int, int]:
    """Return the width and height of the upright page without decoding it.

    Raises
    ------
    Unreadable : not an image.
    """
    image, _ = _opened(data, None)
    with image, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        width, height = image.size
        return (height, width) if orientation(image) >= 5 else (width, height)


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
        # Pillow warns of large pages, which the limits bound, and of broken EXIF, which is ignored.
        warnings.simplefilter("ignore")
        try:
            image = Image.open(BytesIO(data), formats=formats)
        except Image.DecompressionBombError as error:
            most = limits.pixels if limits else MOST["pixels"]
            raise Unreadable(
                f"page of more than {MOST['pixels']} pixels; expected at most {most} in total ({key('pixels')})",
                "limit",
            ) from error
        except Exception as error:
            if data.startswith(png.SIGNATURE) and (stripped := png.without_metadata(data)) != data:
                return _opened(stripped, limits)
            raise Unreadable(_reason(error, data)) from error
    return image, data


def _decoded(image: "Image.Image", data: bytes, limits: Limits | None, frame: int) -> "Image.Image":
    """Load an opened image's pixels and turn them upright."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if image.format in ("JPEG", "MPO"):
                complete = complete_jpeg(data, tested=limits is None)
                image = image if complete is data else _opened(complete, None)[0]
            elif image.format == "PNG":
                png.check_critical(data)
            if frame:
                image.seek(frame)
                if limits:
                    check_pixels(*image.size, limits)
            image, data = _loaded(image, data)
            if image.format == "PNG":
                _check_rows(image, data)
            return grey_or_rgb(upright(image))
        except (MemoryError, Unreadable):
            raise
        except Exception as error:  # decoders of damaged files raise errors of many types
            raise Unreadable(_reason(error, data)) from error


def _loaded(image: "Image.Image", data: bytes) -> tuple["Image.Image", bytes]:
    """Load all pixels; of a PNG file without its other chunks, where these are unreadable."""
    try:
        image.load()
    except (MemoryError, Unreadable):
        raise
    except Exception:
        if image.format != "PNG" or (stripped := png.without_metadata(data)) == data:
            raise
        image, data = _opened(stripped, None)
        image.load()
    return image, data


def _read_frames(image: "Image.Image", limits: Limits) -> Frames:
    """List the frames of a file; if further ones are damaged, only the first counts."""
    kind = _ANIMATED.get(image.format, str(image.format))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if image.format != "TIFF":
                return Frames(others=getattr(image, "n_frames", 1) - 1, kind=kind)
            places, copies = _tiff_pages(image, limits)
            return Frames(places, copies, kind)
        except Exception:  # see `_decoded`
            return Frames()
        finally:
            with contextlib.suppress(Exception):
                image.seek(0)


def _tiff_pages(image: "Image.Image", limits: Limits) -> tuple[tuple[int, ...], int]:
    """Return the indices of a TIFF's pages, always with the first frame, and the number of smaller copies."""
    places, copies = [0], 0
    for place in range(1, limits.members):
        try:
            image.seek(place)
        except EOFError:
            break
        except Exception:  # a damaged directory: its frames are unknown
            copies += 1
            break
        if image.tag_v2.get(_SUBFILE, 0) & 1:
            copies += 1
        else:
            places.append(place)
    return tuple(places), copies


def _added_format(head: bytes) -> list[str]:
    """Return the format of an image that needs a further package; raises `Unreadable` where that is missing."""
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
    """Raise `Unreadable` where a PNG file ends before its last row, which Pillow leaves black, or any if interlaced."""
    last = image.crop((0, image.height - 1, *image.size))
    if (image.info.get("interlace") or not last.getbbox(alpha_only=False)) and png.lacks_rows(data):
        raise Unreadable("truncated, it has fewer rows than its header states")


def _declared_size(data: bytes) -> tuple[int, int] | None:
    """Read width and height from a PNG, GIF or BMP header: Pillow does not open images of 0 pixels."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        return struct.unpack(">II", data[16:24])
    if data.startswith(b"GIF8") and len(data) >= 10:
        return struct.unpack("<HH", data[6:10])
    if data.startswith(b"BM") and len(data) >= 26 and struct.unpack("<I", data[14:18])[0] >= 40:
        width, height = struct.unpack("<ii", data[18:26])
        return abs(width), abs(height)
    return None


def _reason(error: Exception, data: bytes) -> str:
    """Return in one short line why an image is unreadable, the same on every run."""
    from PIL import UnidentifiedImageError

    if is_jpeg_xl(data) or is_heic(data):
        return f"{'JPEG XL' if is_jpeg_xl(data) else 'HEIC'}, damaged or truncated"
    if isinstance(error, UnidentifiedImageError):
        return "not a readable image"
    return " ".join(str(error).split())[:200] or type(error).__name__
