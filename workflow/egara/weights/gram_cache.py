"""A cache of Gram matrices: an added LoRA adds its row, and no other inner product is computed again.

Its files are in the LoRA store, one per list of LoRAs and representation; the newest few of each representation are
kept. A LoRA is identified by its file's header (settings, images and set that it was trained on), size and
modification time, so that a file that replaces another is a new LoRA.
"""

import contextlib
import hashlib
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from egara.fingerprint import fingerprint
from egara.io.errors import EgaraError
from egara.io.progress import logger
from egara.io.tensors import NoSuchFile, TensorFile, open_tensors, write_tensors

T = TypeVar("T")

FILES_KEPT = 8  # per representation: as many cells may grow at once
ADVICE = "its inner products are computed again"


class CachedGram(NamedTuple):
    """Inner products of LoRAs.

    Attributes
    ----------
    ids : identities of the LoRAs, as `identify` returns them.
    gram : of shape (n_loras, n_loras) or (n_layers, n_loras, n_loras).
    vectors : of shape (n_loras, n_features), where the representation has vectors.
    """

    ids: list[str]
    gram: np.ndarray
    vectors: np.ndarray | None = None


def identify(path: str | Path) -> str:
    """Return the identity of a LoRA's file, 64 hex digits, from its header, size and modification time."""
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
    """Return the folder of a representation's files; another version of the code has another folder."""
    return cache / f"{representation}-{fingerprint('egara.weights.representations')[:16]}"


def load_gram(cache: Path, representation: str, ids: list[str]) -> CachedGram | None:
    """Return the cached Gram matrix that shares most LoRAs with `ids`, or None; a corrupt file is skipped."""
    wanted, best, most = set(ids), None, 0
    for path in sorted(folder_of(cache, representation).glob("[!.]*.safetensors")):
        shared = len(wanted & set(_read(path, _ids) or []))
        if shared > most:
            best, most = path, shared
    return _read(best, _cached) if best is not None else None


def save_gram(cache: Path, representation: str, cached: CachedGram) -> None:
    """Write a Gram matrix, and remove the oldest files beyond `FILES_KEPT`."""
    folder = folder_of(cache, representation)
    arrays = {"gram": cached.gram} | ({} if cached.vectors is None else {"vectors": cached.vectors})
    name = hashlib.sha256(" ".join(cached.ids).encode()).hexdigest()
    write_tensors(folder / f"{name}.safetensors", arrays, {"ids": cached.ids})
    files = []
    for path in folder.glob("[!.]*.safetensors"):
        with contextlib.suppress(FileNotFoundError):  # another job may have removed it
            files.append((path.stat().st_mtime_ns, path))
    for _, path in sorted(files)[:-FILES_KEPT]:
        path.unlink(missing_ok=True)


def _read(path: Path, read: Callable[[TensorFile], T]) -> T | None:
    """Return what `read` returns; None where the file was removed by another job, or is corrupt, with a warning."""
    try:
        with open_tensors(path, "cached inner products", ADVICE) as file:
            return read(file)
    except NoSuchFile:
        return None
    except EgaraError as error:
        logger("weights").warning("%s", error)
        return None


def _ids(file: TensorFile) -> list[str]:
    ids = file.json().get("ids")
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise EgaraError(f"{file.path}: does not say whose inner products it holds; {ADVICE}")
    return ids


def _cached(file: TensorFile) -> CachedGram:
    ids, gram = _ids(file), file.tensor("gram")
    vectors = file.tensor("vectors") if "vectors" in file.names else None
    if gram.shape[-2:] != (len(ids), len(ids)) or (vectors is not None and len(vectors) != len(ids)):
        raise EgaraError(f"{file.path}: inner products of shape {gram.shape} for {len(ids)} LoRAs; {ADVICE}")
    return CachedGram(ids, gram, vectors)
