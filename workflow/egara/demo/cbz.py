"""CBZ archives with ComicInfo.xml, reproducible byte for byte."""

import zipfile
from collections.abc import Iterable
from pathlib import Path

# In the order of the ComicInfo 2.0 schema.
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
# The earliest time in a ZIP archive; the current time would change the bytes from run to run.
TIMESTAMP = (1980, 1, 1, 0, 0, 0)


def comic_info(fields: dict[str, str | int]) -> bytes:
    """Return ComicInfo.xml with these fields; one that is not in `FIELDS` is a KeyError."""
    from xml.etree.ElementTree import Element, SubElement, indent, tostring

    root = Element("ComicInfo")
    for name in sorted(fields, key={field: place for place, field in enumerate(FIELDS)}.__getitem__):
        SubElement(root, name).text = str(fields[name])
    indent(root)
    return tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def write_cbz(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    """Write members (name, content) in order, uncompressed, because images are compressed already."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members:
            entry = zipfile.ZipInfo(name, TIMESTAMP)
            # Set, because defaults depend on the operating system: made on Unix, readable by all.
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, content)
