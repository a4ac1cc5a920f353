"""A cache by content: one file an entry, named by the hash of all that decides it, so that a hit is never stale.

It lies beside the LoRAs' store and outlives failed jobs: Snakemake deletes a failed job's declared outputs, but an
entry is undeclared and written as soon as it is computed.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from egara.io.atomic import replacing
from egara.io.checksums import check, checksum, in_order, known_of
from egara.io.errors import EgaraError
from egara.io.progress import logger
from egara.loras.store import stored


def write_tensors(path: Path, arrays: dict[str, np.ndarray], note: dict[str, str]) -> None:
    """Write a safetensors file in one step, with checksums; a full disk is one line and leaves nothing."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    note = note | in_order({name: checksum(array) for name, array in arrays.items()})
    try:
        with replacing(path) as part:
            save_file(arrays, part, metadata=note)
    except SafetensorError as error:
        raise EgaraError(f"{path}: cannot be written ({error})") from error


def write_entry(cache: Path, key: str, arrays: dict[str, np.ndarray], inputs: dict) -> None:
    """Write one entry; its header holds its key and what was hashed."""
    write_tensors(stored(cache, key), arrays, {"key": key, "inputs": json.dumps(inputs, sort_keys=True)})


def read_entry(cache: Path, key: str) -> dict[str, np.ndarray]:
    """Read one entry; a file that is not as it was written, or that holds another key, is refused."""
    with _opened(cache, key) as file:
        try:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (TypeError, ValueError, KeyError, AttributeError) as error:  # a type that NumPy lacks
            raise EgaraError(f"{stored(cache, key)}: not a whole cache entry ({error})") from error
        known = known_of(arrays, file.metadata())
        for name, array in arrays.items():
            check(stored(cache, key), name, array, known)
    return arrays


def lacking(cache: Path, keys: Iterable[str]) -> list[str]:
    """Return the keys without a whole entry, each once and in order; a spoiled one is named, and computed again."""
    missing = []
    for key in dict.fromkeys(keys):
        if not stored(cache, key).is_file():
            missing.append(key)
            continue
        try:
            read_entry(cache, key)
        except EgaraError as error:
            logger("loras.cache").warning("%s; it is computed anew", error)
            missing.append(key)
    return missing


def _opened(cache: Path, key: str) -> "object":
    from safetensors import SafetensorError, safe_open

    path = stored(cache, key)
    try:
        file = safe_open(path, framework="np")
    except (SafetensorError, OSError) as error:
        raise EgaraError(f"{path}: not a whole cache entry ({error})") from error
    if (file.metadata() or {}).get("key") != key:
        raise EgaraError(f"{path}: holds another entry than its name says")
    return file


def prune(cache: Path, gathered: Iterable[Path]) -> tuple[int, int]:
    """Remove entries that none of the gathered files lists, and leavings of killed jobs; no job may run meanwhile.

    Returns
    -------
    How many files and bytes went.
    """
    from safetensors import SafetensorError, safe_open

    kept = set()
    for path in gathered:
        try:
            with safe_open(path, framework="np") as file:
                note = file.metadata() or {}
            kept |= {key for _, _, key in json.loads(note.get("faces", "[]"))}
            kept |= set(json.loads(note.get("captions", "{}")).values())
        except (SafetensorError, OSError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise EgaraError(f"{path}: not a whole file ({error}); delete it and run again") from error
    count = freed = 0
    for path in sorted(cache.glob("??/*.safetensors")):
        if path.stem not in kept:
            size = path.stat().st_size
            path.unlink()
            count, freed = count + 1, freed + size
    return count, freed
