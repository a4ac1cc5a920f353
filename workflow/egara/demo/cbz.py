"""Volumes as files: CBZ archives with ComicInfo.xml, the same bytes whenever they are written."""

import zipfile
from collections.abc import Iterable
from pathlib import Path

# The order in which the ComicInfo 2.0 schema lists these elements.
FIELDS = (
    "Title",
    "Series",
    "Number",
    "Count",
    "Notes",
    "Writer",
    "Penciller",
    "Web",
    "PageCount",
    "BlackAndWhite",
    "Manga",
)
# The first moment that a ZIP archive can state; a real time would change the bytes from run to run.
MOMENT = (1980, 1, 1, 0, 0, 0)


def comic_info(fields: dict[str, str | int]) -> bytes:
    """Return ComicInfo.xml with these fields; a field that is not in `FIELDS` is a KeyError."""
    from xml.etree.ElementTree import Element, SubElement, indent, tostring

    root = Element("ComicInfo")
    for name in sorted(fields, key={field: place for place, field in enumerate(FIELDS)}.__getitem__):
        SubElement(root, name).text = str(fields[name])
    indent(root)
    return tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def write_cbz(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    """Write members (name, content) in order; they are stored as they are, because images are compressed already."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members:
            entry = zipfile.ZipInfo(name, MOMENT)
            # Stated, because the default depends on the operating system: made on Unix, readable by all.
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, content)
