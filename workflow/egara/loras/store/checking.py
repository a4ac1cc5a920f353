"""Checks that a stored file is what its name says: the hash of all that decided it, which its header holds."""

from collections.abc import Callable, Iterator
from pathlib import Path

from egara.io.errors import EgaraError
from egara.io.tensors import open_tensors
from egara.loras.encoding import cache
from egara.loras.files import read_layout, read_lora
from egara.loras.store import content_key

STORED_AS = {"F32": "float32", "F16": "float16"}
RESULTS = ("loss",)  # keys of a header that are results and not inputs


def key_of(path: Path) -> str:
    """Return the key of a LoRA by its own header.

    Raises
    ------
    EgaraError : the file is corrupt, or Egara did not train it.
    """
    header = read_layout(path).header
    if "images" not in header:
        raise EgaraError(f"{path}: does not say how it was trained; expected a LoRA that Egara trained")
    with open_tensors(path) as file:
        dtype = file.dtype(file.names[0])
    inputs = {key: value for key, value in header.items() if key not in RESULTS}
    return content_key(inputs | {"save_dtype": STORED_AS.get(dtype, dtype)})


def check_stored(path: Path, key: str) -> None:
    """Check a LoRA's numbers against their checksums, and its header against the key that it is stored under.

    Raises
    ------
    EgaraError : it is corrupt, or another LoRA than its name says.
    """
    read_lora(path)
    if (found := key_of(path)) != key:
        raise EgaraError(f"{path}: holds the LoRA {found[:12]}…; expected {key[:12]}…, as its name says")


def verify(store: Path) -> Iterator[EgaraError | None]:
    """Check every LoRA and every cache entry of a store; yields an error, or None for a good file, one by one."""
    if not store.is_dir():
        raise EgaraError(f"{store}: no such store; expected a folder of LoRAs")
    for path in sorted(store.glob("??/[!.]*.safetensors")):
        yield _error_of(check_stored, path, path.stem)
    for kind in ("latents", "captions"):
        for path in sorted(store.glob(f"{kind}/??/[!.]*.safetensors")):
            yield _error_of(cache.read_entry, store / kind, path.stem)


def _error_of(check: Callable, *arguments: Path | str) -> EgaraError | None:
    try:
        check(*arguments)
    except EgaraError as error:
        return error
    return None
