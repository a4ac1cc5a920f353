"""Targets for volumes, whole and in parts, for what they say of themselves, and for their pages."""

import zipfile
from collections.abc import Callable
from pathlib import Path

from fuzz import seed_volumes
from fuzz.harness import LIMITS, TARGETS, folder, is_one_line, placed, reading, target


def list_all(path: Path) -> None:
    """List a volume, and open its pages again from their rows."""
    import pandas as pd

    from egara.corpus import iterate_pages, list_volume, survey_volume

    survey = survey_volume(path, LIMITS, dpi=40)
    assert survey.kind and all(map(is_one_line, survey.warnings)), survey
    volume = list_volume(path, "v01", "An Author", "A Work", limits=LIMITS, dpi=40)
    assert volume.pages and all(map(is_one_line, volume.warnings)), volume.warnings
    assert all(is_one_line(row["reason"]) and row["count"] > 0 for row in volume.skipped), volume.skipped
    assert all(is_one_line(f"-{row['member']}") for row in volume.skipped + volume.pages), volume
    for row, image in iterate_pages(pd.DataFrame(volume.pages)):
        assert image.size == (row["width"], row["height"]) and image.mode in ("L", "RGB")


@target("folder")
def read_folder(data: bytes) -> None:
    """A folder whose page or description is damaged."""
    placed("volume/1.png", seed_volumes.picture("PNG"))
    placed("volume/2.jpg", data)
    path = placed("volume/ComicInfo.xml", data)
    with reading():
        list_all(path.parent)


def _volume(suffix: str) -> Callable[[bytes], None]:
    def read(data: bytes) -> None:
        path = placed(f"v01{suffix}", data)
        with reading():
            list_all(path)

    return read


for kind in ("cbz", "cbt", "cb7", "cbr", "epub", "pdf"):
    TARGETS[kind] = _volume(f".{kind}")
TARGETS["any-volume"] = _volume("")


def _part_of_book(member: str) -> Callable[[bytes], None]:
    def read(data: bytes) -> None:
        path = folder() / "book.epub"
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in (seed_volumes.book() | {member: data}).items():
                archive.writestr(name, text)
        with reading():
            list_all(path)

    return read


TARGETS["epub-package"] = _part_of_book("OPS/book.opf")
TARGETS["epub-container"] = _part_of_book("META-INF/container.xml")
TARGETS["epub-page"] = _part_of_book("OPS/text/00.xhtml")


@target("comicinfo")
def read_comicinfo(data: bytes) -> None:
    """What a volume says of itself can only warn."""
    from egara.corpus.metadata import check_metadata

    with reading():
        for line in check_metadata({"ComicInfo.xml": data}, "An Author", "A Work", Path("a.cbz")):
            assert is_one_line(line), repr(line)


@target("image")
def read_image(data: bytes) -> None:
    """One page's stored bytes."""
    from egara.corpus.images import decode

    with reading():
        image = decode(data, LIMITS)
        assert image.mode in ("L", "RGB") and image.width * image.height <= LIMITS.pixels
        assert len(image.tobytes()) == image.width * image.height * len(image.getbands())
