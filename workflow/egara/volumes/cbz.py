"""Volumes as files: CBZ archives with ComicInfo.xml, the same bytes whenever they are written."""

import contextlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from egara.errors import EgaraError

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


@contextlib.contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """Yield a new folder beside `path` and give it that name when the block ends well; else remove it.

    An older folder of the name is replaced as a whole, so that no volume of an earlier run stays behind.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise EgaraError(f"{path}: is a file; expected a folder for volumes, or nothing")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{path.name[:40]}.", dir=path.parent))
    except OSError as error:
        raise EgaraError(f"{path}: cannot be written ({error.strerror or error})") from error
    older = part.with_name(f"{part.name}.older")
    try:
        yield part
        umask = os.umask(0)
        os.umask(umask)
        part.chmod(0o777 & ~umask)
        if path.is_dir():
            path.rename(older)
        part.rename(path)
    except OSError as error:
        if older.is_dir() and not path.exists():
            older.rename(path)
        raise EgaraError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(older, ignore_errors=True)
