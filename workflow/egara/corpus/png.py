"""PNG files that hold fewer rows than they state: Pillow leaves what is missing black, without a word."""

import struct
import zlib
from collections.abc import Iterator

_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type → samples a pixel
# Adam7: each pass's first column and row, and their steps (PNG specification, section 8).
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def lacks_rows(data: bytes) -> bool:
    """Tell whether a PNG file's pixels end before its last row; only unpacks, and keeps nothing."""
    left, inflate = _expected(data), zlib.decompressobj()
    for part in _parts(data):
        waiting = part
        while waiting and left > 0 and not inflate.eof:
            left -= len(inflate.decompress(waiting, 2**20))
            waiting = inflate.unconsumed_tail
    return left > len(inflate.flush())


def _expected(data: bytes) -> int:
    """Return how many bytes the rows unpack to, each with one byte for its filter."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", data[16:29])
    bits = depth * _SAMPLES.get(colour, 1)
    if not interlaced:
        return height * (1 + (width * bits + 7) // 8)
    total = 0
    for left, top, across, down in _PASSES:
        columns, rows = -(-max(0, width - left) // across), -(-max(0, height - top) // down)
        total += rows * (1 + (columns * bits + 7) // 8) if columns else 0
    return total


def _parts(data: bytes) -> Iterator[bytes]:
    """Yield the bytes of each IDAT chunk."""
    place = 8
    while place + 8 <= len(data):
        size, kind = struct.unpack(">I4s", data[place : place + 8])
        if kind == b"IDAT":
            yield data[place + 8 : place + 8 + size]
        place += 12 + size
