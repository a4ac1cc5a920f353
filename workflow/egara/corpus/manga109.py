"""Manga109's layout: pages in `images/<book>/000.jpg`, annotations in `annotations/<book>.xml`."""

import itertools
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

from egara.corpus.limits import MEBIBYTE, Limits, key
from egara.corpus.names import natural_order
from egara.io.errors import EgaraError, counted

# `annotations`, and versions such as `annotations.v2018.05.31` and `annotations.v2020.12.18`.
_ANNOTATIONS = re.compile(r"annotations([._-].*)?", re.IGNORECASE)
KINDS = ("frame", "face", "body", "text")
_MAX_SIDE = 100_000  # pixels
RATIO_TOLERANCE = 0.03  # relative difference of the aspect ratios of a resized and an annotated page


@dataclass(frozen=True)
class Box:
    """One annotated region in pixels of its page; `page` is the index in the page's file name."""

    page: int
    kind: str
    left: float
    top: float
    right: float
    bottom: float
    character: str


@dataclass(frozen=True)
class Book:
    """An annotation file: title, width and height of each page, and boxes."""

    title: str
    sizes: dict[int, tuple[int, int]]
    boxes: list[Box]


def annotation_folders(root: Path) -> list[Path]:
    """Return the annotation folders in a folder: `annotations`, then versions, latest first."""
    try:
        names = [name for name in os.listdir(root) if is_annotations(name) and (root / name).is_dir()]
    except OSError:
        return []
    names = natural_order(names)[::-1]
    return [root / name for name in sorted(names, key=lambda name: name.lower() != "annotations")]


def is_annotations(name: str) -> bool:
    """Return whether a name is that of an annotation folder."""
    return bool(_ANNOTATIONS.fullmatch(name))


def is_collection(folder: Path) -> bool:
    """Return whether a folder is the whole collection or its folder of images: many works, not one volume."""
    folder = folder.resolve()
    if _books(folder, annotation_folders(folder.parent)):
        return True
    inside = annotation_folders(folder)
    return bool(inside) and any(_books(path, inside) for path in _folders(folder))


def _books(folder: Path, annotations: list[Path]) -> bool:
    """Return whether a folder contains several annotated books, or is named `images`, as in Manga109, with one.

    DCM772 has one folder of annotations per book instead of a file.
    """
    if not annotations or folder in annotations:
        return False
    books = (
        path
        for path in _folders(folder)
        if any((one / f"{path.name}.xml").is_file() or (one / path.name).is_dir() for one in annotations)
    )
    least = 1 if folder.name == "images" else 2
    return len(list(itertools.islice(books, least))) == least


def _folders(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir()]
    except OSError:
        return []


def annotation_file(volume: str | Path) -> Path | None:
    """Return the annotation file of a book's folder of images, None if there is none."""
    volume = Path(volume).resolve()
    for folder in annotation_folders(volume.parent.parent):
        file = folder / f"{volume.name}.xml"
        if folder != volume.parent and file.is_file():
            return file
    return None


def page_index(page: str, book: str = "") -> int | None:
    """Return the index in a page's file name, None where there is none or several.

    It is 7 in `007.jpg`, `p007.png` and, in the book ARMS, `ARMS_007.jpg`; `v01_p003.jpg` is ambiguous.
    """
    stem = Path(page).stem
    stem = stem.removeprefix(book) if stem != book else stem
    numbers = re.findall("[0-9]+", stem)
    return int(numbers[0]) if len(numbers) == 1 and stem.endswith(numbers[0]) and len(numbers[0]) <= 9 else None


def scale_to(size: tuple[int, int], stated: tuple[int, int]) -> tuple[float, float] | None:
    """Return the horizontal and vertical factors from a page's annotated size to its own, None if ratios differ.

    Sizes are width, height. A resized page keeps its aspect ratio but for rounding. A cropped or split one does not,
    and its boxes cannot be placed.
    """
    across, down = size[0] / stated[0], size[1] / stated[1]
    rounded = abs(stated[1] * across - size[1]) <= 1 or abs(stated[0] * down - size[0]) <= 1
    return (across, down) if rounded or abs(across / down - 1) <= RATIO_TOLERANCE else None


def read_annotations(file: Path, limits: Limits | None = None, kinds: tuple[str, ...] = KINDS) -> Book:
    """Read an annotation file with its boxes of the given kinds; a side that is not a number is NaN.

    Raises
    ------
    EgaraError : not annotations of Manga109, or a file larger than `limits` allow. (A parsed tree of many small
        elements takes fifty times the file's bytes; the largest file of Manga109 has 2 MiB.)
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException, ElementTree

    most = (limits or Limits()).annotations
    try:
        with open(file, "rb") as opened:
            text = opened.read(most * MEBIBYTE + 1)
        if len(text) > most * MEBIBYTE:
            raise ValueError(f"more than {most} MiB, {key('annotations')}")
        root = ElementTree.fromstring(text)
        pages = {int(page.attrib["index"]): page for page in root.iterfind("pages/page")}
        sizes = {index: (int(page.attrib["width"]), int(page.attrib["height"])) for index, page in pages.items()}
        if strange := [index for index, size in sizes.items() if not 0 < min(size) <= max(size) < _MAX_SIDE]:
            raise ValueError(f"page {strange[0]} of {sizes[strange[0]][0]} x {sizes[strange[0]][1]} pixels")
        boxes = [
            Box(
                index,
                box.tag,
                *(as_number(box.get(side, "")) for side in ("xmin", "ymin", "xmax", "ymax")),
                box.get("character", ""),
            )
            for index, page in pages.items()
            for box in page
            if box.tag in kinds
        ]
    except (ParseError, DefusedXmlException, KeyError, ValueError, LookupError, OSError) as error:
        raise EgaraError(f"{file}: cannot be read ({error}); expected annotations of Manga109") from error
    return Book(root.get("title", ""), sizes, boxes)


def as_number(text: object) -> float:
    """Return a side of a box, NaN where it is not a finite number."""
    try:
        value = float(text)
    except (ValueError, TypeError, OverflowError):
        return math.nan
    return value if math.isfinite(value) else math.nan


def check_book(volume: Path, sizes: dict[str, tuple[int, int]], limits: Limits | None = None) -> list[str]:
    """Compare a book's pages (name → width, height) with its annotations; return one warning per difference.

    Boxes are in pixels of the annotated size. The detector `annotations` scales those of resized pages; pages of
    another aspect ratio have none.
    """
    file = annotation_file(volume)
    if file is None:
        return []
    try:
        stated = read_annotations(file, limits).sizes
    except EgaraError as error:
        return [str(error)]
    found = {page_index(page, Path(volume).name): size for page, size in sizes.items()}
    other = sorted(index for index, size in stated.items() if found.get(index, size) != size)
    reshaped = [index for index in other if scale_to(found[index], stated[index]) is None]
    missing = sorted(set(stated) - set(found))
    warnings = []
    if other:
        first = other[0]
        warnings.append(
            f"{volume}: {counted(len(other), 'page')} of another size than in {file}"
            f" (page {first}: {found[first]}, not {stated[first]}); its boxes are scaled"
        )
    if reshaped:
        first = reshaped[0]
        warnings.append(
            f"{volume}: {counted(len(reshaped), 'page')} of another aspect ratio than in {file}"
            f" (page {first}: {found[first]}, not {stated[first]}); its boxes are not used"
        )
    if missing:
        warnings.append(f"{volume}: {counted(len(missing), 'page')} of {file} missing (first: page {missing[0]})")
    return warnings
