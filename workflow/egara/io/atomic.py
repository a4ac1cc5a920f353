"""Atomic writes: a file or folder is written under a temporary name next to its target and renamed when it is whole."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from egara.io.errors import EgaraError


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`; rename it to `path` when the block ends without an error, else remove it.

    The temporary name keeps the suffix, because many writers choose the format by it.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem[:40]}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise _cannot_write(path, error) from error
    part = Path(name)
    try:
        yield part
        part.chmod(0o666 & ~_umask())
        os.replace(part, path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """Yield a new folder next to `path`; give it that name when the block ends without an error, else remove it.

    An older folder of that name is replaced as a whole, so that no file of an earlier run is left in it.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise EgaraError(f"{path}: is a file; expected a folder, or nothing")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{path.name[:40]}.", dir=path.parent))
    except OSError as error:
        raise _cannot_write(path, error) from error
    older = part.with_name(f"{part.name}.older")
    try:
        yield part
        part.chmod(0o777 & ~_umask())
        if path.is_dir():
            path.rename(older)
        part.rename(path)
    except OSError as error:
        if older.is_dir() and not path.exists():
            older.rename(path)
        raise _cannot_write(path, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(older, ignore_errors=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` in one step."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def _cannot_write(path: Path, error: OSError) -> EgaraError:
    return EgaraError(f"{path}: cannot be written ({error.strerror or error})")


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask
