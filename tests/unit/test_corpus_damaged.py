"""Damaged pages and volumes: a bad page is skipped and listed, a bad volume is one clear line and no table."""

import contextlib
import os
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from containers import ARCHIVES, NAMES, WRITERS, epub_members, page, pages, read, write_folder, write_zip
from PIL import Image

import egara
from egara.io.errors import EgaraError


@pytest.mark.parametrize("kind", WRITERS)
def test_unreadable_pages_are_skipped_and_listed_or_an_error(tmp_path, kind):
    bad = {"3.jpg": pages()["2.jpg"][:-30], "4.png": b"no image", "5.webp": b"", "6.jxl": b"\xff\x0a12345678"}
    path = tmp_path / f"v01.{kind}"
    WRITERS[kind](path, {**pages(), **bad})
    volume = read(path)
    assert [row["page"] for row in volume.pages] == NAMES
    assert {row["member"]: row["reason"] for row in volume.skipped}.keys() == bad.keys()
    assert all(row["source"] == str(path) and row["reason"] for row in volume.skipped)
    with pytest.raises(EgaraError, match=r"v01\.\w+: 3\.jpg: .*truncated.*; expected a readable page"):
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


def test_damaged_zip_member_loses_one_page(tmp_path):
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
@pytest.mark.parametrize("share", [0.3, 0.8])
def test_truncated_archives_give_their_intact_members(tmp_path, kind, share):
    path = tmp_path / f"v01.{kind}"
    noise = np.random.default_rng(0).integers(0, 255, (200, 100), np.uint8)
    file = BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    WRITERS[kind](path, {"1.png": file.getvalue(), "2.png": file.getvalue()})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    if share == 0.3 or kind == "cb7":  # whose directory is at its end, and packed
        with pytest.raises(EgaraError, match=r"v01\.\w+: .*(truncated or damaged|no readable page)"):
            read(path)
        return
    volume = read(path)
    assert [row["page"] for row in volume.pages] == ["1.png"]
    assert any("truncated or damaged" in row["reason"] for row in volume.skipped)
    assert {row["cause"] for row in volume.skipped} == {"unreadable"}
    with pytest.raises(EgaraError):
        read(path, unreadable="error")


def test_epubs_without_images_or_package(tmp_path):
    members = epub_members(["a.png"], "", "")
    write_zip(tmp_path / "a.epub", {**members, "OPS/text/00.xhtml": b"<p>Only words.<img src='http://x/a.png'/></p>"})
    with pytest.raises(EgaraError, match="its spine shows no images; expected a comic"):
        read(tmp_path / "a.epub")
    del members["OPS/book.opf"]
    write_zip(tmp_path / "a.epub", members)
    with pytest.raises(EgaraError, match=r"OPS/book\.opf is not in the archive; expected an intact EPUB"):
        read(tmp_path / "a.epub")


def test_no_page_left(tmp_path):
    write_zip(tmp_path / "a.cbz", {"1.jpg": b"x", "2.jpg": b""})
    with pytest.raises(EgaraError, match=r"no readable page, 2 images cannot be read \(1\.jpg: .*; expected at least"):
        read(tmp_path / "a.cbz")


def test_command_ends_in_one_line_and_leaves_no_table(tmp_path):
    write_zip(tmp_path / "a.cbz", {"1.jpg": b"x"})
    outputs = [tmp_path / "out" / "p.tsv", tmp_path / "out" / "s.tsv"]
    arguments = f"--author a --work w --volumes {tmp_path}/a.cbz --output {outputs[0]} --skipped {outputs[1]}".split()
    environment = {**os.environ, "PYTHONPATH": str(Path(egara.__file__).parents[1])}
    command = [sys.executable, "-m", "egara", "corpus", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "a.cbz: no readable page, 1 image cannot be read" in done.stderr
    assert done.stdout == ""
    assert not any(path.exists() for path in outputs)


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
