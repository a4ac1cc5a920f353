"""Checkpoints of packs: a killed job goes on from its last one, bit for bit as if it had not been killed.

A checkpoint lies in the store's `unfinished/` under a name made of its adapters' keys, is replaced in one step, and
goes when its pack is finished. One of which only a part was left to train stays until the store is pruned.
"""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.io.errors import EgaraError
from egara.io.progress import logger
from egara.loras.encoding.cache import write_tensors
from egara.loras.training.loop import Frozen, Pack, make_pack

if TYPE_CHECKING:
    from egara.loras.training.batches import Adapter

TENSORS = ("values", "first", "second")
ARRAYS = ("losses", "stopped", "updates", "factors", "calm")
HIDDEN = "."  # begins the name of a file that is being written, see `egara.io.atomic.replacing`


def checkpoint_path(store: Path, keys: list[str]) -> Path:
    """Return where the checkpoint of the pack of these adapters, by key in store, lies or would lie."""
    return store / "unfinished" / f"{hashlib.sha256(' '.join(keys).encode()).hexdigest()}.safetensors"


def save_checkpoint(path: Path, pack: Pack, keys: list[str]) -> None:
    """Write a pack as it stands; `keys` name its adapters in the store."""
    arrays = {name: getattr(pack, name).cpu().contiguous().numpy() for name in TENSORS}
    arrays |= {name: np.ascontiguousarray(getattr(pack, name)) for name in ARRAYS}
    note = {"keys": json.dumps(keys), "step": str(pack.step), "width": str(pack.width)}
    write_tensors(path, arrays, note | {"hash": json.dumps(_hash(note, arrays))})


def find_checkpoints(store: Path) -> list[tuple[Path, list[str]]]:
    """Return the checkpoints in a store, the furthest first, each with its adapters' keys in order.

    One that cannot be read is passed over with a warning: it may be another job's, and all it holds is time.
    """
    found = [(note["step"], path, note["keys"]) for path, note in _notes(store) if note]
    return [(path, keys) for _, path, keys in sorted(found, key=lambda one: -one[0])]


def find_leavings(store: Path) -> list[Path]:
    """Return checkpoints that cannot be read, or that were being written: by a running job, or by a killed one."""
    spoiled = [path for path, note in _notes(store) if not note]
    return sorted((store / "unfinished").glob(f"{HIDDEN}*.safetensors")) + spoiled


def _notes(store: Path) -> list[tuple[Path, dict]]:
    """Return each checkpoint's note, empty where it cannot be read."""
    notes = []
    for path in sorted((store / "unfinished").glob(f"[!{HIDDEN}]*.safetensors")):
        try:
            notes.append((path, _open(path)[0]))
        except FileNotFoundError:  # its own job, running beside this one, has finished it meanwhile
            continue
        except EgaraError as error:
            logger("loras").warning("%s", error)
            notes.append((path, {}))
    return notes


def load_checkpoint(path: Path, frozen: Frozen, adapters: "dict[str, Adapter]") -> tuple[list[str], Pack]:
    """Return a checkpoint's keys and pack, without the rows of adapters that are not in `adapters`: finished ones.

    Raises
    ------
    FileNotFoundError : another job has finished it meanwhile.
    EgaraError : it is not as it was written.
    """
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
            texts = file.metadata()
            note = {name: json.loads(texts[name]) for name in ("keys", "step", "width", "hash")}
            arrays = {name: file.get_tensor(name) for name in TENSORS + ARRAYS} if whole else {}
    except FileNotFoundError:
        raise
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise EgaraError(f"{path}: not a whole checkpoint, its LoRAs start anew ({error})") from error
    if whole and _hash({name: texts[name] for name in ("keys", "step", "width")}, arrays) != note["hash"]:
        raise EgaraError(f"{path}: not a whole checkpoint, its LoRAs start anew (its bytes were changed)")
    return note, arrays


def _hash(note: dict[str, str], arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256(json.dumps(note, sort_keys=True).encode())
    for name in TENSORS + ARRAYS:
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()
