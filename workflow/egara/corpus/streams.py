"""CB7 and CBR through libarchive."""

import ctypes
import functools
import re
from collections.abc import Iterator
from pathlib import Path

from egara.corpus.archives import ABSENT, ENCRYPTED, LINK, Source
from egara.corpus.limits import Unreadable, check_bytes
from egara.corpus.names import decode_name, distinct, is_comic_info, is_volume, label
from egara.io.errors import EgaraError
from egara.skipped import skipped

# Shift JIS: two-byte characters, whose second byte is never a slash; anything else is one byte.
_TWO_BYTES = re.compile(rb"[\x81-\x9f\xe0-\xfc][/\x40-\x7e\x80-\xfc]|.", re.DOTALL)

_MAX_PASSES = 50  # through an archive with damaged members


class Stream(Source):
    """CB7 or CBR through libarchive, which reads archives sequentially."""

    kind = "CBR"
    one_way = True
    _broken = False  # whether the archive is damaged from some member on

    def _open(self) -> None:
        sizes: dict[str, int] = {}
        described: dict[str, bytes] = {}
        entries = self._entries()
        try:
            for name, entry in entries:
                sizes[name] = entry.size or 0
                # Before the next header is read: to reach it, a solid archive unpacks this member.
                self.opening.budget.spend(1, sizes[name])
                if is_comic_info(name):
                    described[name] = self._described(name, entry)
        except EgaraError as error:
            if not self._broken or not sizes:
                raise
            reason = str(error).removeprefix(f"{self.path}: ")
            self.skipped.append(skipped(self.path, "", "unreadable", f"{reason}; the rest is missing"))
        for name, count in self._again.items():
            reason = f"{name} occurs {count + 1} times; the first one is used"
            self.skipped.append(skipped(self.path, name, "duplicate", reason, count))
        self._select(sizes)
        self.documents = {name: data for name, data in described.items() if data}

    def _described(self, name: str, entry) -> bytes:
        try:
            data = self._to_bytes(self._unpack(name, entry))
            check_bytes(len(data), None, self.limits, "document")
        except Unreadable as error:
            self.warnings.append(f"{self.path}: {name}: {error}; author and work are not compared")
            return b""
        return data

    def _read_documents(self, names) -> None:
        """Do nothing: `_open` has read them."""

    def _stored(self, names: list[str]) -> Iterator[tuple[str, bytes | Path | Unreadable]]:
        """Yield files in the given order in one pass; files that are read too early wait in a temporary folder.

        Where libarchive fails on a member, another pass skips it, to read those after it.
        """
        places = {name: place for place, name in enumerate(names)}
        ready: dict[int, bytes | Path | Unreadable] = {}
        turn, lost = 0, Unreadable(ABSENT, "missing")
        for _ in range(_MAX_PASSES):
            place = None
            try:
                for name, entry in self._entries():
                    place = places.pop(name, None)
                    if place is None:
                        continue
                    ready[place] = self._taken(name, entry, place, place == turn)
                    place = None
                    while turn in ready:
                        yield names[turn], self._given(ready.pop(turn), names[turn])
                        turn += 1
                    if not places:
                        return
                break
            except EgaraError as error:
                if not self._broken:
                    raise
                lost = Unreadable(str(error).removeprefix(f"{self.path}: "))
                if place is None:
                    break
                ready[place] = lost
        for place in range(turn, len(names)):
            yield names[place], self._given(ready.get(place, lost), names[place])

    def _taken(self, name: str, entry, place: int, wanted: bool) -> bytes | Path | Unreadable:
        """Read a member: a page that is next into memory, anything else into a file."""
        try:
            if wanted and not is_volume(name):
                return self._to_bytes(self._unpack(name, entry))
            return self._to_file(self._unpack(name, entry), str(place))
        except Unreadable as error:
            return error

    def _given(self, found: bytes | Path | Unreadable, name: str) -> bytes | Path | Unreadable:
        """Return a page's bytes, from its temporary file if it waited in one; a volume stays a file."""
        if not isinstance(found, Path) or is_volume(name):
            return found
        data = found.read_bytes()
        found.unlink()
        return data

    def _entries(self) -> Iterator[tuple[str, object]]:
        """Yield all entries but folders, with their names in tables; of duplicate names the first."""
        libarchive = _libarchive(self.path)
        self._broken = False
        self._again: dict[str, int] = {}
        seen: set[str] = set()
        stored: set[bytes] = set()
        try:
            with open(self.file, "rb") as file:
                kind = _format(file.read(8))
            self.kind = "CB7" if kind == "7zip" else "CBR"
            with open(self.file, "rb") as file, libarchive.fd_reader(file.fileno(), kind, "none") as archive:
                for entry in archive:
                    if entry.isdir:
                        continue
                    raw = _raw_name(libarchive, entry)
                    name = decode_name(_restore_shift_jis(raw)) if raw else f"member {len(seen) + 1}"
                    if raw and raw in stored:
                        again = label(name)
                        self._again[again] = self._again.get(again, 0) + 1
                        continue
                    stored.add(raw)
                    name = distinct(label(name), seen)
                    seen.add(name)
                    yield name, entry
        except libarchive.ArchiveError as error:
            # Damage leaves the members before it readable; an encrypted or solid archive is not readable at all.
            self._broken = not _is_refused(error)
            raise EgaraError(f"{self.path}: {_reason(error)}") from error

    def _unpack(self, name: str, entry) -> Iterator[bytes]:
        libarchive = _libarchive(self.path)
        # Without this check, libarchive returns the encrypted bytes of a RAR 4 member.
        if _function("archive_entry_is_encrypted", ctypes.c_int)(entry._entry_p):
            raise Unreadable(ENCRYPTED)
        if entry.issym or entry.islnk or not entry.isreg:
            raise Unreadable(LINK, "link")
        check_bytes(entry.size or 0, None, self.limits, "volume" if is_volume(name) else "member")
        size = 0
        try:
            for block in entry.get_blocks(2**16):
                size += len(block)
                yield block
        except libarchive.ArchiveError as error:
            if _is_refused(error):
                raise Unreadable(_reason(error)) from error
            # A fatal error ends the archive; others affect one page.
            if error.retcode is None or error.retcode <= libarchive.ffi.ARCHIVE_FATAL:
                self._broken = True
                raise EgaraError(f"{self.path}: {_reason(error)} (member {name})") from error
            raise Unreadable(f"damaged in the archive ({error.msg})") from error
        if size < (entry.size or 0):
            raise Unreadable(f"damaged in the archive ({size} of {entry.size} bytes)")


@functools.cache
def _function(name: str, result):
    """Return a function of libarchive on entries that its Python package does not bind."""
    import libarchive

    function = getattr(libarchive.ffi.libarchive, name)
    function.argtypes, function.restype = [libarchive.ffi.c_archive_entry_p], result
    return function


def _raw_name(libarchive, entry) -> bytes:
    """Return a member's name as stored, in any encoding; wide names as UTF-8."""
    return (
        _function("archive_entry_pathname", ctypes.c_char_p)(entry._entry_p)
        or _function("archive_entry_pathname_utf8", ctypes.c_char_p)(entry._entry_p)
        or b""
    )


def _restore_shift_jis(name: bytes) -> bytes:
    """Undo libarchive's change of names in Shift JIS: it takes the second byte of 表 and others for a separator."""
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return _TWO_BYTES.sub(lambda found: found.group().replace(b"/", b"\\"), name)
    return name


def _format(head: bytes) -> str:
    """Return libarchive's name of a format by a file's first bytes; left alone, it may guess another format."""
    return "7zip" if head.startswith(b"7z") else "rar5" if head.startswith(b"Rar!\x1a\x07\x01") else "rar"


def _libarchive(path: Path):
    """Import libarchive-c, or say what to install: it needs a shared library that pip does not install."""
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
    """Return in one line what libarchive found and what was expected."""
    message = str(error.msg).lower()
    if "solid" in message:
        return f"solid RAR archive, which libarchive cannot read ({error.msg}); expected a CBZ instead"
    if _is_refused(error):
        return f"encrypted archive ({error.msg}); expected one without a password"
    return f"archive truncated or damaged ({error.msg}); expected an intact one"
