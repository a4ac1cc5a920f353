"""A picture is read where its pixels are whole, whatever stands beside them; what is missing is never made up."""

import struct
import sys
import zlib
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from containers import page, write_folder, write_zip
from hostile import chunk, png
from PIL import Image, ImageCms, PngImagePlugin

from egara.corpus import iterate_pages, list_volume
from egara.corpus.images import decode, measure
from egara.corpus.limits import Limits, Unreadable

TESTED = Limits()


def saved(image, kind, **options):
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def drawing(seed=0, mode="L"):
    """Return a page of lines: long stretches of white, which a decoder might make up."""
    values = np.full((240, 176), 255, np.uint8)
    random = np.random.default_rng(seed)
    for row in random.integers(0, 240, 12):
        values[row : row + 2, random.integers(0, 100) :] = 0
    return Image.fromarray(values).convert(mode)


JPEGS = {
    "baseline": ("L", {}),
    "colour": ("RGB", {}),
    "progressive": ("L", {"progressive": True}),
    "progressive colour": ("RGB", {"progressive": True}),
    "restarts": ("RGB", {"restart_marker_rows": 1}),
    "cmyk": ("CMYK", {}),
}


@pytest.mark.parametrize("kind", JPEGS)
def test_jpeg_without_an_end_marker_is_intact(kind):
    mode, options = JPEGS[kind]
    data = saved(drawing(1, mode), "JPEG", quality=85, **options)
    assert data.endswith(b"\xff\xd9")
    expected = decode(data, TESTED).tobytes()
    for other in (data[:-2], data[:-1], data + bytes(900), b"\r\n\r\n" + data, data[:-2] + b"\xff\xff\xd9"):
        assert decode(other, TESTED).tobytes() == expected
        assert measure(other) == (176, 240)


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("kind", JPEGS)
def test_jpeg_with_truncated_scans_is_unreadable(kind, ended):
    mode, options = JPEGS[kind]
    data = saved(drawing(2, mode), "JPEG", quality=85, **options)
    start = data.index(b"\xff\xda") + 14
    for cut in {*np.linspace(start, len(data) - 10, 25).astype(int), len(data) - 4}:
        with pytest.raises(Unreadable, match="(?i)truncated|damaged|premature|image"):
            decode(data[:cut] + b"\xff\xd9" * ended, TESTED)


def test_progressive_jpeg_without_a_scan_is_unreadable():
    data = saved(drawing(3, "RGB"), "JPEG", progressive=True)
    scans, place = [], data.find(b"\xff\xda")
    while place >= 0:
        scans.append(place)
        place = data.find(b"\xff\xda", place + 2)
    assert len(scans) > 5
    for place in scans[1:]:
        # Its table of codes belongs to a scan, too.
        end = data.rfind(b"\xff\xc4", 0, place)
        with pytest.raises(Unreadable, match="truncated, scans of its progressive image are missing"):
            decode(data[:end] + b"\xff\xd9", TESTED)


def test_thumbnail_in_a_jpeg_is_ignored():
    exif = Image.Exif()
    exif[0x010E] = "words"
    small = saved(Image.new("L", (16, 16)), "JPEG")
    data = saved(drawing(4), "JPEG", exif=exif)
    application = b"\xff\xec" + struct.pack(">H", len(small) + 2) + small
    assert decode(data[:2] + application + data[2:-2], TESTED).size == (176, 240)


@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_png_is_read_with_damaged_metadata(mode):
    image = drawing(5).convert(mode)
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", "x" * 3_000_000, zip=True)
    profile = saved(image, "PNG", icc_profile=bytes(3_000_000))
    whole = saved(image, "PNG", dpi=(72, 72))
    place = whole.index(b"pHYs")
    damaged = whole[: place + 13] + bytes([whole[place + 13] ^ 1]) + whole[place + 14 :]
    behind = whole.index(b"IEND") - 4
    odd = [
        saved(image, "PNG", pnginfo=text), profile, damaged, whole[:behind],
        whole[:33] + chunk(b"zTXt", b"a\0\0" + b"no zlib") + whole[33:],
        whole[:33] + chunk(b"iCCP", b"x") + whole[33:],
        whole[:behind] + chunk(b"tEXt", b"k\0" + bytes(2_000_000)) + whole[behind:],
        whole[:behind] + b"\0\0\0\x04teXt" + b"abcd" + b"\0\0\0\0" + whole[behind:],
    ]  # fmt: skip
    expected = decode(whole).tobytes()
    for data in odd:
        assert decode(data, TESTED).tobytes() == expected


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE", b"IDAT"])
def test_a_png_with_a_wrong_checksum_of_its_pixels_is_unreadable(kind):
    data = bytearray(saved(drawing(6).convert("P"), "PNG"))
    place = data.index(kind)
    length = struct.unpack(">I", data[place - 4 : place])[0]
    data[place + 4 + length] ^= 1
    with pytest.raises(Unreadable):
        decode(bytes(data), TESTED)


def test_transparency_and_orientation_survive_without_metadata():
    exif = Image.Exif()
    exif[0x0112] = 6
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "y" * 3_000_000, zip=True)
    data = saved(Image.new("P", (6, 9), 0), "PNG", transparency=0, exif=exif, pnginfo=info)
    shown = decode(data, TESTED)
    assert shown.size == (9, 6)
    assert shown.getpixel((1, 1)) == (255, 255, 255)


def test_lab_cmyk_and_deep_colours_look_as_they_should():
    ramp = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    colours = np.stack([ramp, ramp[::-1], np.full_like(ramp, 90)], -1)
    image = Image.fromarray(colours)
    lab = ImageCms.profileToProfile(
        image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    files = {"lab": saved(lab, "TIFF"), "cmyk": saved(image.convert("CMYK"), "JPEG", quality=98)}
    rows = b"".join(b"\0" + row.tobytes() for row in (colours.astype(">u2") * 257))
    files["deep"] = png(64, 48, rows, colour=2, depth=16)
    for name, data in files.items():
        assert np.abs(np.asarray(decode(data, TESTED), int) - colours).mean() < 4, name


@pytest.mark.parametrize(
    ("data", "name", "package", "module"),
    [
        (b"\xff\x0a" + bytes(60), "JPEG XL", "pillow-jxl-plugin", "pillow_jxl"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(60), "JPEG XL", "pillow-jxl-plugin", "pillow_jxl"),
        (b"\0\0\0\x18ftypheic" + bytes(60), "HEIC", "pillow-heif", "pillow_heif"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(60), "HEIC", "pillow-heif", "pillow_heif"),
    ],
)
def test_formats_of_other_packages_are_named_with_them(monkeypatch, data, name, package, module):
    with monkeypatch.context() as without:
        without.setitem(sys.modules, module, None)
        with pytest.raises(Unreadable, match=rf"{name}, which the Python package {package} reads; expected it"):
            decode(data, TESTED)
    pytest.importorskip(module, exc_type=ImportError)
    with pytest.raises(Unreadable, match=f"{name}, damaged or truncated"):
        decode(data, TESTED)


@pytest.mark.parametrize(("module", "kind", "suffix"), [("pillow_jxl", "JXL", "jxl"), ("pillow_heif", "HEIF", "heic")])
def test_formats_of_other_packages_are_read_where_they_are_installed(tmp_path, module, kind, suffix):
    package = pytest.importorskip(module, exc_type=ImportError)
    if kind == "HEIF":
        package.register_heif_opener()
    image = drawing(7, "RGB")
    write_zip(tmp_path / "a.cbz", {f"1.{suffix}": saved(image, kind, quality=95), "2.jpg": page(3)})
    volume = list_volume(tmp_path / "a.cbz", "v01", "a", "w")
    (_, shown), _ = iterate_pages(pd.DataFrame(volume.pages))
    assert np.abs(np.asarray(shown, int) - np.asarray(image)).mean() < 6
    assert volume.skipped == []


def test_a_png_that_unpacks_to_gigabytes_is_refused_by_its_size(tmp_path):
    bomb = zlib.compress(bytes(2**20), 9)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", bomb) + chunk(b"IEND", b"")
    write_folder(tmp_path / "v", {"1.png": data, "2.jpg": page(1)})
    volume = list_volume(tmp_path / "v", "v01", "a", "w", limits=Limits(side=10_000))
    assert [(row["member"], row["cause"]) for row in volume.skipped] == [("1.png", "limit")]
    assert "pages.limits.side" in volume.skipped[0]["reason"]


@pytest.mark.parametrize(
    ("kind", "options"), [("PPM", {}), ("JPEG2000", {"no_jp2": True}), ("TIFF", {"big_tiff": True})]
)
def test_bytes_that_look_like_a_jpeg_stay_pixels(kind, options):
    """Three bytes begin a JPEG that lies behind headers of a transfer; in pixels of another format they begin none."""
    pixels = np.full((60, 40, 3), 255, np.uint8)
    pixels[2, 5] = (255, 216, 255)
    image = Image.fromarray(pixels)
    data = saved(image, kind, **options)
    assert kind == "JPEG2000" or 0 < data.find(b"\xff\xd8\xff") < 4096
    assert decode(data, TESTED).tobytes() == image.tobytes()
    assert decode(saved(image.convert("L"), kind, **options), TESTED).tobytes() == image.convert("L").tobytes()
