"""Nothing is left out without a word: each file, folder and volume that gives no page has a row with its cause."""

import os
import zipfile
from io import BytesIO

import pandas as pd
import pytest
from containers import WRITERS, page, pages, read, write_epub, write_folder, write_zip
from PIL import Image

from egara.corpus import find_volumes, iterate_pages
from egara.corpus.__main__ import main
from egara.corpus.limits import Limits
from egara.io.errors import EgaraError
from egara.skipped import CAUSES


def rows(skipped):
    return {row["member"]: (row["cause"], row["count"]) for row in skipped}


def shown(volume):
    """Open all pages again; return name → width."""
    return {row["page"]: image.width for row, image in iterate_pages(pd.DataFrame(volume.pages))}


def command(tmp_path, *options, volumes="work"):
    """Run the command on a folder; return both tables."""
    given = ["--author", "a", "--work", "w", "--volumes", str(tmp_path / volumes), *options]
    main([*given, "--output", str(tmp_path / "p.tsv"), "--skipped", str(tmp_path / "s.tsv")])
    return (pd.read_csv(tmp_path / name, sep="\t", keep_default_na=False) for name in ("p.tsv", "s.tsv"))


SYSTEM = {
    "@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg": "@eaDir",
    "@eaDir/1.jpg/SYNOPHOTO_THUMB_S.jpg": "@eaDir",
    "#recycle/old.jpg": "#recycle",
    "extra/@Recycle/old.jpg": "extra/@Recycle",
    "$RECYCLE.BIN/x.cbz": "$RECYCLE.BIN",
    "lost+found/y.png": "lost+found",
    ".@__thumb/z.jpg": ".@__thumb",
    "__MACOSX/._1.jpg": "__MACOSX",
    "System Volume Information/a.jpg": "System Volume Information",
    "Thumbs.db": "Thumbs.db",
    "extra/desktop.ini": "extra/desktop.ini",
    ".DS_Store": ".DS_Store",
}


@pytest.mark.parametrize("kind", WRITERS)
def test_files_of_systems_and_foreign_files_have_rows(tmp_path, kind):
    foreign = {"notes.txt": b"x", "a.nfo": b"x", "b.nfo": b"x", "extra/c.nfo": b"x", "ComicInfo.xml": b"<ComicInfo/>"}
    WRITERS[kind](tmp_path / "v", pages() | dict.fromkeys(SYSTEM, page(9)) | foreign)
    volume = read(tmp_path / "v")
    assert len(volume.pages) == 4
    counted = {place: ("system", list(SYSTEM.values()).count(place)) for place in SYSTEM.values()}
    assert rows(volume.skipped) == counted | {
        "notes.txt": ("foreign", 1),
        "": ("foreign", 2),
        "extra/c.nfo": ("foreign", 1),
    }
    assert all(row["reason"] and row["cause"] in CAUSES for row in volume.skipped)


def test_unsupported_volumes_next_to_volumes_are_lost(tmp_path):
    write_folder(tmp_path / "work", {"b.mobi": b"x", "c.azw3": b"x", "sub/readme.txt": b"x"})
    write_zip(tmp_path / "work" / "v1.cbz", pages())
    found = find_volumes([str(tmp_path / "work")])
    assert rows(found.skipped) == {
        "b.mobi": ("volume", 1),
        "c.azw3": ("volume", 1),
        "sub/readme.txt": ("foreign", 1),
    }


def test_links_to_folders_are_followed_or_named(tmp_path):
    write_folder(tmp_path / "outside", {"7.jpg": page(7), "8.jpg": page(8)})
    write_folder(tmp_path / "work", {"1.jpg": page(1), "sub/2.jpg": page(2)})
    for name, target in {
        "a": "../outside",
        "b": "../outside",
        "c": "sub",
        "circle": "..",
        "me": ".",
        "gone": "x",
        "self": "self",
    }.items():
        (tmp_path / "work" / name).symlink_to(target)
    (tmp_path / "work" / "9.jpg").symlink_to("nowhere.jpg")
    volume = read(tmp_path / "work")
    assert list(shown(volume).items()) == [("1.jpg", 41), ("a/7.jpg", 47), ("a/8.jpg", 48), ("sub/2.jpg", 42)]
    assert rows(volume.skipped) == {
        "b": ("link", 1), "c": ("link", 1), "circle": ("link", 1), "me": ("link", 1), "gone": ("link", 1),
        "self": ("link", 1),
        "9.jpg": ("missing", 1),
    }  # fmt: skip


def test_folders_beyond_the_depth_are_named(tmp_path):
    write_folder(tmp_path / "work", {"1.jpg": page(1), "a/b/2.jpg": page(2), "a/b/c/3.jpg": page(3)})
    volume = read(tmp_path / "work", limits=Limits(folders=2))
    assert list(shown(volume)) == ["1.jpg", "a/b/2.jpg"]
    assert rows(volume.skipped) == {"a/b/c": ("limit", 1)}
    assert "pages.limits.folders" in volume.skipped[0]["reason"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_unreadable_folder_is_left_out(tmp_path):
    write_folder(tmp_path / "work", {"1.jpg": page(1), "a/2.jpg": page(2)})
    (tmp_path / "work" / "a").chmod(0)
    assert rows(read(tmp_path / "work").skipped) == {"a": ("unreadable", 1)}


def test_a_folder_of_images_and_volumes_gives_both_in_natural_order(tmp_path):
    write_folder(tmp_path / "work", {"cover.jpg": page(1), "notes.txt": b"x", "10/1.jpg": page(9)})
    write_zip(tmp_path / "work" / "2" / "ch1.cbz", {"1.jpg": page(2)})
    write_zip(tmp_path / "work" / "zz.cbz", {"1.jpg": page(3)})
    table, skipped = command(tmp_path)
    assert list(table.volume) == ["work", "ch1", "10", "zz"]
    assert [image.width for _, image in iterate_pages(table)] == [41, 42, 49, 43]
    assert list(zip(skipped.member, skipped.cause, strict=True)) == [("notes.txt", "foreign")]


@pytest.mark.parametrize("kind", [kind for kind in WRITERS if kind != "folder"])
def test_nested_volumes_are_read_at_their_position(tmp_path, kind):
    write_zip(tmp_path / "ch2.cbz", {"1.jpg": page(2), "2.jpg": page(3), "readme.txt": b"x"})
    write_zip(tmp_path / "ch10.cbz", {"in/deep.cbz": (tmp_path / "ch2.cbz").read_bytes(), "1.jpg": page(4)})
    Image.new("L", (77, 60)).save(tmp_path / "x.pdf")
    inner = {f"{name}": (tmp_path / name).read_bytes() for name in ("ch10.cbz", "ch2.cbz", "x.pdf")}
    WRITERS[kind](tmp_path / f"v.{kind}", {"z.jpg": page(1), **inner, "bad.cbz": b"no archive"})
    volume = read(tmp_path / f"v.{kind}", dpi=144)
    expected = {
        "ch2.cbz/1.jpg": 42, "ch2.cbz/2.jpg": 43, "ch10.cbz/1.jpg": 44, "ch10.cbz/in/deep.cbz/1.jpg": 42,
        "ch10.cbz/in/deep.cbz/2.jpg": 43, "x.pdf/p0001": 77, "z.jpg": 41,
    }  # fmt: skip
    assert list(shown(volume).items()) == list(expected.items())
    again = pd.DataFrame(volume.pages).iloc[[6, 2, 0, 3, 1]]  # across volumes, to and fro
    assert [image.width for _, image in iterate_pages(again)] == [41, 44, 42, 42, 43]
    assert rows(volume.skipped) == {
        "bad.cbz": ("volume", 1),
        "ch2.cbz/readme.txt": ("foreign", 1),
        "ch10.cbz/in/deep.cbz/readme.txt": ("foreign", 1),
    }
    assert any(": holds " in warning for warning in volume.warnings)


def test_nesting_is_limited(tmp_path):
    write_zip(tmp_path / "0.cbz", {"1.jpg": page(1)})
    for depth in range(1, 4):
        inner = (tmp_path / f"{depth - 1}.cbz").read_bytes()
        write_zip(tmp_path / f"{depth}.cbz", {f"{depth}.jpg": page(depth), "x.cbz": inner})
    assert len(read(tmp_path / "3.cbz").pages) == 4
    volume = read(tmp_path / "3.cbz", limits=Limits(nested=1))
    assert list(shown(volume)) == ["3.jpg", "x.cbz/2.jpg"]
    assert [(row["member"], row["cause"]) for row in volume.skipped] == [("x.cbz/x.cbz", "limit")]
    assert "pages.limits.nested" in volume.skipped[0]["reason"]
    big = {"1.jpg": page(1), "x.cbz": os.urandom(2 * 2**20)}
    write_zip(tmp_path / "4.cbz", big)
    assert "pages.limits.volume" in read(tmp_path / "4.cbz", limits=Limits(volume=1)).skipped[0]["reason"]


def test_a_bomb_in_many_volumes_is_refused_as_one(tmp_path):
    """Each layer unpacks a hundredfold, all of them a millionfold; what counts is the outermost file."""
    file = BytesIO()
    Image.new("L", (1000, 3000)).save(file, "BMP")
    write_zip(tmp_path / "0.cbz", {f"{n}.bmp": file.getvalue() for n in range(3)})
    write_zip(tmp_path / "1.cbz", {f"{n}.cbz": (tmp_path / "0.cbz").read_bytes() for n in range(20)})
    assert len(read(tmp_path / "1.cbz", limits=Limits(member=4, ratio=100_000)).pages) == 60
    with pytest.raises(EgaraError, match=r"decompression bomb; .* \(pages\.limits\.ratio\)"):
        read(tmp_path / "1.cbz", limits=Limits(member=4, ratio=1000))


def test_unreadable_volume_is_left_out(tmp_path):
    for name in ("1.cbz", "3.cbz"):
        write_zip(tmp_path / "work" / name, {"1.jpg": page(int(name[0]))})
    write_folder(tmp_path / "work", {"2.cbz": b"no archive", "4.cbz": b""})
    write_zip(tmp_path / "work" / "5.cbz", {"1.jpg": b"x", "2.jpg": b"y"})
    table, skipped = command(tmp_path)
    assert list(table.volume) == [1, 3]
    lost = skipped[skipped.cause == "volume"]
    assert [os.path.basename(path) for path in lost.source] == ["2.cbz", "4.cbz", "5.cbz"]
    assert list(skipped[skipped.cause == "unreadable"].member) == ["1.jpg", "2.jpg"]
    with pytest.raises(EgaraError, match=r"2\.cbz: not a volume, by its first bytes"):
        command(tmp_path, "--unreadable", "error")


def test_a_work_without_a_volume_left_is_an_error(tmp_path):
    write_folder(tmp_path / "work", {"1.cbz": b"no archive", "2.cbz": b""})
    with pytest.raises(EgaraError, match="work w: none of its 2 volumes can be read"):
        command(tmp_path)
    assert not (tmp_path / "p.tsv").exists()


def test_foreign_files_of_a_glob_are_foreign(tmp_path):
    write_zip(tmp_path / "work" / "1.cbz", pages())
    write_folder(tmp_path / "work", {"notes.txt": b"words"})
    _, skipped = command(tmp_path, volumes="work/*")
    assert list(skipped.cause) == ["foreign"]


def test_a_copy_of_a_volume_is_left_out_with_a_row(tmp_path):
    for name in ("1.cbz", "1 (copy).cbz"):
        write_zip(tmp_path / "work" / name, pages())
    table, skipped = command(tmp_path)
    assert len(table) == 4
    assert list(skipped.cause) == ["duplicate"]
    with pytest.raises(EgaraError, match="same pages as .*; expected each volume once"):
        command(tmp_path, "--unreadable", "error")


def test_images_not_shown_by_a_book_are_counted(tmp_path):
    write_epub(tmp_path / "a.epub", ["a.png", "b.png"])
    with zipfile.ZipFile(tmp_path / "a.epub", "a") as archive:
        archive.writestr("OPS/images/paper.png", page(3, "PNG"))
    assert rows(read(tmp_path / "a.epub").skipped) == {"OPS/images/paper.png": ("foreign", 1)}


def test_volume_with_an_invalid_name_is_left_out(tmp_path):
    write_zip(tmp_path / "work" / "1.cbz", pages())
    os.rename(tmp_path / "work" / "1.cbz", os.fsencode(tmp_path / "work") + b"/\xff\n.cbz")
    write_zip(tmp_path / "work" / "2.cbz", pages())
    table, skipped = command(tmp_path)
    assert list(table.volume.unique()) == [2]
    assert list(skipped.cause) == ["volume"]
    with pytest.raises(EgaraError, match="its name is not valid text"):
        command(tmp_path, "--unreadable", "error")


@pytest.mark.parametrize("unreadable", ["skip", "error"])
def test_unreadable_setting_applies_to_files_next_to_volumes(tmp_path, unreadable):
    write_zip(tmp_path / "work" / "1.cbz", pages())
    write_folder(tmp_path / "work", {"2.mobi": b"x", "notes.txt": b"x"})
    if unreadable == "skip":
        _, skipped = command(tmp_path)
        assert sorted(skipped.cause) == ["foreign", "volume"]
    else:
        with pytest.raises(EgaraError, match=r"2\.mobi: MOBI: .*pages\.unreadable"):
            command(tmp_path, "--unreadable", "error")


def test_blanks_and_dots_after_an_extension_are_ignored(tmp_path):
    write_folder(tmp_path / "work", {"1.jpg ": page(1), "2.jpg.": page(2), "3.jpg": page(3)})
    write_zip(tmp_path / "work" / "more" / "v02.cbz ", {"4.jpg": page(4)})
    listed, skipped = command(tmp_path)
    assert list(listed["page"]) == ["1.jpg ", "2.jpg.", "3.jpg", "4.jpg"]
    assert skipped.empty


def test_parts_of_split_archives_are_lost_volumes(tmp_path):
    parts = ["a.7z.001", "b.z01", "c.r00"]
    write_folder(tmp_path / "work", {"v01/1.jpg": page(1)} | dict.fromkeys(parts, b"x"))
    _, skipped = command(tmp_path)
    assert rows(skipped.to_dict("records")) == dict.fromkeys(parts, ("volume", 1))
    write_zip(tmp_path / "b.zip", pages())
    (tmp_path / "b.zip").write_bytes((tmp_path / "b.zip").read_bytes()[300:])
    volume = read(tmp_path / "b.zip")
    assert volume.pages
    assert "all parts of a split archive" in volume.skipped[0]["reason"]
