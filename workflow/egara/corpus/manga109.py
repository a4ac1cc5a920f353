"""Manga109's layout: pages in `images/<book>/000.jpg`, annotations in `annotations/<book>.xml`."""

from dataclasses import dataclass
from pathlib import Path

from egara.corpus.limits import MEBIBYTE, Limits, key
from egara.errors import EgaraError


@dataclass(frozen=True)
class Box:
    """One annotated region in pixels of its page; `page` is the index that names the page's file."""

    page: int
    kind: str
    left: float
    top: float
    right: float
    bottom: float
    character: str


@dataclass(frozen=True)
class Book:
    """What an annotation file says: the title, each page's width and height, and the boxes."""

    title: str
    sizes: dict[int, tuple[int, int]]
    boxes: list[Box]


def is_collection(folder: Path) -> bool:
    """Tell whether a folder is the whole collection, or its folder `images`: many works, not one volume."""
    folder = folder.resolve()
    root = folder.parent if folder.name == "images" else folder
    return (root / "annotations").is_dir() and (root / "images").is_dir()


def annotation_file(volume: str | Path) -> Path | None:
    """Return the annotations that belong to a book's folder of images, where there are any."""
    volume = Path(volume).resolve()
    file = volume.parent.parent / "annotations" / f"{volume.name}.xml"
    return file if volume.parent.name == "images" and file.is_file() else None


def page_index(page: str) -> int | None:
    """Return the index that a page's file name states (`007.jpg` → 7), or None where it states none."""
    stem = Path(page).stem
    return int(stem) if stem.isascii() and stem.isdigit() and len(stem) <= 9 else None


def read_annotations(file: Path, limits: Limits | None = None) -> Book:
    """Read an annotation file; its boxes are of the kinds frame, face, body and text.

    Raises
    ------
    EgaraError : no annotations of Manga109, or more than `limits` allow: a tree of many small elements takes fifty
        times the bytes of its text, and the longest of Manga109 has 2 MiB.
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
        boxes = [
            Box(
                index,
                box.tag,
                *(float(box.attrib[side]) for side in ("xmin", "ymin", "xmax", "ymax")),
                box.get("character", ""),
            )
            for index, page in pages.items()
            for box in page
            if "xmin" in box.attrib
        ]
    except (ParseError, DefusedXmlException, KeyError, ValueError, LookupError, OSError) as error:
        raise EgaraError(f"{file}: cannot be read ({error}); expected annotations of Manga109") from error
    return Book(root.get("title", ""), sizes, boxes)


def check_book(volume: Path, sizes: dict[str, tuple[int, int]], limits: Limits | None = None) -> list[str]:
    """Compare a book's pages (name → width, height) with its annotations; return a warning for each difference.

    Boxes are in pixels of the annotated size, so a page of another size would have its faces cut out elsewhere.
    """
    file = annotation_file(volume)
    if file is None:
        return []
    try:
        stated = read_annotations(file, limits).sizes
    except EgaraError as error:
        return [str(error)]
    found = {page_index(page): size for page, size in sizes.items()}
    other = sorted(index for index, size in stated.items() if found.get(index, size) != size)
    missing = sorted(set(stated) - set(found))
    warnings = []
    if other:
        first = other[0]
        warnings.append(
            f"{volume}: {len(other)} pages have another size than {file} states"
            f" (page {first}: {found[first]}, not {stated[first]})"
        )
    if missing:
        warnings.append(f"{volume}: {len(missing)} pages of {file} are missing (page {missing[0]})")
    return warnings
