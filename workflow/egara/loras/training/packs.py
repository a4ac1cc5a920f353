"""Train many adapters pack by pack: unfinished packs first, as many adapters at once as fit, with checkpoints."""

import gc
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.io.errors import EgaraError, counted
from egara.io.progress import logger
from egara.loras.base.devices import is_out_of_memory
from egara.loras.training.checkpoints import checkpoint_path, find_checkpoints, load_checkpoint, save_checkpoint
from egara.loras.training.loop import Frozen, Pack, make_pack, train_pack

if TYPE_CHECKING:
    import torch

    from egara.loras.training.batches import Adapter

Result = tuple[str, "Adapter", dict[str, "torch.Tensor"], np.ndarray, int]


def train_adapters(
    frozen: Frozen,
    adapters: "dict[str, Adapter]",
    size: int,
    store: Path,
    every: float,
    on_step: Callable[[Pack], None] = lambda pack: None,
    wrap_unet: Callable = lambda unet: unet,
) -> "Iterator[Result]":
    """Train adapters in packs and yield each one when its pack is done.

    Parameters
    ----------
    adapters : by key in the store.
    size : adapters per pack; halved, for all packs that follow, where memory runs out.
    store : folder whose `unfinished/` keeps checkpoints.
    every : minutes between two checkpoints of a pack.

    Yields
    ------
    key, adapter, tensors, losses (steps,), and the step at which it was stopped for diverging, else -1.
    """
    waiting = deque(_unfinished(frozen, adapters, store))
    resumed = {key for keys, _ in waiting for key in keys}
    fresh = [key for key in adapters if key not in resumed]
    while waiting or fresh:
        if waiting:
            keys, pack = waiting.popleft()
        else:
            keys, fresh = fresh[:size], fresh[size:]
            pack = None
        tensors = None
        try:
            pack = pack or make_pack(frozen, [adapters[key] for key in keys])
            tensors = train_pack(frozen, pack, _saving(keys, store, every, on_step), wrap_unet)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if len(keys) == 1:
                raise EgaraError(
                    f"{adapters[keys[0]].name}: not enough memory to train one LoRA; lower batch size or resolution"
                ) from None
        if tensors is None:  # outside the handler, so that no frame holds the failed step's tensors
            _free_memory(frozen)
            size = len(keys) // 2
            halves = [(0, size), (size, len(keys))]
            parts = [(keys[a:b], pack.part(a, b) if pack else None) for a, b in halves]
            for half, part in parts:
                if part is not None and part.step:
                    save_checkpoint(checkpoint_path(store, half), part, half)
            checkpoint_path(store, keys).unlink(missing_ok=True)
            waiting.extendleft(reversed(parts))
            logger("loras").info("out of memory with %s at once; going on with %d", counted(len(keys), "LoRA"), size)
            continue
        for index, key in enumerate(keys):
            yield key, adapters[key], tensors[index], pack.losses[index], int(pack.stopped[index])
        checkpoint_path(store, keys).unlink(missing_ok=True)


def _unfinished(frozen: Frozen, adapters: "dict[str, Adapter]", store: Path) -> list[tuple[list[str], Pack]]:
    found, taken = [], set()
    for path, inside in find_checkpoints(store):
        left = {key: adapters[key] for key in inside if key in adapters and key not in taken}
        if not left:
            continue
        try:
            keys, pack = load_checkpoint(path, frozen, left)
        except EgaraError as error:
            logger("loras").warning("%s", error)
            continue
        taken.update(keys)
        logger("loras").info("going on with %s from step %d", counted(len(keys), "LoRA"), pack.step)
        found.append((keys, pack))
    return found


def _saving(keys: list[str], store: Path, every: float, on_step: Callable) -> Callable[[Pack], None]:
    """Return a callback that writes a checkpoint when one is due."""
    last = time.monotonic()

    def saved(pack: Pack) -> None:
        nonlocal last
        if time.monotonic() - last >= every * 60 and pack.step < pack.losses.shape[1]:
            save_checkpoint(checkpoint_path(store, keys), pack, keys)
            last = time.monotonic()
        on_step(pack)

    return saved


def _free_memory(frozen: Frozen) -> None:
    """Release the memory of a step that failed."""
    import torch

    gc.collect()
    if next(frozen.models["unet"].parameters()).device.type == "cuda":
        torch.cuda.empty_cache()
