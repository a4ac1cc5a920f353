"""Volumes of four grey pages in every container: folder, ZIP, tar, 7z, RAR and EPUB."""

import struct
import tarfile
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from egara.corpus import iterate_pages, list_volume
from egara.corpus.pages import Volume

NAMES = ["1.jpg", "2.jpg", "10.jpg", "extra/1.jpg"]
WIDTHS = [50, 60, 70, 80]


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


WRITERS = {"cbz": write_zip, "cbt": write_tar, "cb7": write_7z, "cbr": write_rar, "folder": write_folder}
ARCHIVES = [kind for kind in WRITERS if kind != "folder"]


def read_twice(path: Path, **options: object) -> Volume:
    """List a volume, and open its pages again from their rows."""
    volume = list_volume(path, "v01", "An Author", "A Work", **options)
    shown = [image.width for _, image in iterate_pages(pd.DataFrame(volume.pages))]
    assert shown == [row["width"] for row in volume.pages]
    return volume


def read(path, **options):
    """Return what is listed of a volume."""
    from egara.corpus import list_volume

    return list_volume(path, "v01", "An Author", "A Work", **options)
