"""What pages become when they are opened, which volumes a value names, what they say of themselves, the command."""

import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from containers import NAMES, page, pages, write_7z, write_epub, write_folder, write_tar, write_zip
from PIL import Image

import egara
from egara.corpus import iterate_pages, list_volume, open_page, read_pages
from egara.corpus.__main__ import main
from egara.corpus.images import decode
from egara.corpus.manga109 import annotation_file, read_annotations
from egara.corpus.metadata import check_metadata
from egara.corpus.sources import find_volumes, name_volumes
from egara.io.errors import EgaraError
from egara.skipped import COLUMNS


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pages_stand_upright(orientation):
    corners = np.zeros((40, 60, 3), np.uint8)
    corners[:20, :30] = 255  # white at the top left
    image = Image.fromarray(corners)
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposition that a camera would have made
    stored = image.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else image
    exif = Image.Exif()
    exif[0x0112] = orientation
    for kind in ("PNG", "TIFF", "JPEG", "WEBP"):
        file = BytesIO()
        stored.save(file, kind, exif=exif)
        shown = decode(file.getvalue())
        assert shown.size == (60, 40), kind
        assert np.abs(np.asarray(shown, int) - corners).mean() < 12, kind


@pytest.mark.parametrize(
    ("image", "kind", "mode", "expected"),
    [
        (Image.new("1", (9, 9), 1), "PNG", "L", 255),
        (Image.fromarray(np.full((9, 9), 32896, np.uint16)), "PNG", "L", 128),
        (Image.fromarray(np.full((9, 9), 0.5, np.float32)), "TIFF", "L", 128),
        (Image.new("L", (9, 9), 70).convert("P"), "GIF", "RGB", (70, 70, 70)),
        (Image.new("RGB", (9, 9), "red").convert("CMYK"), "TIFF", "RGB", (255, 0, 0)),
        (Image.new("RGBA", (9, 9), (0, 0, 0, 0)), "PNG", "RGB", (255, 255, 255)),
        (Image.new("LA", (9, 9), (0, 127)), "PNG", "L", 128),
        (Image.new("RGB", (9, 9), "blue"), "WEBP", "RGB", (0, 0, 255)),
    ],
)
def test_every_mode_becomes_grey_or_rgb(image, kind, mode, expected):
    file = BytesIO()
    image.save(file, kind, **({"lossless": True} if kind == "WEBP" else {}))
    shown = decode(file.getvalue())
    assert shown.mode == mode
    assert shown.getpixel((4, 4)) == pytest.approx(expected, abs=2)


def test_transparent_palette_is_put_on_white():
    file = BytesIO()
    Image.new("P", (5, 5), 0).save(file, "PNG", transparency=0)
    assert decode(file.getvalue()).getpixel((2, 2)) == (255, 255, 255)


def test_volumes_of_a_folder_a_glob_and_a_file(tmp_path):
    for name in ("Vol 10.cbz", "Vol 2.cbz", "Vol 1.zip"):
        write_zip(tmp_path / "work" / name, pages())
    (tmp_path / "work" / "Vol 3").mkdir()
    (tmp_path / "work" / "Vol 3" / "1.jpg").write_bytes(page(1))
    (tmp_path / "work" / "cover.jpg").write_bytes(page(1))
    found = find_volumes([str(tmp_path / "work")])
    assert [volume.name for volume in found.volumes] == ["work", "Vol 1.zip", "Vol 2.cbz", "Vol 3", "Vol 10.cbz"]
    assert len(found.warnings) == 1
    assert "cover.jpg" in found.warnings[0]
    assert found.skipped == []
    assert name_volumes(found.volumes) == ["work", "Vol 1", "Vol 2", "Vol 3", "Vol 10"]
    volumes = find_volumes([str(tmp_path / "work" / "*.cbz")]).volumes
    assert [volume.name for volume in volumes] == ["Vol 2.cbz", "Vol 10.cbz"]
    bracketed = tmp_path / "[An Author] Vol 1.cbz"
    write_zip(bracketed, pages())
    assert find_volumes([str(bracketed)]).volumes == [bracketed]
    write_zip(tmp_path / "[An Author] Work" / "1.cbz", pages())
    assert len(find_volumes([str(tmp_path / "[An Author] Work" / "*.cbz")]).volumes) == 1


def test_volumes_of_one_name_get_distinct_names(tmp_path):
    paths = [tmp_path / "a" / "v01.cbz", tmp_path / "b" / "v01.cbz", tmp_path / "b" / "v02.cbz"]
    assert name_volumes(paths) == ["a/v01.cbz", "b/v01.cbz", "v02"]


def test_contradicting_metadata_is_a_warning(tmp_path):
    info = "<ComicInfo><Series>{}</Series><Writer>Someone</Writer><Penciller>{}</Penciller></ComicInfo>"

    def check(series, penciller, work="A Work", author="An Author"):
        documents = {"ComicInfo.xml": info.format(series, penciller).encode()}
        return check_metadata(documents, author, work, tmp_path)

    assert check("A Work", "An Author") == []
    assert check("a-work, vol. 3", "AUTHOR An") == []
    assert check("Ｗｏｒｋ　Ａ", "荒川 弘", work="work a", author="弘 荒川") == []
    assert len(check("Another Series", "An Author")) == 1
    assert "Other Hand" in check("A Work", "Other Hand")[0]
    assert len(check("Another Series", "Other Hand")) == 2
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><ComicInfo><Series>&b;</Series></ComicInfo>'
    assert "cannot be read" in check_metadata({"ComicInfo.xml": bomb}, "a", "w", tmp_path)[0]


@pytest.mark.parametrize("kind", ["cbz", "cb7", "cbt", "folder", "epub"])
def test_metadata_is_found_in_every_container(tmp_path, kind):
    info = b"<ComicInfo><Series>Elsewhere</Series><Writer>Nobody</Writer></ComicInfo>"
    members = {"ComicInfo.xml": info, **pages()}
    path = tmp_path / f"v01.{kind}"
    if kind == "epub":
        write_epub(path, ["a.png"], title="Elsewhere", author="Nobody")
    elif kind == "cb7":
        write_7z(path, members)
    elif kind == "cbz":
        write_zip(path, members)
    elif kind == "cbt":
        write_tar(path, members)
    else:
        write_folder(path, members)
    warnings = list_volume(path, "v01", "An Author", "A Work").warnings
    assert len(warnings) == 2
    assert "Nobody" in warnings[0]
    assert "Elsewhere" in warnings[1]


def test_manga109_books_and_their_annotations(tmp_path):
    book = tmp_path / "Manga109" / "images" / "ARMS"
    book.mkdir(parents=True)
    for index in (2, 10):
        Image.new("L", (60, 40), index).save(book / f"{index:03d}.jpg")
    (tmp_path / "Manga109" / "annotations").mkdir()
    file = tmp_path / "Manga109" / "annotations" / "ARMS.xml"
    face = (
        '<face id="1" xmin="1" ymin="2" xmax="30" ymax="20" character="c"/><text xmin="0" ymin="0" xmax="1" ymax="1"/>'
    )
    sizes = {2: 60, 10: 61, 11: 60}
    annotated = "".join(f'<page index="{i}" width="{w}" height="40">{face}</page>' for i, w in sizes.items())
    file.write_text(f'<book title="ARMS"><pages>{annotated}</pages></book>')
    assert annotation_file(book) == file.resolve()
    boxes = read_annotations(file).boxes
    assert [(box.page, box.kind, box.left, box.bottom) for box in boxes[:2]] == [(2, "face", 1, 20), (2, "text", 0, 1)]
    volume = list_volume(book, "ARMS", "a", "ARMS")
    assert [row["page"] for row in volume.pages] == ["002.jpg", "010.jpg"]
    assert len(volume.warnings) == 2
    assert "page 10: (60, 40), not (61, 40)" in volume.warnings[0]
    assert "page 11" in volume.warnings[1]
    for whole in (book.parent, book.parent.parent):
        with pytest.raises(EgaraError, match="all of Manga109; expected the folder of one, images/ARMS"):
            find_volumes([str(whole)])


def test_command_writes_both_tables(tmp_path):
    write_zip(tmp_path / "001.cbz", {**pages(), "3.jpg": pages()["1.jpg"][:-20]})
    write_zip(tmp_path / "002.cbz", {"1.jpg": page(77)})
    arguments = ["--author", "007", "--work", "001", "--volumes", str(tmp_path), "--output", str(tmp_path / "p.tsv")]
    main([*arguments, "--skipped", str(tmp_path / "s.tsv")])
    table = read_pages(tmp_path / "p.tsv")
    assert list(table.volume) == ["001"] * 4 + ["002"]
    assert set(table.work) == {"001"}
    assert set(table.author) == {"007"}
    assert list(table.page)[:4] == NAMES
    skipped = pd.read_csv(tmp_path / "s.tsv", sep="\t")
    assert list(skipped.columns) == COLUMNS
    assert list(skipped.member) == ["3.jpg"]
    assert "truncated" in skipped.reason[0]
    assert len(list(iterate_pages(table))) == 5


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom egara.corpus.__main__ import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('PIL', 'pandas', 'torch', 'numpy', 'pypdfium2', 'libarchive') if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(egara.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "--unreadable" in done.stdout


def test_single_image_is_a_volume_of_one_page(tmp_path):
    (tmp_path / "drawing.png").write_bytes(page(50, "PNG"))
    table = pd.DataFrame(list_volume(tmp_path / "drawing.png", "drawing", "a", "w").pages)
    assert list(table.page) == ["drawing.png"]
    assert list(table.member) == [""]
    table.to_csv(tmp_path / "p.tsv", sep="\t", index=False)
    assert open_page(read_pages(tmp_path / "p.tsv").iloc[0]).getpixel((0, 0)) == 50
