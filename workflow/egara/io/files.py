"""Files that are whole when they exist: written under a temporary name beside the target, then renamed."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from egara.io.errors import EgaraError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` and rename it to `path` when the block ends well; else remove it.

    The temporary name keeps the suffix, because many writers choose the format by it.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem[:40]}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise EgaraError(f"{path}: cannot be written ({error.strerror or error})") from error
    part = Path(name)
    try:
        yield part
        part.chmod(0o666 & ~_umask())
        os.replace(part, path)
    except OSError as error:
        raise EgaraError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """Yield a new folder beside `path` and give it that name when the block ends well; else remove it.

    An older folder of the name is replaced as a whole, so that nothing of an earlier run stays behind.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise EgaraError(f"{path}: is a file; expected a folder, or nothing")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{path.name[:40]}.", dir=path.parent))
    except OSError as error:
        raise EgaraError(f"{path}: cannot be written ({error.strerror or error})") from error
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
        raise EgaraError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(older, ignore_errors=True)


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` in one step."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def write_tsv(path: str | Path, table: "pd.DataFrame") -> None:
    """Write a table as tab-separated values without its index; floats keep nine significant digits."""
    with replacing(path) as part:
        table.to_csv(part, sep="\t", index=False, float_format="%.9g", lineterminator="\n")


def read_tsv(path: str | Path, columns: list[str], text: list[str] | None = None) -> "pd.DataFrame":
    """Read a table of tab-separated values.

    Parameters
    ----------
    path : file to read.
    columns : columns that must be there.
    text : columns to keep as text, so that a work called `001` stays `001`.

    Raises
    ------
    EgaraError : the file is missing or empty, or a column is missing.
    """
    import pandas as pd

    path = Path(path)
    if not path.is_file():
        raise EgaraError(f"{path}: no such file; expected a table with the columns {', '.join(columns)}")
    try:
        header = pd.read_csv(path, sep="\t", nrows=0).columns
        blank = {column: ["", "nan"] for column in header if column not in (text or [])}  # an author may be called nan
        table = pd.read_csv(path, sep="\t", dtype={c: str for c in text or []}, keep_default_na=False, na_values=blank)
    except (ValueError, UnicodeDecodeError) as error:
        raise EgaraError(f"{path}: not a table of tab-separated values ({error})") from error
    if missing := [c for c in columns if c not in table.columns]:
        raise EgaraError(f"{path}: column {', '.join(missing)} is missing; found {', '.join(map(str, table.columns))}")
    return table.fillna({c: "" for c in text or [] if c in table.columns})


def read_array(path: str | Path, mapped: bool = False) -> "np.ndarray":
    """Read a NumPy array (.npy), memory-mapped if wanted.

    Raises
    ------
    EgaraError : no such file, or no array.
    """
    import numpy as np

    try:
        array = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except Exception as error:  # NumPy raises nearly anything at a file that was cut, changed or is something else
        raise EgaraError(f"{path}: not a NumPy matrix ({_reason(error)})") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        raise EgaraError(f"{path}: not a NumPy matrix (an archive, or no numbers)")
    return array


def read_arrays(path: str | Path, what: str) -> "dict[str, np.ndarray]":
    """Read an archive of NumPy arrays (.npz) as a whole; `what` names it in errors.

    Raises
    ------
    EgaraError : no such file, or no archive.
    """
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # as above, and zipfile's and zlib's errors
        raise EgaraError(f"{path}: not a file of {what} ({_reason(error)})") from error
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        raise EgaraError(f"{path}: not a file of {what} (a member is no array)")
    return arrays


def _reason(error: Exception) -> str:
    """Return what the system says, or the kind of error: what parsers say may hold any byte of the file."""
    return getattr(error, "strerror", None) or type(error).__name__


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
