"""The safetensors container: opened with its mistakes told apart, and written in one order.

safetensors' own writer keeps the header's texts in an order that changes from process to process; here the same content
always gives the same bytes. Format: eight bytes of length, a JSON header, the tensors' bytes, all little-endian.
Tensors are checked by `egara.io.checksums` when they are read.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np

from egara.io.atomic import replacing
from egara.io.checksums import check, check_texts, checksum, in_order, known_of, of_texts
from egara.io.errors import EgaraError

TYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
AGAIN = "where it is a result, delete it and run again"
# First bytes of a zip archive, which PyTorch writes, and of a pickle of protocol 2 to 5.
_PICKLES = (b"PK\x03\x04", *(bytes([0x80, protocol]) for protocol in range(2, 6)))


class Container:
    """An open safetensors file."""

    def __init__(self, path: Path, file) -> None:
        self.path, self._file = path, file
        self.metadata: dict[str, str] = file.metadata() or {}
        self.names: list[str] = sorted(file.keys())
        check_texts(path, self.metadata)
        self._known = known_of(self.names, self.metadata)

    def kind(self, name: str) -> str:
        """Return a tensor's type as the container calls it, such as `F32`."""
        return self._file.get_slice(name).get_dtype()

    def sizes(self, name: str) -> list[int]:
        """Return a tensor's shape."""
        return self._file.get_slice(name).get_shape()

    def tensor(self, name: str) -> np.ndarray:
        """Return a tensor; bfloat16, which NumPy lacks, as float32, of which it is the upper half.

        Raises
        ------
        EgaraError : its checksum is not the one that was written with it.
        """
        if self.kind(name) != "BF16":
            values = self._file.get_tensor(name)
            check(self.path, name, values, self._known, AGAIN)
            return values
        entry = self._header[name]
        begin, end = entry["data_offsets"]
        halves = np.fromfile(self.path, "<u2", (end - begin) // 2, offset=self._start + begin)
        check(self.path, name, halves, self._known, AGAIN)
        return (halves.astype(np.uint32) << 16).view(np.float32).reshape(entry["shape"])

    @cached_property
    def _header(self) -> dict:
        with self.path.open("rb") as raw:
            raw.seek(8)
            return json.loads(raw.read(self._start - 8), object_pairs_hook=self._distinct)

    def _distinct(self, pairs: list[tuple[str, object]]) -> dict:
        """Refuse a name that comes twice: each reader takes another of the two."""
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise EgaraError(f"{self.path}: {twice} stands twice in the header; expected each name once")
        return found

    def check_names(self) -> None:
        """Raise `EgaraError` where a name of the header comes twice, which the library passes over."""
        self._header  # noqa: B018

    @cached_property
    def _start(self) -> int:
        with self.path.open("rb") as raw:
            return 8 + int.from_bytes(raw.read(8), "little")


@contextmanager
def open_container(path: Path) -> Iterator[Container]:
    """Open a safetensors file for reading.

    Raises
    ------
    EgaraError : the file is missing, a pickle by name or content, or not whole.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise EgaraError(f"{path}: no such LoRA file")
    if path.suffix.lower() != ".safetensors":
        raise EgaraError(
            f"{path}: LoRAs are read from .safetensors only; a pickle (.pt, .ckpt, .bin, .pth) can run code"
        )
    try:
        opened = safe_open(str(path), framework="np")
    except (SafetensorError, OSError) as error:
        if _first_bytes(path).startswith(_PICKLES):
            raise EgaraError(
                f"{path}: a pickle or zip archive by its content, which can run code; expected safetensors"
            ) from error
        reason = str(error).removeprefix("Error while deserializing header: ")
        raise EgaraError(f"{path}: not a whole safetensors file ({reason}); {AGAIN}") from error
    with opened as file:
        container = Container(path, file)
        container.check_names()
        yield container


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(4)
    except OSError:
        return b""


def json_of(file: Container, key: str) -> dict:
    """Return a JSON object that the header keeps as text, empty where it is absent."""
    try:
        value = json.loads(file.metadata.get(key) or "{}")
    except (ValueError, RecursionError) as error:
        raise EgaraError(f"{file.path}: {key} in the header is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise EgaraError(f"{file.path}: {key} in the header is not a JSON object")
    return value


def write_container(
    path: Path, tensors: dict[str, np.ndarray], kinds: dict[str, str], metadata: dict[str, str]
) -> None:
    """Write tensors in order of name, in one step.

    Parameters
    ----------
    path : file to write.
    tensors : float32 arrays by name.
    kinds : `float32`, `float16` or `bfloat16` for each of them.
    metadata : texts of the header.

    Raises
    ------
    EgaraError : a value is not finite, or too large for its type; or the file cannot be written.
    """
    header: dict[str, dict] = {"__metadata__": {}}
    chunks, offset, checksums = [], 0, {}
    # Wider types first, so that every tensor is aligned to its type.
    for name in sorted(tensors, key=lambda name: (kinds[name] != "float32", name)):
        chunk = _as_stored(tensors[name], kinds[name])
        if chunk is None:
            raise EgaraError(f"{path}: {name} holds values beyond {kinds[name]}, or not finite; nothing was written")
        end = offset + len(chunk)
        shape = list(tensors[name].shape)
        header[name] = {"dtype": TYPES[kinds[name]], "shape": shape, "data_offsets": [offset, end]}
        chunks.append(chunk)
        checksums[name] = checksum(chunk)
        offset = end
    texts = metadata | in_order(checksums)
    header["__metadata__"] = dict(sorted((texts | of_texts(texts)).items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with replacing(path) as part, part.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.writelines(chunks)


def _as_stored(values: np.ndarray, kind: str) -> bytes | None:
    """Return the bytes of a tensor, None where a value is not finite in its type."""
    if kind == "bfloat16":
        bits = np.ascontiguousarray(values, "<f4").view("<u4")
        # To the nearest, ties to even: half of the dropped part, plus one where the kept part is odd.
        halves = ((bits + (0x7FFF + (bits >> 16 & 1))) >> 16).astype("<u2")
        fits = np.isfinite(values).all() and (halves & 0x7F80 != 0x7F80).all()
        return halves.tobytes() if fits else None
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(values, {"float32": "<f4", "float16": "<f2"}[kind])
    return stored.tobytes() if np.isfinite(stored).all() else None
