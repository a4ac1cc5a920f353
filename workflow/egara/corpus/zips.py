"""CBZ and ZIP, read leniently, because checksums and pixels are checked per member.

Unlike zipfile, it accepts names that differ between the directory and a member's header, any extra fields, names in
Shift JIS, bytes before and after the archive, and a missing directory where members are intact.
"""

import mmap
import stat
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass

from egara.corpus.archives import ABSENT, ENCRYPTED, LINK, Source, blocks_of, check_size
from egara.corpus.limits import Unreadable, check_bytes
from egara.corpus.names import decode_name, distinct, is_volume, label
from egara.io.errors import EgaraError, counted
from egara.skipped import skipped

_ENTRY, _LOCAL, _END, _END64, _LOCATOR = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_DESCRIPTOR = b"PK\x07\x08"
_ENCRYPTED, _STREAMED, _UTF8 = 1, 8, 0x800
_NO = 0xFFFFFFFF
_METHODS = {0: "stored", 8: "Deflate", 12: "bzip2", 14: "LZMA"}
_OTHER_METHODS = {9: "Deflate64", 93: "Zstandard", 95: "XZ", 96: "JPEG recompression", 98: "PPMd", 99: "AES"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One member in the directory; `place` is the offset of its own header in the file."""

    name: bytes
    flags: int
    method: int
    checksum: int
    packed: int
    size: int
    place: int
    mode: int

    @property
    def text(self) -> str:
        """The name as text."""
        return decode_name(self.name, bool(self.flags & _UTF8))


def read_directory(content: mmap.mmap) -> tuple[Iterator[Entry], bool]:
    """Return an archive's entries, and whether they are from an intact directory, not from the members' headers."""
    end, empty = len(content), False
    while (end := content.rfind(_END, 0, end)) >= 0:
        if (found := _directory(content, end)) is not None:
            start, stop, _ = found
            if start < stop:
                return _listed(content, *found), True
            empty = True  # or bytes of a comment that look like one; the directory may be before them
    return (iter(()), True) if empty else (_searched(content), False)


def _directory(content: mmap.mmap, end: int) -> tuple[int, int, int] | None:
    """Return start and end of a directory and the archive's offset in the file, from the record at its end."""
    if end + 22 > len(content):
        return None
    count, size, stated = struct.unpack("<H2L", content[end + 10 : end + 20])
    stop = end
    if content[max(0, end - 20) : end - 16] == _LOCATOR:
        record = content.rfind(_END64, 0, end - 20)
        if record >= 0 and record + 56 <= end:
            count, size, stated = struct.unpack("<3Q", content[record + 32 : record + 56])
            stop = record
    for start in (stop - size, stated):
        if 0 <= start <= stop and (content[start : start + 4] == _ENTRY or (not count and not size)):
            return start, stop, start - stated
    return None


def _listed(content: mmap.mmap, place: int, stop: int, moved: int) -> Iterator[Entry]:
    while place + 46 <= stop and content[place : place + 4] == _ENTRY:
        (_, _, _, flags, method, _, _, checksum, packed, size, named, extra, noted, _, _, attributes, where) = (
            struct.unpack("<4s6H3L5H2L", content[place : place + 46])
        )
        name = content[place + 46 : place + 46 + named]
        fields = content[place + 46 + named : place + 46 + named + extra]
        size, packed, where = _wide(fields, size, packed, where)
        yield Entry(name, flags, method, checksum, packed, size, where + moved, attributes >> 16)
        place += 46 + named + extra + noted


def _wide(extra: bytes, *values: int) -> list[int]:
    """Return sizes and offset, replaced by those of ZIP64 in the extra fields, which may contain anything."""
    wide = b""
    while len(extra) >= 4:
        kind, length = struct.unpack("<HH", extra[:4])
        if kind == 1:
            wide = extra[4 : 4 + length]
        extra = extra[4 + length :]
    found = []
    for value in values:
        if value == _NO and len(wide) >= 8:
            value, wide = struct.unpack("<Q", wide[:8])[0], wide[8:]
        found.append(value)
    return found


def _searched(content: mmap.mmap) -> Iterator[Entry]:
    """Yield members by their own headers; sizes may be in a descriptor after the member."""
    place = content.find(_LOCAL)
    while place >= 0 and place + 30 <= len(content):
        flags, method, _, _, checksum, packed, size, named, extra = struct.unpack(
            "<HHHH3LHH", content[place + 6 : place + 30]
        )
        start = place + 30 + named + extra
        size, packed = _wide(content[place + 30 + named : start], size, packed)
        if flags & _STREAMED and not packed:
            checksum, packed, size = _described(content, start)
        yield Entry(content[place + 30 : place + 30 + named], flags, method, checksum, packed, size, place, 0)
        after = start + packed if start + packed <= len(content) else place + 4
        place = content.find(_LOCAL, after)


def _described(content: mmap.mmap, start: int) -> tuple[int, int, int]:
    """Return checksum and sizes from the descriptor after a member, recognised by the member's length."""
    stop = content.find(_LOCAL, start)
    stop = len(content) if stop < 0 else stop
    place = content.find(_DESCRIPTOR, start, stop)
    while 0 <= place <= stop - 16:
        for form in ("<L2Q", "<L2L"):  # ZIP64's is longer
            stated = content[place + 4 : min(stop, place + 4 + struct.calcsize(form))]
            if len(stated) == struct.calcsize(form):
                checksum, packed, size = struct.unpack(form, stated)
                if packed == place - start:
                    return checksum, packed, size
        place = content.find(_DESCRIPTOR, place + 4, stop)
    return 0, 0, 0


class Zip(Source):
    """CBZ or ZIP."""

    kind = "CBZ"

    def _open(self) -> None:
        try:
            self._archive = open(self.file, "rb")  # noqa: SIM115 - closed with the source
            with mmap.mmap(self._archive.fileno(), 0, access=mmap.ACCESS_READ) as content:
                entries, whole = read_directory(content)
                self._list(entries, whole)
        except OSError as error:
            raise EgaraError(f"{self.path}: cannot be read ({error.strerror or error}); expected an archive") from error
        if not self._entries and not whole:
            raise EgaraError(f"{self.path}: ZIP archive truncated or damaged; expected an intact one")
        if not whole:
            last = next(reversed(self._entries))
            self.skipped.append(
                skipped(
                    self.path, "", "unreadable",
                    "archive truncated or damaged: its central directory is missing; by their own headers, "
                    f"{counted(len(self._entries), 'member')} found, everything after {last} is missing",
                )
            )  # fmt: skip
        self._choose({name: entry.size for name, entry in self._entries.items()})

    def _list(self, entries: Iterator[Entry], whole: bool) -> None:
        self._entries: dict[str, Entry] = {}
        known: dict[bytes, str] = {}
        again: dict[str, int] = {}
        for entry in entries:
            self.opening.budget.spend(1, 0)
            text = entry.text
            if text.endswith("/") or (text.endswith("\\") and not entry.size):
                continue
            # As archivers do when they extract: a later member overwrites an earlier one.
            if (name := known.get(entry.name)) is not None:
                again[name] = again.get(name, 0) + 1
            else:
                name = known[entry.name] = distinct(label(text), self._entries)
            self._entries[name] = entry
        self.skipped += [
            skipped(self.path, name, "duplicate", f"{name} occurs {count + 1} times; the last one is used", count)
            for name, count in again.items()
        ]

    def _choose(self, sizes: dict[str, int]) -> None:
        """Find pages and nested volumes; only members within their own limits count towards the archive's."""
        within = {name: size for name, size in sizes.items() if not self._is_beyond(name)}
        self._select(sizes, within)

    def _is_beyond(self, name: str) -> bool:
        try:
            self._check(name)
        except Unreadable:
            return True
        return False

    def _check(self, name: str) -> Entry:
        """Return a member's entry, or raise `Unreadable` where it must not be read."""
        if name not in self._entries:
            raise Unreadable(ABSENT, "missing")
        entry = self._entries[name]
        if stat.S_ISLNK(entry.mode):
            raise Unreadable(LINK, "link")
        if entry.flags & _ENCRYPTED:
            raise Unreadable(ENCRYPTED)
        check_bytes(entry.size, entry.packed, self.limits, "volume" if is_volume(name) else "member")
        return entry

    def _blocks(self, name: str) -> Iterator[bytes]:
        """Yield a member's bytes, checked by the archive's checksum."""
        entry = self._check(name)
        if entry.method not in _METHODS:
            method = _OTHER_METHODS.get(entry.method, f"method {entry.method}")
            raise Unreadable(
                f"compressed with {method}, which is not supported; expected {', '.join(_METHODS.values())}"
            )
        if entry.place < 0:
            raise Unreadable(
                "starts before the archive's first byte; expected all parts of a split archive in one file"
            )
        yield from check_size(self._unpacked(entry, name), entry.size)

    def _unpacked(self, entry: Entry, name: str) -> Iterator[bytes]:
        self._archive.seek(entry.place)
        head = self._archive.read(30)
        if head[:4] != _LOCAL or len(head) < 30:
            raise Unreadable("damaged in the archive (no member where the directory names it)")
        self._archive.seek(entry.place + 30 + sum(struct.unpack("<HH", head[26:30])))
        info = zipfile.ZipInfo()
        info.compress_type, info.CRC = entry.method, entry.checksum
        info.compress_size, info.file_size = entry.packed, entry.size
        info.filename = name
        with zipfile.ZipExtFile(self._archive, "r", info) as file:
            yield from blocks_of(file)


def is_zip(head: bytes, content_end: bytes) -> bool:
    """Return whether a file is a ZIP archive, by its first and last bytes: it may follow a self-extracting program."""
    return head.startswith((_LOCAL, _END)) or head[4:8] == _LOCAL or _END in content_end
