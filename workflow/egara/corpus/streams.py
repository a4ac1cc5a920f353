"""CB7 and CBR through libarchive."""

import contextlib
import ctypes
import tempfile
from collections.abc import Iterator
from pathlib import Path

from egara.corpus.archives import DOCUMENT_BYTES, LINK, Source, is_document
from egara.corpus.limits import Unreadable, check_bytes, check_count, check_name, check_total
from egara.errors import EgaraError


class Stream(Source):
    """CB7 or CBR through libarchive, which reads an archive from its start to its end only."""

    def _open(self) -> None:
        sizes: dict[str, int] = {}
        total = 0
        for name, entry in self._entries():
            sizes[name] = entry.size or 0
            total += sizes[name]
            # Before the next header is asked for: to reach it, a solid archive unpacks this member.
            check_count(self.path, len(sizes), self.limits)
            check_bytes(self.path, name, sizes[name], None, self.limits)
            check_total(self.path, total, self.limits)
            if is_document(name):
                with contextlib.suppress(Unreadable):
                    self.documents[name] = self._unpack(name, entry)[:DOCUMENT_BYTES]
        self._select(sizes)

    def read(self, member: str) -> bytes:
        """Return one page's bytes."""
        for _, data in self.blobs([member]):
            if isinstance(data, Unreadable):
                raise data
            return data
        raise Unreadable("is not in the archive")

    def blobs(self, members: list[str]) -> Iterator[tuple[str, bytes | Unreadable]]:
        """Yield pages in the order asked for, from one pass; pages that come too early wait in a temporary folder."""
        places = {member: place for place, member in enumerate(members)}
        failed: dict[int, Unreadable] = {}
        turn = 0
        with tempfile.TemporaryDirectory(prefix="egara-") as folder:
            for name, entry in self._entries():
                place = places.pop(name, None)
                if place is None:
                    continue
                try:
                    data: bytes | Unreadable = self._unpack(name, entry)
                except Unreadable as error:
                    data = error
                if place == turn:
                    yield name, data
                    turn += 1
                elif isinstance(data, Unreadable):
                    failed[place] = data
                else:
                    (Path(folder) / str(place)).write_bytes(data)
                while (waiting := Path(folder) / str(turn)).exists() or turn in failed:
                    yield members[turn], failed.pop(turn, None) or waiting.read_bytes()
                    waiting.unlink(missing_ok=True)
                    turn += 1
                if not places:
                    return
            for place in range(turn, len(members)):
                waiting = Path(folder) / str(place)
                found = failed.get(place, Unreadable("is not in the archive"))
                yield members[place], waiting.read_bytes() if waiting.exists() else found

    def _entries(self) -> Iterator[tuple[str, object]]:
        """Yield all that is no folder in the archive, the names checked."""
        libarchive = _libarchive(self.path)
        # Asked for by hand: without a word, libarchive gives the encrypted bytes of a RAR 4 member.
        is_encrypted = libarchive.ffi.ffi("entry_is_encrypted", [libarchive.ffi.c_archive_entry_p], ctypes.c_int)
        try:
            with open(self.path, "rb") as file:
                kind = _format(file.read(8))
            with open(self.path, "rb") as file, libarchive.fd_reader(file.fileno(), kind, "none") as archive:
                for entry in archive:
                    if not isinstance(entry.pathname, str) or not entry.pathname:
                        raise EgaraError(
                            f"{self.path}: a member's name cannot be read; expected UTF-8, and LC_ALL=C.UTF-8"
                        )
                    name = check_name(self.path, entry.pathname)
                    if not entry.isdir:
                        if is_encrypted(entry._entry_p):
                            raise EgaraError(
                                f"{self.path}: encrypted archive (member {name}); expected one without a password"
                            )
                        yield name, entry
        except libarchive.ArchiveError as error:
            raise EgaraError(f"{self.path}: {_reason(error)}") from error

    def _unpack(self, name: str, entry) -> bytes:
        libarchive = _libarchive(self.path)
        if entry.issym or entry.islnk or not entry.isreg:
            raise Unreadable(LINK)
        blocks, size = [], 0
        try:
            for block in entry.get_blocks(2**16):
                size += len(block)
                check_bytes(self.path, name, size, None, self.limits)
                blocks.append(block)
        except libarchive.ArchiveError as error:
            # A fatal error ends the archive, and what is encrypted or solid stays so; the rest concerns one page.
            if error.retcode is None or error.retcode <= libarchive.ffi.ARCHIVE_FATAL or _is_refused(error):
                raise EgaraError(f"{self.path}: {_reason(error)} (member {name})") from error
            raise Unreadable(f"damaged in the archive ({error.msg})") from error
        if size < (entry.size or 0):
            raise Unreadable(f"damaged in the archive ({size} of {entry.size} bytes)")
        return b"".join(blocks)


def _format(head: bytes) -> str:
    """Return libarchive's name for what a file begins like: it knows formats that take in other files, too."""
    return "7zip" if head.startswith(b"7z") else "rar5" if head.startswith(b"Rar!\x1a\x07\x01") else "rar"


def _libarchive(path: Path):
    """Import libarchive-c, or say what to install: it binds a shared library that pip does not bring along."""
    try:
        import libarchive
    except (ImportError, OSError, AttributeError, TypeError) as error:
        raise EgaraError(
            f"{path}: CB7 and CBR need the library libarchive; expected `apt install libarchive13`"
            " or `conda install libarchive`"
        ) from error
    return libarchive


def _is_refused(error) -> bool:
    message = str(error.msg).lower()
    return any(word in message for word in ("encrypt", "passphrase", "password", "solid"))


def _reason(error) -> str:
    """Say in one line what libarchive found and what was expected."""
    message = str(error.msg).lower()
    if "solid" in message:
        return f"solid RAR archive, which libarchive cannot read ({error.msg}); expected it packed again as CBZ"
    if _is_refused(error):
        return f"encrypted archive ({error.msg}); expected one without a password"
    return f"archive cut short or damaged ({error.msg}); expected a whole one"
