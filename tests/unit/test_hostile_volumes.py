"""Volumes made to harm: each is one clear line or a page that is skipped, and nothing is written or waited for."""

import os
import tarfile
import tracemalloc
import zipfile
from dataclasses import asdict
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from containers import epub_members, page, pages, read, write_7z, write_folder, write_rar, write_tar, write_zip
from fuzz.guard import writing_only
from fuzz.harness import is_one_line
from hostile import refusing, snapshot, write_tar_links, write_zip_links
from PIL import Image

from egara.config.schema import schema
from egara.corpus import iterate_pages, read_pages
from egara.corpus.__main__ import main
from egara.corpus.limits import MOST, Limits
from egara.corpus.manga109 import read_annotations
from egara.corpus.metadata import check_metadata
from egara.io.errors import EgaraError

BILLION = (
    '<!DOCTYPE a [<!ENTITY a "lol">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + "]>"
)
OUTSIDE = '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


def many(path: Path, count: int, kind: str) -> None:
    """Write an archive of so many empty images; a tar as bare headers, because `tarfile` takes minutes."""
    if kind == "cbz":
        with zipfile.ZipFile(path, "w") as archive:
            for number in range(count):
                archive.writestr(f"{number}.png", b"")
        return
    block = bytearray(tarfile.TarInfo("0000000.png").tobuf(tarfile.USTAR_FORMAT))
    sum_without_name = sum(block[:148]) - sum(b"0000000") + 8 * 32 + sum(block[156:])
    with open(path, "wb") as file:
        for number in range(count):
            name = b"%07d" % number
            block[:7] = name
            block[148:156] = b"%06o\0 " % (sum_without_name + sum(name))
            file.write(block)
        file.write(bytes(1024))


@pytest.mark.parametrize("target", ["../outside.jpg", "/etc/passwd", "1.jpg"])
def test_links_in_a_zip_are_skipped_and_listed(tmp_path, target):
    (tmp_path / "outside.jpg").write_bytes(page(50))
    path = tmp_path / "a" / "v01.cbz"
    path.parent.mkdir()
    write_zip_links(path, {"1.jpg": page(10)}, {"2.jpg": target})
    before = snapshot(tmp_path)
    volume = read(path)
    assert [row["page"] for row in volume.pages] == ["1.jpg"]
    assert [(row["member"], row["cause"]) for row in volume.skipped] == [("2.jpg", "link")]
    with pytest.raises(EgaraError, match=r"2\.jpg: a link or device in the archive, which is not followed"):
        read(path, unreadable="error")
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
@pytest.mark.parametrize("target", ["../outside.jpg", "/etc/passwd", "1.jpg"])
def test_links_and_devices_in_a_tar_are_skipped_and_listed(tmp_path, kind, target):
    (tmp_path / "outside.jpg").write_bytes(page(50))
    path = tmp_path / "a" / "v01.cbt"
    path.parent.mkdir()
    write_tar_links(path, {"1.jpg": page(10)}, {"2.jpg": target}, kind)
    before = snapshot(tmp_path)
    volume = read(path)
    assert [row["page"] for row in volume.pages] == ["1.jpg"]
    assert [(row["member"], row["cause"]) for row in volume.skipped] == [("2.jpg", "link")]
    with pytest.raises(EgaraError, match=r"2\.jpg: a link or device in the archive, which is not followed"):
        read(path, unreadable="error")
    assert snapshot(tmp_path) == before


def test_a_file_through_a_linked_folder_stays_inside(tmp_path):
    """An extractor would write `outside/2.jpg` through the link; reading one writes nothing."""
    path = tmp_path / "v01.cbt"
    write_tar_links(path, {"door/2.jpg": page(20)}, {"door": str(tmp_path / "outside")})
    before = snapshot(tmp_path)
    assert [row["page"] for row in read(path).pages] == ["door/2.jpg"]
    assert snapshot(tmp_path) == before


def test_pipes_are_not_read(tmp_path):
    write_folder(tmp_path / "v01", pages())
    os.mkfifo(tmp_path / "v01" / "3.jpg")
    os.mkfifo(tmp_path / "v01" / "ComicInfo.xml")
    (tmp_path / "v01" / "4.jpg").symlink_to("/dev/zero")
    volume = read(tmp_path / "v01")
    assert len(volume.pages) == 4
    assert {row["member"] for row in volume.skipped} == {"3.jpg", "4.jpg"}
    os.mkfifo(tmp_path / "v02.cbz")
    with refusing(tmp_path, r"v02\.cbz: a device or pipe; expected a folder of images"):
        read(tmp_path / "v02.cbz")


@pytest.mark.parametrize("kind", ["cbz", "cbt"])
def test_a_hundred_thousand_members_and_one(tmp_path, kind):
    path = tmp_path / f"v01.{kind}"
    many(path, 100_001, kind)
    with refusing(tmp_path, rf"v01\.{kind}: 100001 members or more; expected at most 100000"):
        read(path)


def test_members_are_counted_before_they_are_stored(tmp_path):
    many(tmp_path / "v01.cbz", 20_000, "cbz")
    tracemalloc.start()
    try:
        with pytest.raises(EgaraError, match="1001 members or more; expected at most 1000 "):
            read(tmp_path / "v01.cbz", limits=Limits(members=1000))
        assert tracemalloc.get_traced_memory()[1] < 2 * 2**20  # the directory itself takes eight
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("kind", "writer"), [("cb7", write_7z), ("cbr", write_rar), ("folder", write_folder)])
def test_members_are_counted_in_every_container(tmp_path, kind, writer):
    writer(tmp_path / f"v01.{kind}", {f"{number}.png": b"" for number in range(101)})
    with refusing(tmp_path, rf"v01\.{kind}: 101 members or more; expected at most 100 \(pages\.limits\.members\)"):
        read(tmp_path / f"v01.{kind}", limits=Limits(members=100))


def rename(path: Path, old: bytes, new: bytes) -> None:
    """Replace a name of the same length in an archive's bytes, and mend the sum of a tar's header."""
    data = bytearray(path.read_bytes().replace(old, new))
    if path.suffix == ".cbt":
        place = data.index(new)
        data[place + 148 : place + 156] = b" " * 8
        data[place + 148 : place + 156] = b"%06o\0 " % sum(data[place : place + 512])
    path.write_bytes(data)


@pytest.mark.parametrize(
    "name",
    [b"\xff\xfe\x80\x81.jpg", b"\x83\x5c\x83\x93.jpg", b"\xed\xa0\x80a.jpg", b"a\nb\x1b.jpg", "\u2028a.jpg".encode()],
)
@pytest.mark.parametrize("kind", ["cbz", "cbt"])
def test_names_in_broken_encodings_are_one_line_and_open_again(tmp_path, kind, name):
    path = tmp_path / f"v01.{kind}"
    # As long as the name, and outside ASCII, so that a ZIP says UTF-8.
    whole = "\u3042" + "x" * (len(name) - 3)
    {"cbz": write_zip, "cbt": write_tar}[kind](path, {"1.jpg": page(10), whole: page(20)})
    rename(path, whole.encode(), name)
    with writing_only():
        table = pd.DataFrame(read(path).pages)
        shown = {image.width for _, image in iterate_pages(table)}
    assert shown == {50, 60}
    assert all(map(is_one_line, table.page))


def test_names_without_an_encoding(tmp_path):
    """Old Japanese archives hold Shift JIS, which ZIP takes for its code page: odd names, the same each time."""
    path = tmp_path / "v01.cbz"
    write_zip(path, {"1.jpg": page(10), "aaaa.jpg": page(20)})
    rename(path, b"aaaa.jpg", "表紙".encode("shift_jis") + b".jpg")
    table = read(path).pages
    assert len(table) == 2
    assert table[1]["page"].endswith(".jpg")


@pytest.mark.parametrize("declared", [BILLION, OUTSIDE])
def test_entities_never_expand(tmp_path, declared):
    info = f"{declared}<ComicInfo><Series>&a;</Series></ComicInfo>".encode()
    lines = check_metadata({"ComicInfo.xml": info}, "An Author", "A Work", tmp_path)
    assert len(lines) == 1
    assert "ComicInfo.xml cannot be read (Entit" in lines[0]
    assert len(lines[0]) < 500
    members = epub_members(["a.png"], "", "")
    for name in ("OPS/book.opf", "META-INF/container.xml"):
        write_zip(tmp_path / "a.epub", members | {name: declared.encode() + members[name]})
        with refusing(tmp_path, rf"a\.epub: {name} is not readable XML \(Entit.*\); expected an EPUB's"):
            read(tmp_path / "a.epub")
    write_zip(tmp_path / "a.epub", members | {"META-INF/encryption.xml": f"{declared}<encryption/>".encode()})
    with refusing(tmp_path, "encryption.xml is not readable XML"):
        read(tmp_path / "a.epub")
    (tmp_path / "v.xml").write_text(f"{declared}<book title='&a;'><pages/></book>")
    with refusing(tmp_path, r"v\.xml: cannot be read \(Entit.*\); expected annotations of Manga109"):
        read_annotations(tmp_path / "v.xml")


def test_annotations_larger_than_any_book(tmp_path):
    with open(tmp_path / "v.xml", "wb") as file:
        file.write(b"<book>")
        file.truncate(17 * 2**20)
    with refusing(
        tmp_path,
        r"v\.xml: cannot be read \(more than 16 MiB, pages\.limits\.annotations\); expected annotations of Manga109",
    ):
        read_annotations(tmp_path / "v.xml")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"<p><![x <img src='../images/a.png'/></p>", "its spine shows no images; expected a comic"),
        (b"<p><img src='http://['/></p>", "its spine shows no images; expected a comic"),
        (b"<p><img src='//host/a.png'/></p>", "its spine shows no images; expected a comic"),
        (b"<p><img src='/etc/passwd.png'/></p>", r"1 image cannot .*etc/passwd\.png: is not in the archive"),
        (b"<p><img src='../../../../etc/passwd.png'/></p>", r"etc/passwd\.png: is not in the archive"),
    ],
)
def test_broken_links_of_an_epub(tmp_path, text, says):
    write_zip(tmp_path / "a.epub", epub_members(["a.png"], "", "") | {"OPS/text/00.xhtml": text})
    with refusing(tmp_path, says):
        read(tmp_path / "a.epub")


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("members=1", r"2 members or more; expected at most 1 \(pages\.limits\.members\)"),
        ("ratio=0", "pages.limits.ratio is 0; expected a whole number from 1 to 100000"),
        ("member=5000", "pages.limits.member is 5000; expected a whole number from 1 to 4096"),
        ("side=x", "pages.limits.side is 'x'; expected a whole number"),
        ("size=3", "limit size; expected one of side, member, "),
    ],
)
def test_limits_are_options(tmp_path, option, says):
    write_zip(tmp_path / "a.cbz", {"1.jpg": page(1), "2.bmp": np.random.default_rng(0).bytes(3 * 2**20)})
    given = (
        f"--author a --work w --volumes {tmp_path}/a.cbz --output {tmp_path}/out/p.tsv --skipped {tmp_path}/out/s.tsv"
    )
    with refusing(tmp_path, says):
        main([*given.split(), "--limits", option])


def test_limits_are_those_of_the_schema():
    rules = schema()["properties"]["pages"]["properties"]
    stated = {"pixels": rules["max_pixels"], **rules["limits"]["properties"]}
    assert {name: rule["default"] for name, rule in stated.items()} == asdict(Limits())
    assert {name: rule["maximum"] for name, rule in stated.items()} == MOST


def test_limits_can_be_raised(tmp_path):
    file = BytesIO()
    Image.new("L", (5000, 4000)).save(file, "BMP")
    write_zip(tmp_path / "a.cbz", {"1.jpg": page(1), "2.bmp": file.getvalue()})
    given = f"--author a --work w --volumes {tmp_path}/a.cbz --output {tmp_path}/p.tsv --skipped {tmp_path}/s.tsv"
    main(given.split())
    assert len(read_pages(tmp_path / "p.tsv")) == 1
    main([*given.split(), "--limits", "ratio=2000"])
    assert len(read_pages(tmp_path / "p.tsv")) == 2


@pytest.mark.parametrize(("column", "value"), [("width", "x"), ("height", "-3"), ("width", "1.5"), ("height", "")])
def test_a_table_of_pages_without_sizes(tmp_path, column, value):
    row = dict.fromkeys(("author", "work", "volume", "page", "sha256", "source", "member"), "w") | {
        "width": 4,
        "height": 4,
    }
    row[column] = value
    (tmp_path / "p.tsv").write_text("\t".join(row) + "\n" + "\t".join(map(str, row.values())) + "\n")
    with refusing(tmp_path, rf"p\.tsv: a {column} is not a whole number of pixels; expected 1 or more"):
        read_pages(tmp_path / "p.tsv")
