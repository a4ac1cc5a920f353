"""A checksum of every array of a file, in its header: a bit that flipped on a disk is one line, not another table.

CRC-32 is quicker than disks. Files of other programs have none and are read as they are.
"""

import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from egara.io.errors import EgaraError

KEY = "egara_crc32"  # in the header: CRC-32 of all arrays, in order of name
TEXTS = "egara_crc32_texts"  # and of those of the header's texts that say how to read the numbers
GUARDED = ("egara", "lora_adapter_metadata")  # how their names begin; other programs may add texts of their own


def checksum(values: bytes | np.ndarray) -> str:
    """Return the CRC-32 of an array's bytes, as they are stored, as eight hex digits."""
    data = np.ascontiguousarray(values).data if isinstance(values, np.ndarray) else values
    return f"{zlib.crc32(data):08x}"


def in_order(checksums: Mapping[str, str]) -> dict[str, str]:
    """Return what the header holds of checksums by name."""
    return {KEY: " ".join(checksums[name] for name in sorted(checksums))}


def of_texts(texts: Mapping[str, str]) -> dict[str, str]:
    """Return what the header holds of a checksum of its texts."""
    lines = sorted(f"{key}\0{text}\0" for key, text in texts.items() if key.startswith(GUARDED) and key != TEXTS)
    return {TEXTS: checksum("".join(lines).encode())}


def check_texts(path: Path, texts: Mapping[str, str]) -> None:
    """Compare a header's texts as they were read with what was written; nothing is compared without a checksum.

    Raises
    ------
    EgaraError : the checksum is another one.
    """
    if TEXTS in texts and of_texts(texts)[TEXTS] != texts[TEXTS]:
        raise EgaraError(f"{path}: its header was changed after it was written; expected the file as it was written")


def known_of(names: Iterable[str], texts: Mapping[str, str] | None) -> dict[str, str]:
    """Return the checksums that a header's texts hold, by the names of the file's arrays; none where it has none."""
    return dict(zip(sorted(names), (texts or {}).get(KEY, "").split(), strict=False))


def check(
    path: Path,
    name: str,
    values: np.ndarray,
    known: Mapping[str, str],
    advice: str = "expected the file as it was written",
) -> None:
    """Compare an array as it was read with what was written.

    Parameters
    ----------
    known : what `known_of` returns; where it is empty nothing is compared.
    advice : end of the message.

    Raises
    ------
    EgaraError : the checksum is another one.
    """
    if known and known.get(name) != checksum(values):
        raise EgaraError(f"{path}: numbers of {name} were changed after they were written; {advice}")
