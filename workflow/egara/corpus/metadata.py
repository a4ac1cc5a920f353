"""A volume's metadata (ComicInfo.xml, OPF), compared with the works table."""

import unicodedata
from dataclasses import dataclass
from pathlib import Path

from egara.io.errors import one_line

# Fields of ComicInfo.xml that name artists or writers.
_CREATORS = ("Writer", "Penciller", "Inker", "CoverArtist")


@dataclass(frozen=True)
class Metadata:
    """Titles and authors in a volume's metadata; either may be empty."""

    titles: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()


def parse_metadata(data: bytes) -> Metadata:
    """Read ComicInfo.xml (Series; Writer, Penciller, …) or an OPF package (dc:title; dc:creator).

    Raises
    ------
    ValueError : not XML, or XML with entities.
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException, ElementTree

    try:
        root = ElementTree.fromstring(data)
    except (ParseError, DefusedXmlException, LookupError) as error:
        raise ValueError(" ".join(str(error).split())) from error
    texts: dict[str, list[str]] = {}
    for element in root.iter():
        if element.text and element.text.strip():
            texts.setdefault(str(element.tag).rpartition("}")[2], []).append(element.text.strip())
    makers = [name.strip() for field in _CREATORS for text in texts.get(field, []) for name in text.split(",")]
    titles = texts.get("Series", []) + (texts.get("title", []) if "creator" in texts or "package" in root.tag else [])
    return Metadata(tuple(titles), tuple(filter(None, makers + texts.get("creator", []))))


def check_metadata(documents: dict[str, bytes], author: str, work: str, volume: Path) -> list[str]:
    """Compare a volume's documents (name → bytes) with the works table; return one warning per difference.

    Names agree regardless of case, width, punctuation and word order; a work agrees with a title that contains it
    (`ARMS` and `ARMS vol. 3`). Missing metadata gives no warning.
    """
    warnings = []
    for name, data in documents.items():
        try:
            stated = parse_metadata(data)
        except ValueError as error:
            warnings.append(f"{volume}: {name} cannot be read ({error}); author and work are not compared")
            continue
        if stated.authors and not any(_words(author) == _words(other) for other in stated.authors):
            found = ", ".join(dict.fromkeys(stated.authors))
            warnings.append(f"{volume}: {name} names the author {found!r}, the works table {author!r}")
        if stated.titles and not any(_agree(work, title) for title in stated.titles):
            warnings.append(f"{volume}: {name} names the work {stated.titles[0]!r}, the works table {work!r}")
    return [one_line(warning) for warning in warnings]


def _plain(text: str) -> str:
    """Fold case and width, drop accents, and replace all but letters and digits by spaces."""
    text = unicodedata.normalize("NFKD", text).casefold()
    kept = [letter for letter in text if not unicodedata.combining(letter)]
    return "".join(letter if letter.isalnum() else " " for letter in kept)


def _words(text: str) -> list[str]:
    return sorted(_plain(text).split())


def _agree(work: str, title: str) -> bool:
    first, second = ("".join(_plain(text).split()) for text in (work, title))
    return bool(first and second) and (first in second or second in first)
