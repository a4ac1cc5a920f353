"""JPEG files whose scans are cut: decoders make up what is missing, without a word."""

import itertools
import re
import struct
from collections.abc import Iterator

from egara.corpus.limits import Unreadable

_START, _END = b"\xff\xd8\xff", b"\xff\xd9"
_SCAN, _STOP = 0xDA, 0xD9
_BARE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
_PROGRESSIVE, _FRAMES = (0xC2, 0xCA), (0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA)
# Within a scan: what is neither a stuffed byte, a restart, nor filling.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
# How far into a file its start may lie, behind line breaks or headers of a transfer.
_LEADING = 4096


def without_leading_bytes(data: bytes) -> bytes:
    """Return a file from where a JPEG picture starts; the file itself where none does."""
    place = data.find(_START, 0, _LEADING)
    return data[place:] if place > 0 else data


def whole_jpeg(data: bytes, tested: bool = False) -> bytes:
    """Return a JPEG file with its end marker.

    Parameters
    ----------
    data : bytes of the file.
    tested : its scans were tested before.

    Raises
    ------
    Unreadable : pixels are missing: a scan is cut, or a progressive picture lacks one.
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
        raise Unreadable("truncated, scans of its progressive picture are missing")
    data = data if ended else data + _END
    if not tested:
        _decode(data)
    return data


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each marker of a picture with what it states, scans without their data."""
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
    """Decode a picture at an eighth of its size, and raise `Unreadable` for what libjpeg only warns of."""
    import simplejpeg

    try:
        space = simplejpeg.decode_jpeg_header(data, strict=False)[2]
        space = "CMYK" if space in ("CMYK", "YCCK") else "GRAY"
        simplejpeg.decode_jpeg(data, colorspace=space, min_height=1, min_width=1, strict=True)
    except ValueError as error:
        said = str(error)
        if "premature end" in said.lower():
            raise Unreadable(f"truncated, its scan ends before its last pixel ({said})") from error
        # Bytes between scans that nobody reads cost no pixel; what this decoder does not know, Pillow may.
        if "Corrupt JPEG data" in said and "extraneous" not in said:
            raise Unreadable(f"damaged ({said})") from error
