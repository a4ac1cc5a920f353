"""safetensors files: every one that Egara writes or reads goes through this module.

Format: eight bytes of length, a JSON header, the tensors' bytes, all little-endian. safetensors' own writer keeps the
header's texts in an order that changes from process to process; here the same content always gives the same bytes.

The header holds a CRC-32 of each tensor and one of the texts that say how to read the numbers, so that a bit that
flipped on a disk is an error and not another result. CRC-32 is quicker than disks. Files of other programs have no
checksums and are read as they are.
"""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np

from egara.io.atomic import replacing
from egara.io.errors import EgaraError
from egara.io.json import parse_json

NOTE = "egara"  # the header's text that holds what Egara says of a file, a JSON object
TENSORS_CRC = "egara_crc32"  # the header's text of all tensors' CRC-32, in order of name
TEXTS_CRC = "egara_crc32_texts"  # and of the CRC-32 of the texts below; other programs may add texts of their own
CHECKED_TEXTS = ("egara", "lora_adapter_metadata")  # how their names begin
# NumPy has no bfloat16: its values are given and stored as the upper halves of float32, uint16.
BFLOAT16 = "BF16"
DTYPES = {
    **{"f8": "F64", "f4": "F32", "f2": "F16", "b1": "BOOL"},
    **{"i8": "I64", "i4": "I32", "i2": "I16", "i1": "I8", "u8": "U64", "u4": "U32", "u2": "U16", "u1": "U8"},
}
# First bytes of a zip archive, which PyTorch writes, and of a pickle of protocol 2 to 5.
_PICKLES = (b"PK\x03\x04", *(bytes([0x80, protocol]) for protocol in range(2, 6)))


class NoSuchFile(EgaraError):
    """The file does not exist; another job may have removed it."""


class TensorFile:
    """An open safetensors file.

    Attributes
    ----------
    metadata : the header's texts by name, ours or another program's.
    names : names of the tensors, sorted.
    """

    def __init__(self, path: Path, file, advice: str) -> None:
        self.path, self._file, self._advice = path, file, advice
        self.metadata: dict[str, str] = file.metadata() or {}
        self.names: list[str] = sorted(file.keys())
        if TEXTS_CRC in self.metadata and _texts_crc(self.metadata) != self.metadata[TEXTS_CRC]:
            raise EgaraError(f"{path}: its header was changed after it was written; {advice}")
        self._checksums = dict(zip(self.names, self.metadata.get(TENSORS_CRC, "").split(), strict=False))
        self._header  # noqa: B018 - a name that comes twice is refused at once

    def dtype(self, name: str) -> str:
        """Return a tensor's type as safetensors calls it, such as `F32`."""
        return self._file.get_slice(name).get_dtype()

    def shape(self, name: str) -> list[int]:
        """Return a tensor's shape."""
        return self._file.get_slice(name).get_shape()

    def tensor(self, name: str) -> np.ndarray:
        """Return a tensor; bfloat16, which NumPy lacks, as float32, of which it is the upper half.

        Raises
        ------
        EgaraError : no such tensor, a type that is not read here, or numbers that do not match their checksum.
        """
        if name not in self.names:
            raise EgaraError(f"{self.path}: holds no {name}; {self._advice}")
        dtype = self.dtype(name)
        if dtype == BFLOAT16:
            values = self._upper_halves(name)
        elif dtype in DTYPES.values():
            values = self._file.get_tensor(name)
        else:
            raise EgaraError(f"{self.path}: {name} is stored as {dtype}; expected one of {', '.join(DTYPES.values())}")
        if self._checksums and self._checksums.get(name) != checksum(values):
            raise EgaraError(f"{self.path}: numbers of {name} were changed after they were written; {self._advice}")
        return (values.astype(np.uint32) << 16).view(np.float32) if dtype == BFLOAT16 else values

    def tensors(self, names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
        """Return tensors by name, all of them by default."""
        return {name: self.tensor(name) for name in (self.names if names is None else names)}

    def json(self, key: str = NOTE) -> dict:
        """Return a JSON object that the header keeps as text; empty where there is no such text."""
        return parse_json(self.metadata.get(key) or "{}", f"{self.path}: {key} in the header", "a JSON object")

    def _upper_halves(self, name: str) -> np.ndarray:
        entry = self._header[name]
        begin, end = entry["data_offsets"]
        values = np.fromfile(self.path, "<u2", (end - begin) // 2, offset=self._start + begin)
        return values.reshape(entry["shape"])

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
            raise EgaraError(f"{self.path}: {twice} is twice in the header; expected each name once")
        return found

    @cached_property
    def _start(self) -> int:
        with self.path.open("rb") as raw:
            return 8 + int.from_bytes(raw.read(8), "little")


@contextmanager
def open_tensors(
    path: str | Path, expected: str = "a safetensors file", advice: str = "expected the file as it was written"
) -> Iterator[TensorFile]:
    """Open a safetensors file for reading; no tensor is read yet.

    Parameters
    ----------
    path : the file.
    expected : what it should be, for the message where there is none.
    advice : what to do about a corrupt file; ends the message.

    Raises
    ------
    NoSuchFile : the file is missing.
    EgaraError : a pickle by name or content, or a file that is cut short or corrupt.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise NoSuchFile(f"{path}: no such file; expected {expected}")
    if path.suffix.lower() != ".safetensors":
        raise EgaraError(
            f"{path}: tensors are read from .safetensors only; a pickle (.pt, .ckpt, .bin, .pth) can run code"
        )
    try:
        opened = safe_open(str(path), framework="np")
    except FileNotFoundError as error:
        raise NoSuchFile(f"{path}: no such file; expected {expected}") from error
    except (SafetensorError, OSError) as error:
        if _first_bytes(path).startswith(_PICKLES):
            raise EgaraError(
                f"{path}: a pickle or zip archive by its content, which can run code; expected safetensors"
            ) from error
        reason = str(error).removeprefix("Error while deserializing header: ")
        raise EgaraError(f"{path}: not a whole safetensors file ({reason}); {advice}") from error
    with opened as file:
        yield TensorFile(path, file, advice)


def write_tensors(
    path: str | Path,
    tensors: Mapping[str, np.ndarray],
    note: dict | None = None,
    texts: Mapping[str, str] | None = None,
    bfloat16: Iterable[str] = (),
) -> None:
    """Write a safetensors file with checksums, in one step; the same content gives the same bytes.

    Parameters
    ----------
    path : the file.
    tensors : arrays of booleans, integers or floats, by name.
    note : what `TensorFile.json` returns; any JSON object.
    texts : more texts for the header.
    bfloat16 : names of the tensors that are given as the upper halves of float32, uint16.

    Raises
    ------
    EgaraError : the file cannot be written.
    """
    halves = set(bfloat16)
    stored = {name: np.asarray(array, np.asarray(array).dtype.newbyteorder("<")) for name, array in tensors.items()}
    header: dict[str, dict] = {"__metadata__": {}}
    offset = 0
    # Wider types first, so that every tensor is aligned to its type.
    for name in sorted(stored, key=lambda name: (-stored[name].itemsize, name)):
        array = stored[name]
        dtype = BFLOAT16 if name in halves else DTYPES[array.dtype.str[1:]]
        header[name] = {
            "dtype": dtype,
            "shape": list(array.shape),
            "data_offsets": [offset, offset := offset + array.nbytes],
        }
    crc = {TENSORS_CRC: " ".join(checksum(stored[name]) for name in sorted(stored))}
    written = {key: text for key, text in (texts or {}).items() if key != TEXTS_CRC} | crc
    if note:
        written[NOTE] = json.dumps(note, sort_keys=True, ensure_ascii=False)
    header["__metadata__"] = dict(sorted((written | {TEXTS_CRC: _texts_crc(written)}).items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with replacing(path) as part, part.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in list(header)[1:]:
            file.write(np.ascontiguousarray(stored[name]).data)


def checksum(values: bytes | np.ndarray) -> str:
    """Return the CRC-32 of an array's bytes, as they are stored, as eight hex digits."""
    data = np.ascontiguousarray(values).data if isinstance(values, np.ndarray) else values
    return f"{zlib.crc32(data):08x}"


def _texts_crc(texts: Mapping[str, str]) -> str:
    checked = sorted(key for key in texts if key.startswith(CHECKED_TEXTS) and key != TEXTS_CRC)
    return checksum("".join(f"{key}\0{texts[key]}\0" for key in checked).encode())


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(4)
    except OSError:
        return b""
