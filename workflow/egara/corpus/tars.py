"""CBT: a tar, plain or packed with gzip, bzip2 or xz."""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from egara.corpus.archives import ABSENT, LINK, Source, blocks_of, whole
from egara.corpus.limits import MEBIBYTE, Unreadable, check_bytes
from egara.corpus.names import decode_name, distinct, is_volume, label
from egara.io.errors import EgaraError
from egara.skipped import skipped

PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\0": "lzma"}  # first bytes → module that unpacks them


@dataclass(frozen=True)
class _Behind:
    """Where a list goes on behind its end, after how many members, and whether a damaged header ended it."""

    place: int
    members: int
    damaged: bool


class Tar(Source):
    """CBT or tar; one that is packed is unpacked to a temporary file first, because pages are read in any order."""

    kind = "CBT"
    _behind: _Behind | None = None

    def _open(self) -> None:
        with open(self.file, "rb") as file:
            head = file.read(6)
        file = next((self._unpack(module) for start, module in PACKED.items() if head.startswith(start)), self.file)
        members: list[tarfile.TarInfo] = []
        try:
            self._archive = tarfile.TarFile(file)
            while (info := self._archive.next()) or self._goes_on(len(members)):
                if info is not None:
                    self.opening.budget.spend(1, 0)
                    members.append(info)
            # Behind zeros, where an archive ends, may stand anything: it counts where there are members in it.
            if self._behind and (self._behind.damaged or len(members) > self._behind.members):
                how = "is damaged before" if self._behind.damaged else "ends, and goes on at"
                reason = f"archive {how} byte {self._behind.place}; members may be missing, those behind are read"
                self.skipped.append(skipped(self.path, "", "unreadable", reason))
        except EgaraError:
            raise
        except Exception as error:  # a damaged header raises whatever its arithmetic meets first
            if not any(info.isfile() for info in members):
                raise EgaraError(
                    f"{self.path}: tar archive cut short or damaged ({error}); expected a whole one"
                ) from error
            reason = f"archive cut short or damaged ({error}): what came after member {len(members)} is missing"
            self.skipped.append(skipped(self.path, "", "unreadable", reason))
        self._infos: dict[str, tarfile.TarInfo] = {}
        known: dict[str, str] = {}
        for info in members:
            if info.isdir():
                continue
            if info.name in known:
                name = known[info.name]
                reason = f"{name} is there more than once; the last one is taken"
                self.skipped.append(skipped(self.path, name, "duplicate", reason))
            else:
                text = decode_name(info.name.encode("utf-8", "surrogateescape"), utf8=True)
                name = known[info.name] = distinct(label(text), self._infos)
            self._infos[name] = info
        self._select(self._infos, {name: info.size for name, info in self._infos.items() if not self._is_beyond(name)})

    def _goes_on(self, members: int) -> bool:
        """Tell whether bytes follow where tarfile ends its list, at a damaged header or at zeros, and go there."""
        if self._behind:
            return False
        end = place = self._archive.offset
        file = self._archive.fileobj
        file.seek(place)
        while block := file.read(MEBIBYTE):
            rest = block.lstrip(b"\0")
            place += len(block) - len(rest)
            if rest:
                place -= place % tarfile.BLOCKSIZE
                self._behind = _Behind(place, members, damaged=place == end)
                self._archive.offset = place
                self._archive.ignore_zeros = True  # tarfile then looks for the next header that is whole
                return True
        if place == end:
            self.warnings.append(f"{self.path}: ends without an end marker; perhaps it was cut there")
        return False

    def _unpack(self, module: str) -> Path:
        """Unpack the whole tar to a temporary file, as far as a bomb of its size may go."""
        import importlib

        packed, size = self.file.stat().st_size, 0
        path = self._temporary() / "tar"
        try:
            with importlib.import_module(module).open(self.file) as packed_file, open(path, "wb") as file:
                while block := packed_file.read(MEBIBYTE):
                    size += len(block)
                    if size > self.limits.ratio_from * MEBIBYTE:
                        check_bytes(size, packed, self.limits, "volume")
                    file.write(block)
        except Unreadable as error:
            raise EgaraError(f"{self.path}: {error}") from error
        except Exception as error:  # damaged streams: an error of each module's own
            if not size:
                raise EgaraError(
                    f"{self.path}: packed tar cut short or damaged ({error}); expected a whole one"
                ) from error
            reason = f"archive cut short or damaged ({error}): what came after {size} bytes is missing"
            self.skipped.append(skipped(self.path, "", "unreadable", reason))
        return path

    def _is_beyond(self, name: str) -> bool:
        return self._infos[name].size > (self.limits.volume if is_volume(name) else self.limits.member) * MEBIBYTE

    def _blocks(self, name: str) -> Iterator[bytes]:
        if name not in self._infos:
            raise Unreadable(ABSENT, "missing")
        info = self._infos[name]
        if not info.isfile():
            raise Unreadable(LINK, "link")
        check_bytes(info.size, None, self.limits, "volume" if is_volume(name) else "member")
        yield from whole(self._extracted(info), info.size)

    def _extracted(self, info: tarfile.TarInfo) -> Iterator[bytes]:
        with self._archive.extractfile(info) as file:
            yield from blocks_of(file)


def is_tar(file: Path) -> bool:
    """Tell whether a file is a plain tar of the old kind, which no signature marks."""
    try:
        with tarfile.TarFile(file):
            return True
    except Exception:  # damaged headers raise whatever their arithmetic meets first
        return False
