"""How many adapters fit in one pack.

Pack size changes time and memory, never results; nothing here is part of a LoRA's content.
"""

from contextlib import suppress
from typing import TYPE_CHECKING

from egara.cores import usable_cores
from egara.loras.training.loop import Frozen, Pack, make_pack, train_pack

if TYPE_CHECKING:
    import torch

    from egara.loras.training.batches import Adapter

SHARE = 0.8  # of the free memory; the rest is for what allocators round up and for other programs
# Pictures at once from which a device is taken to be busy: a larger pack would gain less than computing activations
# twice costs, a third of a step. On 24 GB, 30 LoRAs of Stable Diffusion 1.5 at batch 1 still go in one pack.
ENOUGH = 16


def free_memory(device: "torch.device") -> float:
    """Return the bytes that are free for training on a device.

    On the CPU, of what the system calls available, the same share as torch's threads are of the cores: other jobs that
    Snakemake runs beside this one take theirs.
    """
    import torch

    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    import psutil

    return psutil.virtual_memory().available * min(1, torch.get_num_threads() / usable_cores())


def choose_pack(frozen: Frozen, adapters: "list[Adapter]", free: float, recompute: bool | None = None) -> int:
    """Return how many of these adapters one pack should hold: as many as `free` bytes take, at least one.

    One step of one adapter, the widest, is measured; packs grow in proportion.

    Parameters
    ----------
    recompute : whether the U-Net computes activations twice instead of keeping them; None lets it where fewer than
        `ENOUGH` pictures would fit otherwise, and then prepares the U-Net for it.
    """
    if recompute:
        frozen.models["unet"].enable_gradient_checkpointing()
    size = _fitting(frozen, adapters, free)
    if recompute is None and size < min(len(adapters), ENOUGH / adapters[0].training.train_batch_size):
        frozen.models["unet"].enable_gradient_checkpointing()
        size = _fitting(frozen, adapters, free)
    return size


def _fitting(frozen: Frozen, adapters: "list[Adapter]", free: float) -> int:
    widest = max(adapters, key=lambda adapter: adapter.training.rank)
    return max(1, min(len(adapters), int(SHARE * free / step_bytes(frozen, widest))))


def step_bytes(frozen: Frozen, adapter: "Adapter") -> int:
    """Return the bytes that one adapter adds to a pack: the peak of a real step where the device counts it.

    Elsewhere: what autograd keeps between forward and backward, twice (gradients of activations are as large), and four
    numbers a weight: value, gradient and AdamW's two moments.
    """
    import torch

    pack = make_pack(frozen, [adapter])
    if pack.values.device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        _one_step(frozen, pack)
        return torch.cuda.max_memory_allocated() - before + 4 * pack.values.nbytes
    kept: dict[int, int] = {}

    def keep(tensor: "torch.Tensor") -> "torch.Tensor":
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    weights = sum(weight.nbytes for model in frozen.models.values() for weight in model.parameters())
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        _one_step(frozen, pack)
    return 2 * max(0, sum(kept.values()) - weights) + 4 * pack.values.nbytes


def _one_step(frozen: Frozen, pack: Pack) -> None:
    class Enough(Exception):
        pass

    def stop(_: Pack) -> None:
        raise Enough

    with suppress(Enough):
        train_pack(frozen, pack, stop)
