"""Readers of NumPy's own files, .npy and .npz, with one clear error each."""

from pathlib import Path
from typing import TYPE_CHECKING

from egara.io.errors import EgaraError

if TYPE_CHECKING:
    import numpy as np


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
        raise EgaraError(f"{path}: not a NumPy matrix (an archive, or not numeric)")
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
