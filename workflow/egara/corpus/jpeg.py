"""JPEG files with truncated scans, which decoders complete without an error."""

import itertools
import re
import struct
from collections.abc import Iterator

from egara.corpus.limits import Unreadable

_START, _END = b"\xff\xd8\xff", b"\xff\xd9"
_SCAN, _STOP = 0xDA, 0xD9
_BARE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
_PROGRESSIVE, _FRAMES = (0xC2, 0xCA), (0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA)
# A marker within a scan that is not a stuffed byte, a restart or a fill byte.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_MAX_LEADING = 4096  # bytes before the start, such as line breaks or transfer headers


def without_leading_bytes(data: bytes) -> bytes:
    """Return a file from the start of its JPEG image, the file itself where there is none."""
    place = data.find(_START, 0, _MAX_LEADING)
    return data[place:] if place > 0 else data


def complete_jpeg(data: bytes, tested: bool = False) -> bytes:
    """Return a JPEG file with an end marker, after checking that its scans are complete.

    Parameters
    ----------
    data : bytes of the file.
    tested : whether its scans were checked before.

    Raises
    ------
    Unreadable : a scan is truncated, or missing in a progressive image.
    """
    ended, missing = False, {}
    for marker, body in _segments(data):
        if marker in _FRAMES and len(body) >= 6:
            identities = body[6::3][: body[5]]
            missing = dict.fromkeys(itertools.product(identities, range(64)), 1) if marker in _PROGRESSIVE else {}
        elif marker == _SCAN and missing and len(body) >= 4:
            first, last, bits = body[-3:]
            missing |= dict.fromkeys(itertools.product(body[1:-3:2], range(first, min(last, 63) + 1)), bits & 15)
        ended = marker == _STOP
    if any(missing.values()):
        raise Unreadable("truncated, scans of its progressive image are missing")
    data = data if ended else data + _END
    if not tested:
        _decode(data)
    return data


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each marker with its segment, scans without their data."""
    place = 0
    while place + 2 <= len(data):
        if data[place] != 0xFF or data[place + 1] == 0xFF:
            place += 1
            continue
        marker = data[place + 1]
        if marker in _BARE:
            place += 2
            continue
        if marker == _STOP:
            yield marker, b""
            return
        if place + 4 > len(data):
            return
        (length,) = struct.unpack(">H", data[place + 2 : place + 4])
        yield marker, data[place + 4 : place + 2 + length]
        place += 2 + max(length, 2)
        if marker == _SCAN:
            if place >= len(data):
                raise Unreadable("truncated, it ends before its first pixel")
            found = _MARKER.search(data, place)
            place = found.start() if found else len(data)


def _decode(data: bytes) -> None:
    """Decode at an eighth of the size, and raise `Unreadable` for what libjpeg only warns about."""
    import simplejpeg

    try:
        space = simplejpeg.decode_jpeg_header(data, strict=False)[2]
        space = "CMYK" if space in ("CMYK", "YCCK") else "GRAY"
        simplejpeg.decode_jpeg(data, colorspace=space, min_height=1, min_width=1, strict=True)
    except ValueError as error:
        said = str(error)
        if "premature end" in said.lower():
            raise Unreadable(f"truncated, its scan ends before its last pixel ({said})") from error
        # Extraneous bytes between scans are harmless; features unknown to this decoder may be known to Pillow.
        if "Corrupt JPEG data" in said and "extraneous" not in said:
            raise Unreadable(f"damaged ({said})") from error
