"""Inner products that are known already: LoRAs that are added bring their own rows and recompute no other.

A small cache beside the LoRAs' store, one file a list of LoRAs and representation, the newest few of each kept. A LoRA
is known by its file's header (settings, images and set that it was trained on), size and time of writing, so that a
file put in another's place is a new LoRA.
"""

import contextlib
import hashlib
import json
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from egara.fingerprint import fingerprint
from egara.io.errors import EgaraError
from egara.io.progress import logger
from egara.loras.encoding.cache import write_tensors

KEPT = 8  # files a representation: as many cells may grow side by side


class Known(NamedTuple):
    """LoRAs by identity, their inner products, (n, n) or (layers, n, n), and vectors (n, d) where there are some."""

    ids: list[str]
    gram: np.ndarray
    vectors: np.ndarray | None = None


def identify(path: str | Path) -> str:
    """Return what a LoRA's file is known by, 64 hex digits, from its header, size and time of writing."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(8)
            size = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
            state = path.stat()
            head += file.read(min(size, state.st_size))
    except OSError as error:
        raise EgaraError(f"{path}: cannot be read ({error.strerror or error})") from error
    return hashlib.sha256(head + f"{state.st_size} {state.st_mtime_ns}".encode()).hexdigest()


def folder_of(cache: Path, representation: str) -> Path:
    """Return where products of a representation lie; another version of the code has another folder."""
    return cache / f"{representation}-{fingerprint('egara.weights.representations')[:16]}"


def recall(cache: Path, representation: str, ids: list[str]) -> Known | None:
    """Return what is known of most of the LoRAs `ids`, or nothing; a spoiled file is passed over with a warning."""
    wanted, best, most = set(ids), None, 0
    for path in sorted(folder_of(cache, representation).glob("[!.]*.safetensors")):
        shared = len(wanted & set(_read_ids(path)))
        if shared > most:
            best, most = path, shared
    return _read(best) if best is not None else None


def remember(cache: Path, representation: str, known: Known) -> None:
    """Write what is known now, and drop the oldest files beyond `KEPT`."""
    folder = folder_of(cache, representation)
    arrays = {"gram": known.gram} | ({} if known.vectors is None else {"vectors": known.vectors})
    note = {"ids": json.dumps(known.ids), "hash": _hash(arrays)}
    name = hashlib.sha256(" ".join(known.ids).encode()).hexdigest()
    write_tensors(folder / f"{name}.safetensors", arrays, note)
    files = []
    for path in folder.glob("[!.]*.safetensors"):
        with contextlib.suppress(FileNotFoundError):  # another job may have dropped it
            files.append((path.stat().st_mtime_ns, path))
    for _, path in sorted(files)[:-KEPT]:
        path.unlink(missing_ok=True)


def _hash(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()


def _read_ids(path: Path) -> list[str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            return json.loads(file.metadata()["ids"])
    except FileNotFoundError:
        return []
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        logger("weights").warning("%s: not whole, its products are computed anew (%s)", path, error)
        return []


def _read(path: Path) -> Known | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            note = file.metadata()
        known = Known(json.loads(note["ids"]), arrays["gram"], arrays.get("vectors"))
        if note["hash"] != _hash(arrays) or known.gram.shape[-2:] != (len(known.ids),) * 2:
            raise ValueError("its bytes were changed")
    except FileNotFoundError:
        return None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        logger("weights").warning("%s: not whole, its products are computed anew (%s)", path, error)
        return None
    return known
