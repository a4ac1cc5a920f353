"""CBT: a tar, plain or compressed with gzip, bzip2 or xz."""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from egara.corpus.archives import ABSENT, LINK, Source, blocks_of, check_size
from egara.corpus.limits import MEBIBYTE, Unreadable, check_bytes
from egara.corpus.names import decode_name, distinct, is_volume, label
from egara.io.errors import EgaraError
from egara.skipped import skipped

COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\0": "lzma"}  # first bytes → module that decompresses them


@dataclass(frozen=True)
class _Continuation:
    """Where members continue after the end of the list, after how many, and whether a damaged header ended it."""

    place: int
    members: int
    damaged: bool


class Tar(Source):
    """CBT or tar; a compressed one is first decompressed to a temporary file, because pages are read in any order."""

    kind = "CBT"
    _continuation: _Continuation | None = None

    def _open(self) -> None:
        with open(self.file, "rb") as file:
            head = file.read(6)
        file = next((self._unpack(module) for start, module in COMPRESSED.items() if head.startswith(start)), self.file)
        members: list[tarfile.TarInfo] = []
        try:
            self._archive = tarfile.TarFile(file)
            while (info := self._archive.next()) or self._continue(len(members)):
                if info is not None:
                    self.opening.budget.spend(1, 0)
                    members.append(info)
            # Anything may follow the zeros at an archive's end; it counts where it has members.
            if self._continuation and (self._continuation.damaged or len(members) > self._continuation.members):
                how = "is damaged before" if self._continuation.damaged else "ends, but continues at"
                reason = (
                    f"archive {how} byte {self._continuation.place}; members may be missing, those after it are read"
                )
                self.skipped.append(skipped(self.path, "", "unreadable", reason))
        except EgaraError:
            raise
        except Exception as error:  # damaged headers raise errors of many types
            if not any(info.isfile() for info in members):
                raise EgaraError(
                    f"{self.path}: tar archive truncated or damaged ({error}); expected an intact one"
                ) from error
            reason = f"archive truncated or damaged ({error}): everything after member {len(members)} is missing"
            self.skipped.append(skipped(self.path, "", "unreadable", reason))
        self._infos: dict[str, tarfile.TarInfo] = {}
        known: dict[str, str] = {}
        for info in members:
            if info.isdir():
                continue
            if info.name in known:
                name = known[info.name]
                reason = f"{name} occurs more than once; the last one is used"
                self.skipped.append(skipped(self.path, name, "duplicate", reason))
            else:
                text = decode_name(info.name.encode("utf-8", "surrogateescape"), utf8=True)
                name = known[info.name] = distinct(label(text), self._infos)
            self._infos[name] = info
        self._select(self._infos, {name: info.size for name, info in self._infos.items() if not self._is_beyond(name)})

    def _continue(self, members: int) -> bool:
        """Return whether bytes follow where tarfile stops, at a damaged header or at zeros, and move there."""
        if self._continuation:
            return False
        end = place = self._archive.offset
        file = self._archive.fileobj
        file.seek(place)
        while block := file.read(MEBIBYTE):
            rest = block.lstrip(b"\0")
            place += len(block) - len(rest)
            if rest:
                place -= place % tarfile.BLOCKSIZE
                self._continuation = _Continuation(place, members, damaged=place == end)
                self._archive.offset = place
                self._archive.ignore_zeros = True  # tarfile then searches for the next intact header
                return True
        if place == end:
            self.warnings.append(f"{self.path}: has no end marker; it may be truncated")
        return False

    def _unpack(self, module: str) -> Path:
        """Decompress the tar to a temporary file, up to the limits."""
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
        except Exception as error:  # damaged streams raise errors of many types
            if not size:
                raise EgaraError(
                    f"{self.path}: compressed tar truncated or damaged ({error}); expected an intact one"
                ) from error
            reason = f"archive truncated or damaged ({error}): everything after {size} bytes is missing"
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
        yield from check_size(self._extracted(info), info.size)

    def _extracted(self, info: tarfile.TarInfo) -> Iterator[bytes]:
        with self._archive.extractfile(info) as file:
            yield from blocks_of(file)


def is_tar(file: Path) -> bool:
    """Return whether a file is an uncompressed tar in the old format, which has no signature."""
    try:
        with tarfile.TarFile(file):
            return True
    except Exception:  # damaged headers raise errors of many types
        return False
