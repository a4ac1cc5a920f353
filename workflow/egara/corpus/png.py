"""PNG files: checks of their pixels, and copies without other chunks.

Pillow leaves missing rows black without an error, does not check the checksums of pixels, and refuses intact images
with damaged metadata.
"""

import struct
import zlib
from collections.abc import Iterator

from egara.corpus.limits import Unreadable

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type → samples per pixel
# Adam7: each pass's first column and row, and their steps (PNG specification, section 8).
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
# Transparency and orientation change how a page looks, too.
_KEPT = (*_CRITICAL, b"tRNS", b"eXIf")


def check_critical(data: bytes) -> None:
    """Raise `Unreadable` where a chunk of pixels, palette or size is truncated or has a wrong checksum."""
    for kind, body, checksum in _chunks(data):
        if (
            kind in _CRITICAL
            and kind != b"IEND"
            and (checksum is None or zlib.crc32(body, zlib.crc32(kind)) != checksum)
        ):
            cut = "is truncated" if checksum is None else "has a wrong checksum"
            raise Unreadable(f"truncated or damaged, its chunk {kind.decode()} {cut}")


def without_metadata(data: bytes) -> bytes:
    """Return a PNG file without metadata and damaged chunks."""
    kept = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))
        for kind, body, checksum in _chunks(data)
        if kind in _KEPT and kind != b"IEND" and zlib.crc32(body, zlib.crc32(kind)) == checksum
    ]
    return SIGNATURE + b"".join(kept) + b"\0\0\0\0IEND\xaeB`\x82"


def lacks_rows(data: bytes) -> bool:
    """Return whether a PNG file's pixels end before its last row; decompresses without keeping data."""
    left, inflate = _expected(data), zlib.decompressobj()
    for kind, part, _ in _chunks(data):
        waiting = part if kind == b"IDAT" else b""
        while waiting and left > 0 and not inflate.eof:
            left -= len(inflate.decompress(waiting, 2**20))
            waiting = inflate.unconsumed_tail
    return left > len(inflate.flush())


def _expected(data: bytes) -> int:
    """Return the decompressed bytes of all rows, each with one byte for its filter."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", data[16:29])
    bits = depth * _SAMPLES.get(colour, 1)
    if not interlaced:
        return height * (1 + (width * bits + 7) // 8)
    total = 0
    for left, top, across, down in _PASSES:
        columns, rows = -(-max(0, width - left) // across), -(-max(0, height - top) // down)
        total += rows * (1 + (columns * bits + 7) // 8) if columns else 0
    return total


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, int | None]]:
    """Yield each chunk's type, bytes and checksum, which is None where the file ends before it."""
    place = len(SIGNATURE)
    while place + 8 <= len(data):
        size, kind = struct.unpack(">I4s", data[place : place + 8])
        body, stated = data[place + 8 : place + 8 + size], data[place + 8 + size : place + 12 + size]
        yield kind, body, struct.unpack(">I", stated)[0] if len(stated) == 4 else None
        place += 12 + size
