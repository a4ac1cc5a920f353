"""Checkpoints of packs: a killed job resumes from its last one, bit for bit as if it had not been killed.

A checkpoint is a file in the store's `unfinished/`, named by its adapters' keys, replaced in one step and removed when
its pack is finished. One of which only some adapters were left to train is kept until the store is pruned.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from egara.io.errors import EgaraError
from egara.io.progress import logger
from egara.io.tensors import NoSuchFile, TensorFile, open_tensors, write_tensors
from egara.loras.training.loop import Frozen, Pack, make_pack

if TYPE_CHECKING:
    from egara.loras.training.batches import Adapter

TENSORS = ("values", "exp_avg", "exp_avg_sq")
ARRAYS = ("losses", "stopped", "optimizer_steps", "loss_scale", "growth_tracker")
HIDDEN = "."  # begins the name of a file that is being written, see `egara.io.atomic.replacing`
ADVICE = "its LoRAs start again"


def checkpoint_path(store: Path, keys: list[str]) -> Path:
    """Return the path of the checkpoint of the pack of these adapters, given by their keys in the store."""
    return store / "unfinished" / f"{hashlib.sha256(' '.join(keys).encode()).hexdigest()}.safetensors"


def save_checkpoint(path: Path, pack: Pack, keys: list[str]) -> None:
    """Write the state of a pack; `keys` name its adapters in the store."""
    arrays = {name: getattr(pack, name).cpu().numpy() for name in TENSORS}
    arrays |= {name: getattr(pack, name) for name in ARRAYS}
    write_tensors(path, arrays, {"keys": keys, "step": pack.step, "width": pack.width})


def find_checkpoints(store: Path) -> list[tuple[Path, list[str]]]:
    """Return the checkpoints in a store, the furthest first, each with its adapters' keys in order.

    A corrupt one is skipped with a warning: it may be another job's, and only time is lost.
    """
    found = [(note["step"], path, note["keys"]) for path, note in _notes(store) if note]
    return [(path, keys) for _, path, keys in sorted(found, key=lambda one: -one[0])]


def find_stale(store: Path) -> list[Path]:
    """Return corrupt checkpoints and temporary files, which a running or a killed job was writing."""
    corrupt = [path for path, note in _notes(store) if not note]
    return sorted((store / "unfinished").glob(f"{HIDDEN}*.safetensors")) + corrupt


def load_checkpoint(path: Path, frozen: Frozen, adapters: "dict[str, Adapter]") -> tuple[list[str], Pack]:
    """Return a checkpoint's keys and pack, without the rows of adapters that are not in `adapters`: finished ones.

    Raises
    ------
    NoSuchFile : another job has finished it meanwhile.
    EgaraError : it is corrupt, or of another version of Egara.
    """
    import torch

    with _open(path) as file:
        note, arrays = _note(file), file.tensors(TENSORS + ARRAYS)
    rows = [row for row, key in enumerate(note["keys"]) if key in adapters]
    keys = [note["keys"][row] for row in rows]
    pack = make_pack(frozen, [adapters[key] for key in keys], note["width"])
    for name in TENSORS:
        getattr(pack, name).copy_(torch.from_numpy(arrays[name][rows]))
    for name in ARRAYS:
        getattr(pack, name)[...] = arrays[name][rows]
    pack.step = note["step"]
    return keys, pack


def _notes(store: Path) -> list[tuple[Path, dict]]:
    """Return each checkpoint's note, empty where it is corrupt."""
    notes = []
    for path in sorted((store / "unfinished").glob(f"[!{HIDDEN}]*.safetensors")):
        try:
            with _open(path) as file:
                notes.append((path, _note(file)))
        except NoSuchFile:  # its own job, which runs at the same time, has finished it meanwhile
            continue
        except EgaraError as error:
            logger("loras").warning("%s", error)
            notes.append((path, {}))
    return notes


def _open(path: Path):  # noqa: ANN202 - a context manager of TensorFile
    return open_tensors(path, "a checkpoint", ADVICE)


def _note(file: TensorFile) -> dict:
    """Return keys, step and width; a checkpoint of another version, with other arrays, is refused."""
    note = file.json()
    if note.keys() != {"keys", "step", "width"} or set(file.names) != {*TENSORS, *ARRAYS}:
        raise EgaraError(f"{file.path}: not a checkpoint of this version of Egara; {ADVICE}")
    return note
