"""Checkpoints of packs: a killed job goes on from its last one, bit for bit as if it had not been killed.

A checkpoint lies in the store's `unfinished/` under a name made of its adapters' keys, is replaced in one step, and
goes when its adapters are finished.
"""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.errors import EgaraError
from egara.loras.cache import write_tensors
from egara.loras.training import Frozen, Pack, make_pack

if TYPE_CHECKING:
    from egara.loras.batches import Adapter

TENSORS = ("values", "first", "second")
ARRAYS = ("losses", "stopped", "updates", "factors", "calm")


def checkpoint_path(store: Path, keys: list[str]) -> Path:
    """Return where the checkpoint of the pack of these adapters, by key in store, lies or would lie."""
    return store / "unfinished" / f"{hashlib.sha256(' '.join(keys).encode()).hexdigest()}.safetensors"


def save_checkpoint(path: Path, pack: Pack, keys: list[str]) -> None:
    """Write a pack as it stands; `keys` name its adapters in the store."""
    arrays = {name: getattr(pack, name).cpu().contiguous().numpy() for name in TENSORS}
    arrays |= {name: np.ascontiguousarray(getattr(pack, name)) for name in ARRAYS}
    write_tensors(path, arrays, {"keys": json.dumps(keys), "step": str(pack.step), "width": str(pack.width)})


def find_checkpoints(store: Path) -> list[tuple[Path, list[str]]]:
    """Return the checkpoints in a store, each with its adapters' keys in order."""
    return [(path, _open(path)[0]["keys"]) for path in sorted((store / "unfinished").glob("*.safetensors"))]


def load_checkpoint(path: Path, frozen: Frozen, adapters: "dict[str, Adapter]") -> tuple[list[str], Pack]:
    """Return a checkpoint's keys and pack, without the rows of adapters that are not in `adapters`: finished ones."""
    import torch

    note, arrays = _open(path, whole=True)
    rows = [row for row, key in enumerate(note["keys"]) if key in adapters]
    keys = [note["keys"][row] for row in rows]
    pack = make_pack(frozen, [adapters[key] for key in keys], note["width"])
    for name in TENSORS:
        getattr(pack, name).copy_(torch.from_numpy(arrays[name][rows]))
    for name in ARRAYS:
        getattr(pack, name)[...] = arrays[name][rows]
    pack.step = note["step"]
    return keys, pack


def _open(path: Path, whole: bool = False) -> tuple[dict, dict[str, np.ndarray]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            note = {name: json.loads(file.metadata()[name]) for name in ("keys", "step", "width")}
            return note, {name: file.get_tensor(name) for name in TENSORS + ARRAYS} if whole else {}
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise EgaraError(f"{path}: not a whole checkpoint ({error}); delete it and run again") from error
