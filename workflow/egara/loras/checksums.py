"""A checksum of every array of a file, in its header: a bit that flipped on a disk is one line, not another table.

CRC-32 is quicker than disks. Files of other programs have none and are read as they are.
"""

import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from egara.errors import EgaraError

KEY = "egara_crc32"  # in the header: CRC-32 of all arrays, in order of name


def checksum(values: bytes | np.ndarray) -> str:
    """Return the CRC-32 of an array's bytes, as they are stored, as eight hex digits."""
    data = np.ascontiguousarray(values).data if isinstance(values, np.ndarray) else values
    return f"{zlib.crc32(data):08x}"


def in_order(checksums: Mapping[str, str]) -> dict[str, str]:
    """Return what the header holds of checksums by name."""
    return {KEY: " ".join(checksums[name] for name in sorted(checksums))}


def check(
    path: Path,
    name: str,
    values: np.ndarray,
    names: list[str],
    header: Mapping[str, str] | None,
    advice: str = "expected the file as it was written",
) -> None:
    """Compare an array as it was read with what was written.

    Parameters
    ----------
    names : all arrays of the file.
    header : the file's texts; without checksums among them nothing is compared.
    advice : end of the message.

    Raises
    ------
    EgaraError : the checksum is another one.
    """
    known = (header or {}).get(KEY, "").split()
    if known and dict(zip(sorted(names), known, strict=False)).get(name) != checksum(values):
        raise EgaraError(f"{path}: numbers of {name} were changed after they were written; {advice}")
