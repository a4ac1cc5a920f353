"""Volumes that are folders or archives: their pages' names in reading order, and their stored bytes.

Every source has `path`, `members` (its pages), `documents` (ComicInfo.xml or OPF, name → bytes) and
`blobs(members)`; it is a context manager. No source holds more than one page's bytes at a time.
"""

import contextlib
import mmap
import os
import stat
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from egara.corpus.images import SUFFIXES
from egara.corpus.limits import Limits, Unreadable, check_bytes, check_count, check_name, check_total, is_hidden
from egara.errors import EgaraError

DOCUMENT_BYTES = 2**20
LINK = "a link or device in the archive, which is not followed; expected a file"

# What begins an entry of a ZIP archive's directory, and the least that it takes.
_ENTRY, _ENTRY_BYTES = b"PK\x01\x02", 46

# What a folder's files are taken for volumes by; how each is read, its content decides.
VOLUMES = (".cbz", ".zip", ".cbt", ".tar", ".cb7", ".7z", ".cbr", ".rar", ".epub", ".pdf")


def natural_order(names: Iterable[str]) -> list[str]:
    """Sort names as a person reads them: `2.jpg` before `10.jpg`, folder by folder."""
    from natsort import natsorted, ns

    # Sorted before, because names that differ in case only keep the order in which they came.
    return natsorted(sorted(names), alg=ns.PATH | ns.IGNORECASE)


def is_page(name: str) -> bool:
    """Tell whether a member's name is that of a page: an image that no system left behind."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES and not is_hidden(name)


def is_document(name: str) -> bool:
    """Tell whether a member describes its volume (ComicInfo.xml)."""
    return PurePosixPath(name).name.lower() == "comicinfo.xml" and not is_hidden(name)


def _bounded(file, path: Path, name: str, limits: Limits) -> bytes:
    """Read a member to its end, but never more than `limits` allow, whatever size its header states."""
    data = file.read(limits.member_bytes + 1)
    check_bytes(path, name, len(data), None, limits)
    return data


class Source:
    """One open volume; a subclass finds `members` in `_open` and returns their bytes from `read`."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path
        self.limits = limits
        self.members: list[str] = []
        self.documents: dict[str, bytes] = {}
        self._archive = None
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what the source holds open."""
        if self._archive is not None:
            self._archive.close()

    def page_name(self, member: str) -> str:
        """Return what a table calls a page: its member's name."""
        return member

    def read(self, member: str) -> bytes:
        """Return one page's stored bytes; raises `Unreadable` where only this page is damaged."""
        raise NotImplementedError

    def blobs(self, members: list[str]) -> Iterator[tuple[str, bytes | Unreadable]]:
        """Yield each member with its stored bytes, or with the reason why it has none, in the order asked for."""
        for member in members:
            try:
                yield member, self.read(member)
            except Unreadable as error:
                yield member, error

    def _select(self, sizes: dict[str, int]) -> None:
        """Check all members and keep the pages among them, in reading order."""
        check_count(self.path, len(sizes), self.limits)
        for name in sizes:
            check_name(self.path, name)
        check_total(self.path, sum(sizes.values()), self.limits)
        self.members = natural_order(filter(is_page, sizes))
        if not self.members:
            nested = natural_order(name for name in sizes if name.lower().endswith(VOLUMES))
            found = f"{len(sizes)} other files" if sizes else "it is empty"
            found = f"but {len(nested)} archives ({nested[0]}, …): unpack it first" if nested else found
            raise EgaraError(f"{self.path}: no images inside, {found}; expected a volume's pages")


class Folder(Source):
    """A folder of images, subfolders included."""

    def _open(self) -> None:
        names = []
        for folder, _, files in os.walk(self.path, onerror=self._refuse):
            names += [(Path(folder) / file).relative_to(self.path).as_posix() for file in files]
        self._select({check_name(self.path, name): 0 for name in names if is_page(name) or is_document(name)})
        for name in filter(is_document, names):
            with contextlib.suppress(Unreadable):
                self.documents[name] = self.read(name)[:DOCUMENT_BYTES]

    def _refuse(self, error: OSError) -> None:
        raise EgaraError(f"{error.filename}: folder cannot be read ({error.strerror})")

    def read(self, member: str) -> bytes:
        """Return one page's bytes."""
        return _read_file(self.path / member, self.path, member, self.limits)


class SingleFile(Source):
    """One image file: a volume of one page, whose member is ""."""

    def _open(self) -> None:
        check_name(self.path, self.path.name)
        self.members = [""]

    def page_name(self, member: str) -> str:
        """Return the file's name."""
        return self.path.name

    def read(self, member: str) -> bytes:
        """Return the page's bytes."""
        return _read_file(self.path, self.path.parent, self.path.name, self.limits)


def _read_file(file: Path, path: Path, name: str, limits: Limits) -> bytes:
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise Unreadable("a device or pipe, whose end never comes; expected a file")
        with open(file, "rb") as opened:
            return _bounded(opened, path, name, limits)
    except OSError as error:
        raise Unreadable(error.strerror or str(error)) from error


class Zip(Source):
    """CBZ or ZIP."""

    def _open(self) -> None:
        try:
            self._archive = zipfile.ZipFile(self.path)
        except OSError as error:
            raise EgaraError(f"{self.path}: cannot be read ({error.strerror or error}); expected an archive") from error
        except Exception as error:  # a damaged directory raises whatever its arithmetic meets first
            raise EgaraError(
                f"{self.path}: ZIP archive cut short or damaged ({error}); expected a whole one"
            ) from error
        for name in self._archive.namelist():
            check_name(self.path, name)
        self._infos = {info.filename: info for info in self._archive.infolist() if not info.is_dir()}
        self._select({name: info.file_size for name, info in self._infos.items()})
        for name in filter(is_document, self._infos):
            with contextlib.suppress(Unreadable):
                self.documents[name] = self.read(name)[:DOCUMENT_BYTES]

    def _select(self, sizes: dict[str, int]) -> None:
        super()._select(sizes)
        for name in self.members:
            info = self._infos[name]
            if info.flag_bits & 1:
                raise EgaraError(f"{self.path}: encrypted archive (member {name}); expected one without a password")
            check_bytes(self.path, name, info.file_size, info.compress_size, self.limits)

    def read(self, member: str) -> bytes:
        """Return one page's bytes, tested by the archive's own checksum."""
        if member not in self._infos:
            raise Unreadable("is not in the archive")
        if stat.S_ISLNK(self._infos[member].external_attr >> 16):
            raise Unreadable(LINK)
        try:
            with self._archive.open(self._infos[member]) as file:
                return _bounded(file, self.path, member, self.limits)
        except (EgaraError, MemoryError):
            raise
        # Unknown compression methods, encryption, false sizes and offsets: each raises an error of its own kind.
        except Exception as error:
            raise Unreadable(f"damaged in the archive ({error})") from error


def check_entries(path: Path, limits: Limits) -> None:
    """Raise `EgaraError` where a ZIP archive has too many entries: Python holds them all before it can count them."""
    if path.stat().st_size <= limits.members * _ENTRY_BYTES:
        return
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        count, place = 0, content.find(_ENTRY)
        while place >= 0 and count <= limits.members:
            count, place = count + 1, content.find(_ENTRY, place + len(_ENTRY))
    check_count(path, count, limits)


class Tar(Source):
    """CBT: an uncompressed tar."""

    def _open(self) -> None:
        members: list[tarfile.TarInfo] = []
        try:
            self._archive = tarfile.TarFile(self.path)
            for count, info in enumerate(self._archive, start=1):
                check_count(self.path, count, self.limits)
                members.append(info)
        except EgaraError:
            raise
        except Exception as error:  # a damaged header raises whatever its arithmetic meets first
            raise EgaraError(
                f"{self.path}: tar archive cut short or damaged ({error}); expected a whole one"
            ) from error
        for info in members:
            check_name(self.path, info.name)
        self._infos = {info.name: info for info in members if not info.isdir()}
        self._select({name: info.size for name, info in self._infos.items()})
        for name in self.members:
            check_bytes(self.path, name, self._infos[name].size, None, self.limits)
        for name in filter(is_document, self._infos):
            with contextlib.suppress(Unreadable):
                self.documents[name] = self.read(name)[:DOCUMENT_BYTES]

    def read(self, member: str) -> bytes:
        """Return one page's bytes."""
        if member not in self._infos:
            raise Unreadable("is not in the archive")
        if not self._infos[member].isfile():
            raise Unreadable(LINK)
        try:
            with self._archive.extractfile(self._infos[member]) as file:
                return _bounded(file, self.path, member, self.limits)
        except (EgaraError, MemoryError):
            raise
        except Exception as error:
            raise Unreadable(f"damaged in the archive ({error})") from error
