"""Bad volumes end in one clear line, exit 1 and no table; a bad page among good ones is skipped, counted and listed."""

import contextlib
import os
import re
import struct
import subprocess
import sys
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fuzz.guard import writing_only
from PIL import Image
from test_corpus_containers import (
    NAMES,
    epub_members,
    page,
    pages,
    write_7z,
    write_folder,
    write_rar,
    write_tar,
    write_zip,
)

import egara
from egara.corpus import iterate_pages, list_volume
from egara.corpus.__main__ import main
from egara.corpus.limits import Limits
from egara.corpus.pages import NoPage, leave_out_copies
from egara.corpus.sources import find_volumes
from egara.io.errors import EgaraError

WRITERS = {"cbz": write_zip, "cbt": write_tar, "cb7": write_7z, "cbr": write_rar, "folder": write_folder}
ARCHIVES = [kind for kind in WRITERS if kind != "folder"]


def read(path: Path, **options):
    return list_volume(path, "v01", "An Author", "A Work", **options)


def header(width: int, height: int) -> bytes:
    """Return a PNG file that states a size and has no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", WRITERS)
def test_unreadable_pages_are_skipped_and_listed_or_an_error(tmp_path, kind):
    bad = {"3.jpg": pages()["2.jpg"][:-30], "4.png": b"no image", "5.webp": b"", "6.jxl": b"\xff\x0a12345678"}
    path = tmp_path / f"v01.{kind}"
    WRITERS[kind](path, {**pages(), **bad})
    volume = read(path)
    assert [row["page"] for row in volume.pages] == NAMES
    assert {row["member"]: row["reason"] for row in volume.skipped}.keys() == bad.keys()
    assert all(row["source"] == str(path) and row["reason"] for row in volume.skipped)
    with pytest.raises(EgaraError, match=r"v01\.\w+: 3\.jpg: .*truncated.*; expected a page that can be read"):
        read(path, unreadable="error")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_truncation_is_found_in_every_format(tmp_path, kind, share):
    file = BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (120, 90), np.uint8)).save(file, kind)
    data = file.getvalue()
    write_folder(tmp_path / "v01", {"1.jpg": page(1), "2.jpg": data[: int(len(data) * share)], "3.jpg": data})
    volume = read(tmp_path / "v01")
    assert [row["page"] for row in volume.pages] == ["1.jpg", "3.jpg"]
    assert [row["member"] for row in volume.skipped] == ["2.jpg"]


def test_a_damaged_zip_member_costs_one_page(tmp_path):
    path = tmp_path / "a.cbz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in pages().items():
            archive.writestr(name, data)
        place = archive.getinfo("2.jpg").header_offset + 100
    data = bytearray(path.read_bytes())
    data[place] ^= 255
    path.write_bytes(data)
    volume = read(path)
    assert len(volume.pages) == 3
    assert "CRC" in volume.skipped[0]["reason"]


@pytest.mark.parametrize("kind", ARCHIVES)
@pytest.mark.parametrize("name", ["../1.jpg", "a/../../1.jpg", "/etc/1.jpg", "C:\\1.jpg", "..\\1.jpg", "X: 1/1.jpg"])
def test_a_name_is_a_label_wherever_it_points(tmp_path, kind, name):
    path = tmp_path / f"v01.{kind}"
    WRITERS[kind](path, {"2.jpg": page(2), name: page(1)})
    with writing_only():
        volume = read(path)
        shown = {row["page"]: image.width for row, image in iterate_pages(pd.DataFrame(volume.pages))}
    assert len(shown) == 2 and sorted(shown.values()) == [41, 42] and volume.skipped == []
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", WRITERS)
def test_members_larger_than_a_page_cost_themselves(tmp_path, kind):
    path = tmp_path / f"v01.{kind}"
    WRITERS[kind](path, {"1.jpg": page(1), "2.jpg": np.random.default_rng(0).bytes(3 * 2**20), "3.jpg": page(3)})
    volume = read(path, limits=Limits(member=2))
    assert [row["page"] for row in volume.pages] == ["1.jpg", "3.jpg"]
    assert [(row["member"], row["cause"]) for row in volume.skipped] == [("2.jpg", "limit")]
    assert "expected at most 2 MiB (pages.limits.member)" in volume.skipped[0]["reason"]
    with pytest.raises(EgaraError, match=r"2\.jpg: unpacks to .*pages\.limits\.member"):
        read(path, limits=Limits(member=2), unreadable="error")


def test_a_zip_that_lies_about_a_size_is_read_no_further(tmp_path):
    path = tmp_path / "a.cbz"
    write_zip(path, {"1.jpg": page(1), "2.jpg": bytes(5 * 2**20)})
    data = path.read_bytes().replace(struct.pack("<I", 5 * 2**20), struct.pack("<I", 1000))
    path.write_bytes(data)
    volume = read(path)
    assert [row["member"] for row in volume.skipped] == ["2.jpg"]


def test_zip_members_that_shrink_too_far_are_bombs(tmp_path):
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
def test_pages_of_no_or_too_many_pixels(tmp_path, width, height, expected):
    write_zip(tmp_path / "a.cbz", {**pages(), "3.png": header(width, height)})
    volume = read(tmp_path / "a.cbz")
    assert len(volume.pages) == 4
    assert re.match(rf"page of {width} x {height} pixels; expected .*{expected}", volume.skipped[0]["reason"])


def test_pixel_bombs_are_refused_before_they_are_decoded(tmp_path):
    write_folder(tmp_path / "v01", {"1.png": header(20_000, 20_000)})
    with pytest.raises(EgaraError, match=r"20000 x 20000 pixels; .* 60000000 in all \(pages\.max_pixels\)"):
        read(tmp_path / "v01")
    data = bytearray(page(1))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", 60_000, 60_000)
    write_folder(tmp_path / "v01", {"1.png": bytes(data)})
    with pytest.raises(EgaraError, match=r"1\.png: page of (more than|60000 x 60000) .*pixels"):
        read(tmp_path / "v01")
    write_folder(tmp_path / "v01", {"1.png": page(1)})
    with pytest.raises(EgaraError, match="41 x 60 pixels; expected at most 1000 in all"):
        read(tmp_path / "v01", limits=Limits(pixels=1000))


@pytest.mark.parametrize("kind", ARCHIVES)
def test_empty_archives(tmp_path, kind):
    path = tmp_path / f"v01.{kind}"
    WRITERS[kind](path, {})
    with pytest.raises(EgaraError, match=r"v01\.\w+: no images inside, it is empty; expected"):
        read(path)
    WRITERS[kind](path, {"notes.txt": b"x"})
    with pytest.raises(EgaraError, match=r"no images inside, only 1 other file; expected"):
        read(path)
    WRITERS[kind](path, {"notes.txt": b"x", "v01.cbz": b"x"})
    with pytest.raises(NoPage, match=r"no page left, .* \(v01\.cbz: no volume, by its first bytes"):
        read(path)


@pytest.mark.parametrize("kind", ARCHIVES)
@pytest.mark.parametrize("share", [0.3, 0.8])
def test_archives_cut_short_give_what_they_hold_and_say_so(tmp_path, kind, share):
    path = tmp_path / f"v01.{kind}"
    noise = np.random.default_rng(0).integers(0, 255, (200, 100), np.uint8)
    file = BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    WRITERS[kind](path, {"1.png": file.getvalue(), "2.png": file.getvalue()})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    if share == 0.3 or kind == "cb7":  # whose directory is at its end, and packed
        with pytest.raises(EgaraError, match=r"v01\.\w+: .*(cut short or damaged|no page left)"):
            read(path)
        return
    volume = read(path)
    assert [row["page"] for row in volume.pages] == ["1.png"]
    assert any("cut short or damaged" in row["reason"] for row in volume.skipped)
    assert {row["cause"] for row in volume.skipped} == {"unreadable"}
    with pytest.raises(EgaraError):
        read(path, unreadable="error")


def test_encrypted_archives(tmp_path):
    write_zip(tmp_path / "a.cbz", pages())
    data = bytearray((tmp_path / "a.cbz").read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = -1
        while (place := data.find(signature, place + 1)) >= 0:
            data[place + flags] |= 1
    (tmp_path / "a.cbz").write_bytes(data)
    with pytest.raises(EgaraError, match=r"a\.cbz: .*encrypted archive; expected one without a password"):
        read(tmp_path / "a.cbz")
    members = epub_members(["a.png"], "", "")
    lock = b'<encryption><EncryptedData><EncryptionMethod Algorithm="urn:aes256"/></EncryptedData></encryption>'
    write_zip(tmp_path / "a.epub", {**members, "META-INF/encryption.xml": lock})
    with pytest.raises(EgaraError, match=r"a\.epub: encrypted EPUB"):
        read(tmp_path / "a.epub")
    fonts = lock.replace(b"urn:aes256", b"http://www.idpf.org/2008/embedding")
    write_zip(tmp_path / "a.epub", {**members, "META-INF/encryption.xml": fonts})
    assert len(read(tmp_path / "a.epub").pages) == 1


def test_encrypted_and_solid_rar(tmp_path):
    write_rar(tmp_path / "a.cbr", pages(), encrypted=True)
    with pytest.raises(EgaraError, match=r"a\.cbr: .*encrypted archive; expected one without a password"):
        read(tmp_path / "a.cbr")
    write_rar(tmp_path / "a.cbr", pages(), solid=True)
    with pytest.raises(EgaraError, match=r"a\.cbr: .*solid RAR archive.*; expected it packed again as CBZ"):
        read(tmp_path / "a.cbr")


def test_encrypted_and_damaged_pdf(tmp_path):
    Image.new("L", (50, 50)).save(tmp_path / "a.pdf")
    whole = (tmp_path / "a.pdf").read_bytes()
    (tmp_path / "a.pdf").write_bytes(whole[:200])
    with pytest.raises(EgaraError, match=r"a\.pdf: PDF cut short or damaged .*; expected a whole one"):
        read(tmp_path / "a.pdf")
    lock = f"/Encrypt << /Filter /Standard /V 1 /R 2 /O <{'41' * 32}> /U <{'42' * 32}> /P -4 >> /ID [<00> <00>] /Root"
    place = whole.rindex(b"/Root")
    (tmp_path / "a.pdf").write_bytes(whole[:place] + lock.encode() + whole[place + 5 :])
    with pytest.raises(EgaraError, match=r"a\.pdf: encrypted PDF; expected one that opens without a password"):
        read(tmp_path / "a.pdf")


def test_pdf_pages_keep_to_the_limits(tmp_path):
    Image.new("L", (600, 600)).save(tmp_path / "a.pdf", save_all=True, append_images=[Image.new("L", (20, 20))])
    volume = read(tmp_path / "a.pdf", limits=Limits(pixels=1000))
    assert [row["page"] for row in volume.pages] == ["p0002"]
    expected = "p0001: image of 600 x 600 pixels; expected at most 1000 in all (pages.max_pixels)"
    assert [(row["member"], row["cause"], row["reason"]) for row in volume.skipped] == [("0", "limit", expected)]
    volume = read(tmp_path / "a.pdf", limits=Limits(points=100))
    assert "600 x 600 points; expected at most 100 per side (pages.limits.points)" in volume.skipped[0]["reason"]


def test_epubs_that_show_nothing_or_lack_their_package(tmp_path):
    members = epub_members(["a.png"], "", "")
    write_zip(tmp_path / "a.epub", {**members, "OPS/text/00.xhtml": b"<p>Only words.<img src='http://x/a.png'/></p>"})
    with pytest.raises(EgaraError, match="its spine shows no images; expected a comic"):
        read(tmp_path / "a.epub")
    del members["OPS/book.opf"]
    write_zip(tmp_path / "a.epub", members)
    with pytest.raises(EgaraError, match=r"OPS/book\.opf is not in the archive; expected a whole EPUB"):
        read(tmp_path / "a.epub")


def test_no_page_left(tmp_path):
    write_zip(tmp_path / "a.cbz", {"1.jpg": b"x", "2.jpg": b""})
    with pytest.raises(EgaraError, match=r"no page left, 2 images cannot be read \(1\.jpg: .*; expected at least"):
        read(tmp_path / "a.cbz")


def test_one_volume_counts_once(tmp_path):
    write_zip(tmp_path / "a.cbz", pages())
    (tmp_path / "b.cbz").symlink_to(tmp_path / "a.cbz")
    for values in (["a.cbz", "a.cbz"], ["*.cbz", "a.cbz"], ["b.cbz", "a.cbz"]):
        with pytest.raises(EgaraError, match="volume listed twice"):
            find_volumes([str(tmp_path / value) for value in values])
    found = find_volumes([str(tmp_path)])
    assert [volume.name for volume in found.volumes] == ["a.cbz"]
    assert [(row["member"], row["cause"]) for row in found.skipped] == [("b.cbz", "link")]
    write_zip(tmp_path / "c" / "c.zip", pages())
    volumes = [read(path) for path in (tmp_path / "a.cbz", tmp_path / "c" / "c.zip")]
    rows = leave_out_copies(volumes)
    assert [row["cause"] for row in rows] == ["duplicate"] and "same pages as" in rows[0]["reason"]
    assert [len(volume.pages) for volume in volumes] == [4, 0]


def test_values_that_name_no_volume(tmp_path):
    (tmp_path / "empty").mkdir()
    write_folder(tmp_path / "kindle", {"book.mobi": b"x"})
    write_folder(tmp_path, {"notes.doc": b"words", "book.azw3": b"x", "nothing.cbz": b""})
    for value, message in {
        "missing.cbz": "no such file or folder",
        "missing*.cbz": "matches nothing",
        "empty": "holds nothing of the kind",
        "kindle": r"holds only book\.mobi \(MOBI: .*\)",
    }.items():
        with pytest.raises(EgaraError, match=rf"{message}; expected a folder of images, CBZ/ZIP"):
            find_volumes([str(tmp_path / value)])
    for value, message in {
        "notes.doc": "no volume, by its first bytes",
        "book.azw3": "Kindle book cannot be read",
        "nothing.cbz": "empty file",
    }.items():
        with pytest.raises(EgaraError, match=rf"{message}; expected a folder of images, CBZ/ZIP"):
            read(tmp_path / value)


def test_without_libarchive_the_line_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "a.cb7").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(50))
    monkeypatch.setitem(sys.modules, "libarchive", None)
    with pytest.raises(EgaraError, match="CB7 and CBR need the library libarchive; expected `apt install"):
        read(tmp_path / "a.cb7")


def test_command_ends_in_one_line_and_leaves_no_table(tmp_path):
    write_zip(tmp_path / "a.cbz", {"1.jpg": b"x"})
    outputs = [tmp_path / "out" / "p.tsv", tmp_path / "out" / "s.tsv"]
    arguments = f"--author a --work w --volumes {tmp_path}/a.cbz --output {outputs[0]} --skipped {outputs[1]}".split()
    environment = {**os.environ, "PYTHONPATH": str(Path(egara.__file__).parents[1])}
    command = [sys.executable, "-m", "egara.corpus", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "a.cbz: no page left, 1 image cannot be read" in done.stderr
    assert done.stdout == "" and not any(path.exists() for path in outputs)


@pytest.mark.parametrize("option", ["--max-pixels=0", "--max-pixels=999999999", "--dpi=0", "--dpi=nan"])
def test_options_out_of_range(tmp_path, option):
    arguments = f"--author a --work w --volumes {tmp_path} --output {tmp_path}/p.tsv --skipped {tmp_path}/s.tsv".split()
    with pytest.raises(EgaraError, match=r"--\S+ is .*; expected a whole number from \d+ to \d+"):
        main([*arguments, option])


def test_any_damage_is_a_clear_line_or_a_skipped_page(tmp_path):
    """Flip and cut bytes at random: whatever is hit, only `EgaraError` may come out."""
    random = np.random.default_rng(7)
    for kind in [*ARCHIVES, "epub", "pdf"]:
        path = tmp_path / f"v01.{kind}"
        if kind == "epub":
            write_zip(path, epub_members(["a.png", "b.png", "c.png"], "", ""))
        elif kind == "pdf":
            Image.new("L", (50, 50)).save(path)
        else:
            WRITERS[kind](path, pages())
        whole = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(60):
            damaged = whole.copy()
            damaged[random.integers(0, len(whole), 6)] = random.integers(0, 256, 6)
            path.write_bytes(damaged[: random.integers(len(whole) // 2, 2 * len(whole))].tobytes())
            with contextlib.suppress(EgaraError):
                read(path)
