"""Image files of several frames: pages of a TIFF count, further frames of an animation do not."""

from io import BytesIO

import pandas as pd
import pytest
from containers import page, read, write_zip
from PIL import Image

from egara.corpus import iterate_pages
from egara.corpus.limits import Limits


def rows(skipped):
    return {row["member"]: (row["cause"], row["count"]) for row in skipped}


def shown(volume):
    """Open all pages again; return name → width."""
    return {row["page"]: image.width for row, image in iterate_pages(pd.DataFrame(volume.pages))}


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF", "MPO"])
def test_further_pictures_of_an_animation_are_counted(tmp_path, kind):
    frames = [Image.new("RGB", (40, 60), (20 * n, 0, 90)) for n in range(5)]
    (tmp_path / "v").mkdir()
    frames[0].save(tmp_path / "v" / f"1.{kind.lower()}", kind, save_all=True, append_images=frames[1:])
    volume = read(tmp_path / "v")
    assert len(volume.pages) == 1
    assert [(row["cause"], row["count"]) for row in volume.skipped] == [("frames", 4)]
    assert "with 5 pictures; the first is used" in volume.skipped[0]["reason"]


def test_a_tiff_of_several_pages_gives_all_of_them(tmp_path):
    frames = [Image.new("L", (40 + n, 60), 30 * n) for n in range(4)]
    file = BytesIO()
    frames[0].save(file, "TIFF", save_all=True, append_images=frames[1:])
    write_zip(tmp_path / "a.cbz", {"1.tif": file.getvalue(), "2.jpg": page(9)})
    volume = read(tmp_path / "a.cbz")
    names = ["1.tif", "1.tif#2", "1.tif#3", "1.tif#4", "2.jpg"]
    assert list(shown(volume).items()) == list(zip(names, [40, 41, 42, 43, 49], strict=True))
    assert len({row["sha256"] for row in volume.pages}) == 5
    again = pd.DataFrame(volume.pages).iloc[[3, 4, 0, 2]]
    assert [image.getpixel((0, 0)) for _, image in iterate_pages(again)] == [90, pytest.approx(9, abs=2), 0, 60]
    (tmp_path / "1.tif").write_bytes(file.getvalue())
    assert list(shown(read(tmp_path / "1.tif"))) == names[:4]
    limited = read(tmp_path / "a.cbz", limits=Limits(pixels=41 * 60))
    assert rows(limited.skipped) == {"1.tif#3": ("limit", 1), "1.tif#4": ("limit", 1), "2.jpg": ("limit", 1)}


def test_smaller_copies_in_a_tiff_are_not_pages(tmp_path):
    file = BytesIO()
    copy = Image.new("L", (10, 15))
    copy.encoderinfo = {"tiffinfo": {254: 1}}
    Image.new("L", (40, 60)).save(file, "TIFF", save_all=True, append_images=[copy, Image.new("L", (41, 60))])
    write_zip(tmp_path / "a.cbz", {"1.tif": file.getvalue()})
    volume = read(tmp_path / "a.cbz")
    assert list(shown(volume).values()) == [40, 41]
    assert rows(volume.skipped) == {"1.tif": ("frames", 1)}
