"""Limits: decompression bombs, pages of too many pixels, members of too many bytes, options out of range."""

import re
import struct

import numpy as np
import pytest
from containers import WRITERS, page, pages, read, write_folder, write_zip
from hostile import png
from PIL import Image

from egara.corpus.__main__ import main
from egara.corpus.limits import Limits
from egara.io.errors import EgaraError


@pytest.mark.parametrize("kind", WRITERS)
def test_too_large_members_are_left_out(tmp_path, kind):
    path = tmp_path / f"v01.{kind}"
    WRITERS[kind](path, {"1.jpg": page(1), "2.jpg": np.random.default_rng(0).bytes(3 * 2**20), "3.jpg": page(3)})
    volume = read(path, limits=Limits(member=2))
    assert [row["page"] for row in volume.pages] == ["1.jpg", "3.jpg"]
    assert [(row["member"], row["cause"]) for row in volume.skipped] == [("2.jpg", "limit")]
    assert "expected at most 2 MiB (pages.limits.member)" in volume.skipped[0]["reason"]
    with pytest.raises(EgaraError, match=r"2\.jpg: unpacks to .*pages\.limits\.member"):
        read(path, limits=Limits(member=2), unreadable="error")


def test_zip_with_a_false_size_loses_one_page(tmp_path):
    path = tmp_path / "a.cbz"
    write_zip(path, {"1.jpg": page(1), "2.jpg": bytes(5 * 2**20)})
    data = path.read_bytes().replace(struct.pack("<I", 5 * 2**20), struct.pack("<I", 1000))
    path.write_bytes(data)
    volume = read(path)
    assert [row["member"] for row in volume.skipped] == ["2.jpg"]


def test_zip_members_of_high_compression_ratio_are_bombs(tmp_path):
    write_zip(tmp_path / "a.cbz", {"1.jpg": page(1), "2.bmp": bytes(20 * 2**20)})
    volume = read(tmp_path / "a.cbz")
    assert [row["page"] for row in volume.pages] == ["1.jpg"]
    assert volume.skipped[0]["cause"] == "limit"
    assert "to 20971520 bytes, a decompression bomb" in volume.skipped[0]["reason"]
    assert "200 times (pages.limits.ratio)" in volume.skipped[0]["reason"]


@pytest.mark.parametrize("kind", ["cbz", "cb7"])
def test_many_small_members_can_be_a_bomb(tmp_path, kind):
    path = tmp_path / f"v01.{kind}"
    WRITERS[kind](path, {f"{i}.bmp": bytes(2**20) for i in range(8)})
    with pytest.raises(EgaraError, match=r"unpacks from \d+ to \d+ bytes, a decompression bomb"):
        read(path, limits=Limits(member=2))


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (0, 5, "at least 1 x 1"),
        (5, 0, "at least 1 x 1"),
        (60_000, 1, "30000 per side"),
        (60_000, 60_000, "30000 per side"),
    ],
)
def test_pages_with_no_or_too_many_pixels(tmp_path, width, height, expected):
    write_zip(tmp_path / "a.cbz", {**pages(), "3.png": png(width, height)})
    volume = read(tmp_path / "a.cbz")
    assert len(volume.pages) == 4
    assert re.match(rf"page of {width} x {height} pixels; expected .*{expected}", volume.skipped[0]["reason"])


def test_pixel_bombs_are_refused_before_they_are_decoded(tmp_path):
    write_folder(tmp_path / "v01", {"1.png": png(20_000, 20_000)})
    with pytest.raises(EgaraError, match=r"20000 x 20000 pixels; .* 60000000 in total \(pages\.max_pixels\)"):
        read(tmp_path / "v01")
    data = bytearray(page(1))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", 60_000, 60_000)
    write_folder(tmp_path / "v01", {"1.png": bytes(data)})
    with pytest.raises(EgaraError, match=r"1\.png: page of (more than|60000 x 60000) .*pixels"):
        read(tmp_path / "v01")
    write_folder(tmp_path / "v01", {"1.png": page(1)})
    with pytest.raises(EgaraError, match="41 x 60 pixels; expected at most 1000 in total"):
        read(tmp_path / "v01", limits=Limits(pixels=1000))


def test_pdf_pages_keep_to_the_limits(tmp_path):
    Image.new("L", (600, 600)).save(tmp_path / "a.pdf", save_all=True, append_images=[Image.new("L", (20, 20))])
    volume = read(tmp_path / "a.pdf", limits=Limits(pixels=1000))
    assert [row["page"] for row in volume.pages] == ["p0002"]
    expected = "p0001: image of 600 x 600 pixels; expected at most 1000 in total (pages.max_pixels)"
    assert [(row["member"], row["cause"], row["reason"]) for row in volume.skipped] == [("0", "limit", expected)]
    volume = read(tmp_path / "a.pdf", limits=Limits(points=100))
    assert "600 x 600 points; expected at most 100 per side (pages.limits.points)" in volume.skipped[0]["reason"]


@pytest.mark.parametrize("option", ["--max-pixels=0", "--max-pixels=999999999", "--dpi=0", "--dpi=nan"])
def test_options_out_of_range(tmp_path, option):
    arguments = f"--author a --work w --volumes {tmp_path} --output {tmp_path}/p.tsv --skipped {tmp_path}/s.tsv".split()
    with pytest.raises(EgaraError, match=r"--[\w-]+ is .*; expected a whole number from \d+ to \d+"):
        main([*arguments, option])
