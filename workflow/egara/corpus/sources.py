"""What a value of `volumes` means: the volumes it names, and how each is opened, by its content."""

import glob
import os
import re
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

from egara.corpus.archives import VOLUMES, Folder, SingleFile, Source, Tar, Zip, check_entries, natural_order
from egara.corpus.documents import Epub, Pdf
from egara.corpus.images import SUFFIXES, is_image
from egara.corpus.limits import Limits, check_text, is_hidden
from egara.corpus.manga109 import is_collection
from egara.corpus.streams import Stream
from egara.errors import EgaraError

EXPECTED = "a folder of images, CBZ/ZIP, CBT, CB7, CBR, EPUB or PDF"

# Folders within folders; links may lead in a circle.
_DEPTH = 8

_OTHER_BOOKS = {
    ".mobi": "MOBI",
    ".azw": "Kindle book",
    ".azw3": "Kindle book",
    ".kfx": "Kindle book",
    ".djvu": "DjVu",
    ".cba": "ACE archive",
    ".lzh": "LHA archive",
    ".gz": "compressed tar",
    ".tgz": "compressed tar",
    ".bz2": "compressed tar",
    ".xz": "compressed tar",
    ".zst": "compressed tar",
}


def find_volumes(values: list[str]) -> tuple[list[Path], list[str]]:
    """Return the volumes that `values` name, and warnings about what lies beside them.

    A value is a file, a folder of images (one volume, subfolders included), a folder of volumes (archives, or
    folders of images) or a glob. The volumes of one value come in natural order.

    Raises
    ------
    EgaraError : nothing is there, nothing in it is a volume, or one volume comes twice.
    """
    volumes: list[Path] = []
    warnings: list[str] = []
    for value in values:
        for path in _expand(value):
            found, noted = _inside(path) if path.is_dir() else ([path], [])
            volumes += found
            warnings += noted
    seen: dict[str, Path] = {}
    for volume in volumes:
        check_text(volume.parent, volume.name)
        if (other := seen.setdefault(os.path.realpath(volume), volume)) is not volume:
            raise EgaraError(f"{volume}: volume listed twice (also as {other}); expected each once")
    return volumes, warnings


def name_volumes(volumes: list[Path]) -> list[str]:
    """Name volumes by their files or folders; where names meet, as much of the path is kept as tells them apart."""
    paths = [Path(os.path.abspath(volume)) for volume in volumes]
    names = [path.stem if path.suffix.lower() in (*VOLUMES, *SUFFIXES) else path.name for path in paths]
    depth = 1
    while clashes := {name for name, count in Counter(names).items() if count > 1}:
        names = [
            "/".join(path.parts[-depth:]) if name in clashes else name for path, name in zip(paths, names, strict=True)
        ]
        depth += 1
    return names


def open_volume(
    path: Path, limits: Limits, dpi: float = 150, sizes: dict[str, tuple[int, int]] | None = None
) -> Source:
    """Open a volume by its content, whatever its suffix says.

    `dpi` and `sizes` (member → width, height) say how large the pages of a PDF are rendered: see `Pdf`.

    Raises
    ------
    EgaraError : missing, empty, encrypted, damaged or hostile, or no volume that can be read.
    """
    try:
        if path.is_dir():
            return Folder(path, limits)
        if path.exists() and not path.is_file():
            raise EgaraError(f"{path}: a device or pipe; expected {EXPECTED}")
        with open(path, "rb") as file:
            head = file.read(1024)
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        reason = getattr(error, "strerror", None) or error
        raise EgaraError(f"{path}: cannot be read ({reason}); expected {EXPECTED}") from error
    if not head:
        raise EgaraError(f"{path}: empty file; expected {EXPECTED}")
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        check_entries(path, limits)
        return Epub(path, limits) if _is_epub(path) else Zip(path, limits)
    if head.startswith((b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07")):
        return Stream(path, limits)
    suffix = path.suffix.lower()
    if head[257:262] == b"ustar" or (suffix in (".cbt", ".tar") and tarfile.is_tarfile(path)):
        return Tar(path, limits)
    if b"%PDF-" in head:
        return Pdf(path, limits, dpi, sizes)
    if is_image(head) or suffix in SUFFIXES:
        return SingleFile(path, limits)
    found = f"{_OTHER_BOOKS[suffix]} cannot be read" if suffix in _OTHER_BOOKS else "no volume, by its first bytes"
    raise EgaraError(f"{path}: {found}; expected {EXPECTED}")


def _is_epub(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return "META-INF/container.xml" in archive.namelist()
    except Exception:  # a damaged directory raises whatever its arithmetic meets first; `Zip` then says so
        return False


def _expand(value: str) -> list[Path]:
    """Return the paths of one value; a path that exists is itself, even with brackets in its name."""
    try:
        path = Path(value).expanduser()
        if path.exists():
            return [path]
        if not glob.has_magic(value):
            raise EgaraError(f"{value}: no such file or folder; expected {EXPECTED}")
        found = [name for name in glob.glob(str(path), recursive=True) if not is_hidden(Path(name).name)]
    except (OSError, RuntimeError, ValueError, re.error) as error:  # too long, nobody's home, a zero byte
        raise EgaraError(f"{value}: is no place ({error}); expected {EXPECTED}") from error
    if not found:
        raise EgaraError(f"{value}: matches nothing; expected {EXPECTED}")
    return [Path(name) for name in natural_order(found)]


def _inside(folder: Path) -> tuple[list[Path], list[str]]:
    """Return the volumes that a folder holds, or that it is, and warnings about what was passed over."""
    if is_collection(folder):
        raise EgaraError(f"{folder}: all of Manga109; expected the folder of one book, such as images/ARMS")
    volumes: list[Path] = []
    left: list[Path] = []
    _search(folder, volumes, left)
    if not volumes:
        found = f"only {left[0].name} ({_OTHER_BOOKS[left[0].suffix.lower()]})" if left else "nothing of the kind"
        raise EgaraError(f"{folder}: holds {found}; expected {EXPECTED}")
    noted = f"{folder}: {len(left)} files beside its volumes are passed over ({left[0].name})" if left else ""
    return volumes, [noted] if noted else []


def _search(folder: Path, volumes: list[Path], left: list[Path], depth: int = 0) -> None:
    """Add the volumes in a folder to `volumes`, in natural order, and the books and images beside them to `left`."""
    try:
        paths = [folder / name for name in natural_order(os.listdir(folder)) if not is_hidden(name)]
    except OSError as error:
        raise EgaraError(f"{folder}: folder cannot be read ({error.strerror}); expected {EXPECTED}") from error
    suffixes = {path: path.suffix.lower() for path in paths if path.is_file()}
    images = [path for path, suffix in suffixes.items() if suffix in SUFFIXES]
    if images and not any(suffix in VOLUMES for suffix in suffixes.values()):
        volumes.append(folder)
        return
    left += [path for path, suffix in suffixes.items() if suffix in _OTHER_BOOKS or suffix in SUFFIXES]
    for path in paths:
        if suffixes.get(path) in VOLUMES:
            volumes.append(path)
        elif path not in suffixes and path.is_dir() and depth < _DEPTH:
            _search(path, volumes, left, depth + 1)
