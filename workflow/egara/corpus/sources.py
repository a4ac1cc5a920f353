"""Resolve values of `volumes` to volumes, and open volumes by their content."""

import glob
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from egara.corpus.archives import Opening, Source
from egara.corpus.epub import Epub, is_epub
from egara.corpus.folders import Folder, SingleFile, collect_volumes, read_tree
from egara.corpus.limits import Budget, Limits
from egara.corpus.manga109 import is_annotations, is_collection
from egara.corpus.names import OTHER_VOLUMES, PAGES, VOLUMES, is_system, label, natural_order
from egara.corpus.pdf import Pdf
from egara.corpus.signatures import is_image
from egara.corpus.streams import Stream
from egara.corpus.tars import COMPRESSED, Tar, is_tar
from egara.corpus.zips import Zip, is_zip
from egara.io.errors import EgaraError
from egara.settings import Pages
from egara.skipped import skipped
from egara.works import Work

EXPECTED = "a folder of images, CBZ/ZIP, CBT, CB7, CBR, EPUB or PDF"

_COLLECTION = "{}: a collection of annotated books, such as all of Manga109; expected the folder of one, images/ARMS"


@dataclass
class Found:
    """Volumes, rows of `egara.skipped` for everything next to them, and warnings."""

    volumes: list[Path] = field(default_factory=list)
    skipped: list[dict[str, str | int]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def find_volumes(values: list[str], limits: Limits | None = None) -> Found:
    """Find the volumes that `values` name.

    A value is a file, a folder of images (one volume, subfolders included), a folder of volumes (archives, or
    folders of images) or a glob. Volumes of one value are in natural order; images next to volumes are a separate
    volume.

    Raises
    ------
    EgaraError : a value names nothing, it contains no volume, or a volume is listed twice.
    """
    limits, found = limits or Limits(), Found()
    seen: dict[str, Path] = {}
    for value in values:
        for path in expand(value):
            inside = _inside(path, limits, found) if path.is_dir() else [path]
            for volume in inside:
                if (shown := label(str(volume))) != str(volume):
                    reason = "its name is not valid text; expected one line of UTF-8, without control characters"
                    found.skipped.append(skipped(shown, "", "volume", reason))
                    continue
                real = os.path.realpath(volume)
                if (other := seen.setdefault(real, volume)) is volume:
                    found.volumes.append(volume)
                elif volume is not path and volume.is_symlink():
                    reason = f"a link to {other}, which is read already"
                    found.skipped.append(skipped(path, str(volume.relative_to(path)), "link", reason))
                else:
                    raise EgaraError(f"{volume}: volume listed twice (also as {other}); expected each once")
    return found


def name_volumes(volumes: list[Path]) -> list[str]:
    """Name volumes by their files or folders; equal names get as many parent folders as make them distinct."""
    paths = [Path(os.path.abspath(volume)) for volume in volumes]
    names = [path.stem if path.suffix.lower() in (*VOLUMES, *PAGES) else path.name for path in paths]
    depth = 1
    while clashes := {name for name, count in Counter(names).items() if count > 1}:
        names = [
            "/".join(path.parts[-depth:]) if name in clashes else name for path, name in zip(paths, names, strict=True)
        ]
        depth += 1
    return names


def open_volume(
    path: Path, limits: Limits, dpi: float = Pages.dpi, sizes: Mapping[str, tuple[int, int]] | None = None
) -> Source:
    """Open a volume by its content, not its extension.

    `dpi` and `sizes` (member → width, height) determine the size of rendered PDF pages: see `Pdf`.

    Raises
    ------
    EgaraError : missing, empty, encrypted, damaged or hostile, or not a supported volume.
    """
    try:
        packed = path.stat().st_size
    except (OSError, ValueError):  # reported by `_open_file`
        packed = 0
    return _open_file(path, path, Opening(limits, _open_file, Budget(path, packed, limits), dpi, sizes or {}))


def _open_file(file: Path, path: Path, opening: Opening) -> Source:
    """Open the volume in `file`; messages name it `path`."""
    try:
        if file.is_dir():
            return Folder(file, path, opening)
        if file.exists() and not file.is_file():
            raise EgaraError(f"{path}: a device or pipe; expected {EXPECTED}")
        with open(file, "rb") as opened:
            head = opened.read(1024)
            opened.seek(max(0, file.stat().st_size - 2**16))
            tail = opened.read()
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        reason = getattr(error, "strerror", None) or error
        raise EgaraError(f"{path}: cannot be read ({reason}); expected {EXPECTED}") from error
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        raise EgaraError(
            f"{path}: compressed with Zstandard; expected {EXPECTED}, or a tar compressed with gzip, bzip2 or xz"
        )
    if not head:
        raise EgaraError(f"{path}: empty file; expected {EXPECTED}")
    suffix = path.suffix.lower()
    if head.startswith((b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07")):
        return Stream(file, path, opening)
    if head.startswith(tuple(COMPRESSED)) or head[257:262] == b"ustar" or (suffix in (".cbt", ".tar") and is_tar(file)):
        return Tar(file, path, opening)
    if (head.startswith(b"PK") or not (b"%PDF-" in head or is_image(head))) and is_zip(head, tail):
        return Epub(file, path, opening) if is_epub(file, opening.limits) else Zip(file, path, opening)
    if b"%PDF-" in head:
        return Pdf(file, path, opening)
    if is_image(head) or suffix in PAGES:
        return SingleFile(file, path, opening)
    found = f"{OTHER_VOLUMES[suffix]} cannot be read" if suffix in OTHER_VOLUMES else "not a volume, by its first bytes"
    raise EgaraError(f"{path}: {found}; expected {EXPECTED}")


def expand(value: str) -> list[Path]:
    """Return the paths of one value in natural order; an existing path is not a glob, even with brackets in its name.

    Raises
    ------
    EgaraError : no such path.
    """
    try:
        path = Path(value).expanduser()
        if path.exists():
            return [path]
        if not glob.has_magic(value):
            raise EgaraError(f"{value}: no such file or folder; expected {EXPECTED}")
        found = [name for name in glob.glob(_pattern(path), recursive=True) if not is_system(Path(name).name)]
    except (OSError, RuntimeError, ValueError, re.error) as error:  # too long, an unknown home, a zero byte
        raise EgaraError(f"{value}: is not a valid path ({error}); expected {EXPECTED}") from error
    if not found:
        raise EgaraError(f"{value}: matches no file; expected {EXPECTED}")
    return [Path(name) for name in natural_order(found)]


def _pattern(path: Path) -> str:
    """Return a glob in which existing folders are escaped, such as `[Author] Work` in `[Author] Work/*.cbz`."""
    for parent in path.parents:
        if parent.exists():
            return str(Path(glob.escape(str(parent))) / path.relative_to(parent))
    return str(path)


def _inside(folder: Path, limits: Limits, found: Found) -> list[Path]:
    """Return the volumes in a folder, or the folder itself."""
    if is_collection(folder):
        raise EgaraError(_COLLECTION.format(folder))
    volumes: list[Path] = []
    rows: list[dict[str, str | int]] = []
    tree = read_tree(folder, limits)
    for level in tree.below():
        if any(is_annotations(Path(below.name).name) for below in level.folders) and is_collection(folder / level.name):
            raise EgaraError(_COLLECTION.format(folder / level.name))
    collect_volumes(folder, tree, volumes, rows, found.warnings)
    if not volumes:
        left = next((row for row in rows if row["cause"] in ("volume", "foreign")), None)
        holds = f"only {left['member']} ({left['reason']})" if left else "no volumes"
        raise EgaraError(f"{folder}: contains {holds}; expected {EXPECTED}")
    found.skipped += rows
    return volumes


def resolve_volumes(works: list[Work]) -> dict[str, list[str]]:
    """Return the files and folders of each work's volumes; globs are resolved in natural order.

    Raises
    ------
    EgaraError : a path in the works table does not exist.
    """
    found: dict[str, list[str]] = {}
    for work in works:
        try:
            found[work.work] = [str(path) for place in work.volumes for path in expand(place)]
        except EgaraError as error:
            raise EgaraError(f"work {work.work}: no volume at {error}") from error
    return found
