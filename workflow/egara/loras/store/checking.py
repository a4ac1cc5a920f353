"""Is a stored file what its name says? The name is a hash of all that decided it, and the header holds that."""

from collections.abc import Iterator
from pathlib import Path

from egara.io.errors import EgaraError
from egara.loras.encoding import cache
from egara.loras.files import read_layout, read_lora
from egara.loras.files.container import open_container
from egara.loras.store import content_key

KINDS = {"F32": "float32", "F16": "float16"}
RESULTS = ("loss",)  # of a header: what came out, not what went in


def key_of(path: Path) -> str:
    """Return the key of a LoRA by its own header.

    Raises
    ------
    EgaraError : the file is not whole, or was not trained by Egara.
    """
    header = read_layout(path).header
    if "images" not in header or "code" not in header:
        raise EgaraError(f"{path}: does not say how it was trained; expected a LoRA that was trained here")
    with open_container(path) as file:
        kind = file.kind(file.names[0])
    inputs = {key: value for key, value in header.items() if key not in RESULTS}
    return content_key(inputs | {"stored_as": KINDS.get(kind, kind)})


def check_stored(path: Path, key: str) -> None:
    """Check a LoRA's numbers against their checksums, and its header against the key that it is stored under.

    Raises
    ------
    EgaraError : it is not as it was written, or another LoRA than its name says.
    """
    read_lora(path)
    if (found := key_of(path)) != key:
        raise EgaraError(f"{path}: holds the LoRA {found[:12]}…; expected {key[:12]}…, as its name says")


def verify(store: Path) -> Iterator[EgaraError | None]:
    """Check every LoRA and every cache entry of a store; yields a mistake, or None for a good file, one by one."""
    if not store.is_dir():
        raise EgaraError(f"{store}: no such store; expected a folder of LoRAs")
    for path in sorted(store.glob("??/[!.]*.safetensors")):
        yield _mistake(check_stored, path, path.stem)
    for kind in ("latents", "captions"):
        for path in sorted(store.glob(f"{kind}/??/[!.]*.safetensors")):
            yield _mistake(cache.read_entry, store / kind, path.stem)


def _mistake(check: "object", *arguments: "object") -> EgaraError | None:
    try:
        check(*arguments)
    except EgaraError as error:
        return error
    return None
