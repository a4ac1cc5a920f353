"""Hostile volumes as real files, and proof that reading one wrote nothing."""

import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from fuzz.guard import writing_only

from egara.io.errors import EgaraError


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Return every file and folder below `folder` with its size and time of writing, links unfollowed."""
    found = {}
    for path in sorted(folder.rglob("*")):
        state = path.lstat()
        found[path.relative_to(folder).as_posix()] = state.st_size, state.st_mtime_ns
    return found


@contextmanager
def refusing(folder: Path, words: str) -> Iterator[None]:
    """Expect one line that matches `words`, and that nothing anywhere was written, least of all in `folder`."""
    before = snapshot(folder)
    with writing_only(), pytest.raises(EgaraError, match=words) as caught:
        yield
    assert len(str(caught.value).splitlines()) == 1
    assert snapshot(folder) == before


def zip_link(name: str, target: str) -> zipfile.ZipInfo:
    """Return the entry of a symbolic link, as Info-ZIP stores it; `target` is its content."""
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, 0o120777 << 16
    return info


def write_zip_links(path: Path, members: dict[str, bytes], links: dict[str, str]) -> None:
    """Write a ZIP archive with files and symbolic links (name → target)."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        for name, target in links.items():
            archive.writestr(zip_link(name, target), target)


def write_tar_links(
    path: Path, members: dict[str, bytes], links: dict[str, str], kind: bytes = tarfile.SYMTYPE
) -> None:
    """Write a tar archive with files and links (name → target), symbolic or hard, or devices."""
    with tarfile.open(path, "w") as archive:
        for name, target in links.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, BytesIO(data))


def chunk(name: bytes, data: bytes) -> bytes:
    """Return one chunk of a PNG file."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, rows: bytes = b"", colour: int = 0, depth: int = 8, interlaced: int = 0) -> bytes:
    """Return a PNG file that states a size and holds these rows, whatever they are."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))
    palette = chunk(b"PLTE", bytes(3 * 2**depth)) if colour == 3 else b""
    return b"\x89PNG\r\n\x1a\n" + head + palette + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def container(header: str | bytes, body: bytes = b"", stated: int | None = None) -> bytes:
    """Return a safetensors file with this header, whatever it is, and perhaps a false length of it."""
    header = header if isinstance(header, bytes) else header.encode()
    length = len(header) if stated is None else stated
    return length.to_bytes(8, "little") + header + body
