"""A cache by content: one file per entry, named by the hash of all that decides it, so that a hit is never stale.

It is a folder of the LoRA store and survives failed jobs: Snakemake deletes a failed job's declared outputs, but an
entry is not declared, and is written as soon as it is computed.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from egara.io.errors import EgaraError
from egara.io.progress import logger
from egara.io.tensors import open_tensors, write_tensors
from egara.loras.store import stored


def write_entry(cache: Path, key: str, arrays: dict[str, np.ndarray], inputs: dict) -> None:
    """Write one entry; its header holds its key and what was hashed."""
    write_tensors(stored(cache, key), arrays, {"key": key, "inputs": inputs})


def read_entry(cache: Path, key: str) -> dict[str, np.ndarray]:
    """Read one entry; a corrupt file, or one that holds another key, is refused."""
    path = stored(cache, key)
    with open_tensors(path, "a cache entry", "its entry is not used") as file:
        if file.json().get("key") != key:
            raise EgaraError(f"{path}: holds another entry; expected {key[:12]}…, as its name says")
        return file.tensors()


def find_missing(cache: Path, keys: Iterable[str]) -> list[str]:
    """Return the keys without a whole entry, each once and in order; a corrupt entry is named, and computed again."""
    missing = []
    for key in dict.fromkeys(keys):
        if not stored(cache, key).is_file():
            missing.append(key)
            continue
        try:
            read_entry(cache, key)
        except EgaraError as error:
            logger("loras.cache").warning("%s; it is computed again", error)
            missing.append(key)
    return missing
