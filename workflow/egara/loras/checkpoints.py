"""Checkpoints of packs: a killed job goes on from its last one, bit for bit as if it had not been killed.

A checkpoint lies in the store's `unfinished/` under a name made of its adapters' keys, is replaced in one step, and
goes when its adapters are finished.
"""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from egara.errors import EgaraError
from egara.files import replacing
from egara.loras.training import Pack

if TYPE_CHECKING:
    pass

TENSORS = ("values", "first", "second")
ARRAYS = ("losses", "stopped", "factors", "calm")


def checkpoint_path(store: Path, keys: list[str]) -> Path:
    """Return where the checkpoint of the pack of these adapters, by key in store, lies or would lie."""
    return store / "unfinished" / f"{hashlib.sha256(' '.join(keys).encode()).hexdigest()}.safetensors"


def save_checkpoint(path: Path, pack: Pack, keys: list[str]) -> None:
    """Write a pack as it stands; `keys` name its adapters in the store."""
    import torch
    from safetensors.torch import save_file

    tensors = {name: getattr(pack, name).cpu().contiguous() for name in TENSORS}
    tensors |= {name: torch.from_numpy(getattr(pack, name).copy()) for name in ARRAYS}
    with replacing(path) as part:
        save_file(tensors, part, metadata={"keys": json.dumps(keys), "step": str(pack.step)})


def find_checkpoints(store: Path, keys: list[str]) -> list[tuple[Path, list[str]]]:
    """Return the checkpoints whose adapters all stand in `keys`, with their adapters in order."""
    found, wanted = [], set(keys)
    for path in sorted((store / "unfinished").glob("*.safetensors")):
        inside = _open(path)[0]
        if wanted.issuperset(inside):
            wanted -= set(inside)
            found.append((path, inside))
    return found


def load_checkpoint(path: Path, pack: Pack) -> None:
    """Put a checkpoint into a freshly made pack of the same adapters."""
    _, step, tensors = _open(path, whole=True)
    for name in TENSORS:
        getattr(pack, name).copy_(tensors[name])
    for name in ARRAYS:
        getattr(pack, name)[...] = tensors[name].numpy()
    pack.step = step


def _open(path: Path, whole: bool = False) -> tuple[list[str], int, dict]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            note = file.metadata()
            tensors = {name: file.get_tensor(name) for name in TENSORS + ARRAYS} if whole else {}
        return json.loads(note["keys"]), int(note["step"]), tensors
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise EgaraError(f"{path}: not a whole checkpoint ({error}); delete it and run again") from error
