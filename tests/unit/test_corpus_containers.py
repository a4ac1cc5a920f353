"""Every kind of volume gives the same pages, in the order in which a person reads them, and gives them again.

The writers at the top make the volumes; the other tests of the corpus borrow them.
"""

import hashlib
import struct
import tarfile
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from egara.corpus import iterate_pages, list_volume, open_page
from egara.corpus.limits import Limits
from egara.corpus.sources import open_volume
from egara.io.errors import EgaraError

NAMES = ["1.jpg", "2.jpg", "10.jpg", "extra/1.jpg"]


def page(grey: int, kind: str = "JPEG") -> bytes:
    """Return the file of a page of one grey; its size depends on the grey."""
    file = BytesIO()
    Image.new("L", (40 + grey, 60), grey).save(file, kind)
    return file.getvalue()


def pages() -> dict[str, bytes]:
    """Return four pages of grey 10, 20, 30, 40, in reading order."""
    return {name: page(10 * (place + 1)) for place, name in enumerate(NAMES)}


def write_folder(path: Path, members: dict[str, bytes]) -> None:
    for name, data in members.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)


def write_zip(path: Path, members: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def write_tar(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, BytesIO(data))


def write_7z(path: Path, members: dict[str, bytes]) -> None:
    try:
        import libarchive
    except (ImportError, OSError, AttributeError, TypeError):
        pytest.skip("the shared library libarchive is not installed")
    path.unlink(missing_ok=True)
    with libarchive.file_writer(str(path), "7zip") as archive:
        for name, data in members.items():
            archive.add_file_from_memory(name, len(data), data)


def write_rar(path: Path, members: dict[str, bytes], solid: bool = False, encrypted: bool = False) -> None:
    """Write a RAR 4 archive whose members are stored; `solid` and `encrypted` set the flags only."""
    pytest.importorskip("libarchive", exc_type=Exception, reason="the shared library libarchive is not installed")

    def block(kind: int, flags: int, fields: bytes) -> bytes:
        header = struct.pack("<BHH", kind, flags, 7 + len(fields)) + fields
        return struct.pack("<H", zlib.crc32(header) & 0xFFFF) + header

    parts = [b"Rar!\x1a\x07\0", block(0x73, 8 if solid else 0, bytes(6))]
    for place, (name, data) in enumerate(members.items()):
        flags = 0x8000 | (4 if encrypted else 0) | (0x10 if solid and place else 0)
        method = 0x33 if solid else 0x30
        size, checksum, named = len(data), zlib.crc32(data), name.encode()
        fields = struct.pack("<IIBIIBBHI", size, size, 3, checksum, 0, 29, method, len(named), 0o100644) + named
        parts.append(block(0x74, flags, fields) + data)
    path.write_bytes(b"".join([*parts, block(0x7B, 0x4000, b"")]))


def write_epub(path: Path, images: list[str], title: str = "", author: str = "", **options) -> None:
    """Write an EPUB that shows images of grey 10, 20, … in this order; see `epub_members` for the options."""
    write_zip(path, epub_members(images, title, author, **options))


def epub_members(images: list[str], title: str, author: str, without: tuple[str, ...] = ()) -> dict[str, bytes]:
    """Return an EPUB's members: images by turns in SVG, in `<img>`, by themselves; the files `without` are missing."""
    manifest, spine, members = [], [], {}
    for place, name in enumerate(images):
        if name not in without:
            members[f"OPS/images/{name}"] = page(10 * (place + 1), "PNG")
        item = f"images/{name}", "image/png"
        if place % 3 < 2:
            shown = (
                f'<img src="../images/{name}"/>' if place % 3 else f'<svg><image xlink:href="../images/{name}"/></svg>'
            )
            item = f"text/{place:02d}.xhtml", "application/xhtml+xml"
            text = f'<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "x.dtd"><html><body>&nbsp;{shown}</body></html>'
            members[f"OPS/{item[0]}"] = text.encode()
            manifest.append(f'<item id="image{place}" href="images/{name}" media-type="image/png"/>')
        manifest.append(f'<item id="i{place}" href="{item[0]}" media-type="{item[1]}"/>')
        spine.append(f'<itemref idref="i{place}"/>')
    stated = f"<metadata><dc:title>{title}</dc:title><dc:creator>{author}</dc:creator></metadata>"
    package = f"{stated}<manifest>{''.join(manifest[::-1])}</manifest><spine>{''.join(spine)}</spine>"
    names = 'xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    root = '<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>'
    return {
        "mimetype": b"application/epub+zip",
        "META-INF/container.xml": root.encode(),
        "OPS/book.opf": f"<package {names}>{package}</package>".encode(),
        **members,
    }


def listed(path: Path, **options) -> pd.DataFrame:
    return pd.DataFrame(list_volume(path, "v01", "An Author", "A Work", **options).pages)


def test_reading_order_is_natural_in_every_container(tmp_path):
    stored = pages()
    shuffled = dict(sorted(stored.items()))  # 10.jpg before 2.jpg
    assert list(shuffled) != NAMES

    folder = tmp_path / "folder"
    write_folder(folder, shuffled)
    write_zip(tmp_path / "a.cbz", shuffled)
    write_tar(tmp_path / "a.cbt", shuffled)
    write_rar(tmp_path / "a.cbr", shuffled)
    write_7z(tmp_path / "a.cb7", shuffled)
    for volume in (folder, *(tmp_path / f"a.{suffix}" for suffix in ("cbz", "cbt", "cbr", "cb7"))):
        table = listed(volume)
        assert list(table.page) == NAMES, volume
        assert list(table.sha256) == [hashlib.sha256(stored[name]).hexdigest() for name in NAMES]
        shown = [image for _, image in iterate_pages(table)]
        assert [image.size for image in shown] == list(zip(table.width, table.height, strict=True))
        assert [round(np.asarray(image).mean()) for image in shown] == pytest.approx([10, 20, 30, 40], abs=2)
        assert open_page(table.iloc[2]).tobytes() == shown[2].tobytes()


def test_content_decides_not_the_suffix(tmp_path):
    write_zip(tmp_path / "wrong.cbr", pages())
    write_rar(tmp_path / "wrong.cbz", pages())
    assert len(listed(tmp_path / "wrong.cbr")) == len(listed(tmp_path / "wrong.cbz")) == 4


def test_what_systems_leave_behind_is_no_page(tmp_path):
    left = {"__MACOSX/._1.jpg": b"x", "Thumbs.db": b"x", ".hidden/2.jpg": b"x", "._1.jpg": b"x", "notes.txt": b"x"}
    write_zip(tmp_path / "a.cbz", {**left, **pages(), "folder/": b""})
    volume = list_volume(tmp_path / "a.cbz", "v01", "a", "w")
    assert [row["page"] for row in volume.pages] == NAMES
    left = {row["member"]: (row["cause"], row["count"]) for row in volume.skipped}
    assert left == {
        "__MACOSX": ("system", 1),
        "Thumbs.db": ("system", 1),
        ".hidden": ("system", 1),
        "._1.jpg": ("system", 1),
        "notes.txt": ("foreign", 1),
    }


def test_epub_follows_its_spine_and_not_its_names(tmp_path):
    order = ["z.png", "a.png", "m.png"]
    write_epub(tmp_path / "book.epub", order, title="A Work", author="Author, An")
    table = listed(tmp_path / "book.epub")
    assert list(table.page) == [f"OPS/images/{name}" for name in order]
    assert [image.getpixel((0, 0)) for _, image in iterate_pages(table)] == [10, 20, 30]


def test_epub_lists_an_image_that_is_missing(tmp_path):
    write_epub(tmp_path / "book.epub", ["a.png", "b.png"], without=("b.png",))
    volume = list_volume(tmp_path / "book.epub", "v01", "a", "w")
    assert [row["page"] for row in volume.pages] == ["OPS/images/a.png"]
    assert [row["member"] for row in volume.skipped] == ["OPS/images/b.png"]


def test_pdf_is_rendered_again_as_it_was_listed(tmp_path):
    first = Image.new("L", (301, 403), 90)
    first.save(tmp_path / "a.pdf", save_all=True, append_images=[Image.new("RGB", (400, 200), "red")])
    table = listed(tmp_path / "a.pdf", dpi=100)
    assert list(table.page) == ["p0001", "p0002"]
    assert list(zip(table.width, table.height, strict=True)) == [(301, 403), (400, 200)]
    shown = [image for _, image in iterate_pages(table.iloc[::-1])]
    assert [image.mode for image in shown] == ["RGB", "L"]
    assert shown[0].getpixel((278, 139)) == pytest.approx((255, 0, 0), abs=3)
    assert shown[1].size == (301, 403)


def test_pages_open_in_the_order_of_the_table(tmp_path):
    write_7z(tmp_path / "a.cb7", pages())
    write_zip(tmp_path / "b.cbz", pages())
    table = pd.concat([listed(tmp_path / "a.cb7").iloc[[3, 0, 2, 0]], listed(tmp_path / "b.cbz").iloc[[1, 0]]])
    shown = list(iterate_pages(table))
    assert [row["page"] for row, _ in shown] == [NAMES[i] for i in (3, 0, 2, 0, 1, 0)]
    expected = [10 * (i + 1) for i in (3, 0, 2, 0, 1, 0)]
    assert [round(np.asarray(image).mean()) for _, image in shown] == pytest.approx(expected, abs=2)


def test_a_volume_that_changed_is_noticed(tmp_path):
    path = tmp_path / "a.cbz"
    write_zip(path, pages())
    table = listed(path)
    write_zip(path, {**pages(), "2.jpg": page(99)})
    with pytest.raises(EgaraError, match=r"a\.cbz: page 2\.jpg: the volume changed"):
        list(iterate_pages(table))
    write_zip(path, {"1.jpg": pages()["1.jpg"]})
    with pytest.raises(EgaraError, match="not in the archive; the volume changed"):
        list(iterate_pages(table))
    path.unlink()
    with pytest.raises(EgaraError, match=r"a\.cbz: cannot be read"):
        open_page(table.iloc[0])


def test_zip_members_named_twice_are_one_page(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.cbz", "w") as archive, pytest.warns(UserWarning):
        archive.writestr("1.jpg", page(10))
        archive.writestr("1.jpg", page(20))
    with open_volume(tmp_path / "a.cbz", Limits()) as source:
        assert source.members == ["1.jpg"]


def test_one_page_is_in_memory_at_a_time(tmp_path, monkeypatch):
    write_zip(tmp_path / "a.cbz", pages())
    alive, most = 0, 0
    opened = Image.open

    class Counted:
        def __init__(self, image):
            nonlocal alive, most
            self.image = image
            alive += 1
            most = max(most, alive)

        def __getattr__(self, name):
            return getattr(self.image, name)

        def __del__(self):
            nonlocal alive
            alive -= 1

    monkeypatch.setattr(Image, "open", lambda *a, **k: Counted(opened(*a, **k)))
    listed(tmp_path / "a.cbz")
    assert most == 1
