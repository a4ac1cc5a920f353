"""Pictures that lie about their size are refused, or are as large as they say, and nothing of them is made up."""

import struct
from io import BytesIO

import numpy as np
import pytest
from containers import page, read, write_folder, write_zip
from hostile import png, refusing
from PIL import Image

from egara.corpus.limits import Limits


def test_extra_rows_of_a_png_are_ignored(tmp_path):
    rows = bytes(21 * 1000)
    write_zip(tmp_path / "a.cbz", {"1.png": png(20, 10, rows), "2.png": png(20, 1000, rows)})
    volume = read(tmp_path / "a.cbz")
    assert [(row["width"], row["height"]) for row in volume.pages] == [(20, 10), (20, 1000)]


@pytest.mark.parametrize(
    ("colour", "depth", "bits"), [(0, 8, 8), (0, 1, 1), (0, 16, 16), (2, 8, 24), (3, 4, 4), (6, 8, 32)]
)
@pytest.mark.parametrize("interlaced", [0, 1])
def test_png_with_missing_rows_is_truncated(tmp_path, colour, depth, bits, interlaced):
    """Pillow alone may read it, black below; a page that is black to its end is whole."""
    # 16 x 16 pixels in seven passes: so many passes, rows and columns each (PNG specification, section 8).
    passes = [(2, 2), (2, 2), (2, 4), (4, 4), (4, 8), (8, 8), (8, 16)] if interlaced else [(16, 16)]
    size = sum(rows * (1 + -(-columns * bits // 8)) for rows, columns in passes)
    given = {"colour": colour, "depth": depth, "interlaced": interlaced}
    cuts = (0, 1, 1 + -(-16 * bits // 8), size // 2, size - 1)  # a byte, a row, …
    write_zip(tmp_path / "a.cbz", {f"{cut}.png": png(16, 16, bytes(size - cut), **given) for cut in cuts})
    volume = read(tmp_path / "a.cbz")
    assert [row["page"] for row in volume.pages] == ["0.png"]
    assert all("truncated" in row["reason"] for row in volume.skipped)


@pytest.mark.parametrize("rows", [1, 1000, 1999])
def test_long_png_with_missing_rows_is_truncated(tmp_path, rows):
    write_zip(tmp_path / "a.cbz", {"1.png": png(20, 2000, bytes(21 * 2000)), "2.png": png(20, 2000, bytes(21 * rows))})
    volume = read(tmp_path / "a.cbz")
    assert [row["page"] for row in volume.pages] == ["1.png"]
    assert "truncated" in volume.skipped[0]["reason"]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "BMP", "JPEG2000", "AVIF", "PPM", "JPEG"])
def test_false_sizes_in_headers_of_every_format(tmp_path, kind):
    """Each number of a small picture that is its side is made 25,000: refused, skipped, or no larger than allowed."""
    file = BytesIO()
    Image.fromarray(np.zeros((77, 77), np.uint8)).save(file, kind)
    data, tried = file.getvalue(), 0
    forms = [(77).to_bytes(2, "big"), (77).to_bytes(2, "little"), (76).to_bytes(3, "little"), b"77"]
    for form in forms:
        place = -1
        while (place := data.find(form, place + 1)) >= 0:
            large = b"25000" if form == b"77" else (25_000).to_bytes(len(form), "big" if form[0] == 0 else "little")
            write_folder(
                tmp_path / "v01", {"1.jpg": page(10), "2.jpg": data[:place] + large + data[place + len(form) :]}
            )
            tried += 1
            volume = read(tmp_path / "v01", limits=Limits(pixels=100_000))
            assert len(volume.pages) + sum(row["cause"] != "frames" for row in volume.skipped) == 2
            assert all(row["width"] * row["height"] <= 100_000 for row in volume.pages)
    assert tried


def test_a_gif_whose_frame_is_larger_than_its_screen(tmp_path):
    file = BytesIO()
    Image.new("L", (60, 60)).save(file, "GIF")
    data = file.getvalue()
    screen = struct.pack("<HH", 60, 60)
    write_folder(
        tmp_path / "v01",
        {
            "1.gif": data.replace(screen, struct.pack("<HH", 9000, 9000)).replace(
                struct.pack("<HH", 9000, 9000), struct.pack("<HH", 6, 6), 1
            )
        },
    )
    with refusing(tmp_path, "1.gif: page of 9000 x 9000 pixels; expected at most 1000000 in total"):
        read(tmp_path / "v01", limits=Limits(pixels=1_000_000))
