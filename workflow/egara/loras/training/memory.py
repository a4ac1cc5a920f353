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

MEMORY_SHARE = 0.8  # of the free memory; the rest is for the allocator's rounding and for other programs
# From this many images at once a device is busy: a larger pack would gain less than gradient checkpointing costs, a
# third of a step. On 24 GB, 30 LoRAs of Stable Diffusion 1.5 at batch 1 still fit in one pack.
MIN_IMAGES_WITHOUT_CHECKPOINTING = 16


def free_memory(device: "torch.device") -> float:
    """Return the bytes that are free for training on a device.

    On the CPU, the share of the available memory that torch's threads are of the cores: Snakemake runs other jobs, too.
    """
    import torch

    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    import psutil

    return psutil.virtual_memory().available * min(1, torch.get_num_threads() / usable_cores())


def choose_pack(
    frozen: Frozen, adapters: "list[Adapter]", free: float, gradient_checkpointing: bool | None = None
) -> int:
    """Return how many of these adapters one pack should hold: as many as fit in `free` bytes, at least one.

    One step of the adapter of the largest rank is measured; packs need memory in proportion.

    Parameters
    ----------
    gradient_checkpointing : whether the U-Net recomputes activations instead of keeping them. None enables it where
        fewer than `MIN_IMAGES_WITHOUT_CHECKPOINTING` images would fit otherwise.
    """
    if gradient_checkpointing:
        frozen.models["unet"].enable_gradient_checkpointing()
    size = _fitting(frozen, adapters, free)
    if gradient_checkpointing is None and size < min(
        len(adapters), MIN_IMAGES_WITHOUT_CHECKPOINTING / adapters[0].training.train_batch_size
    ):
        frozen.models["unet"].enable_gradient_checkpointing()
        size = _fitting(frozen, adapters, free)
    return size


def _fitting(frozen: Frozen, adapters: "list[Adapter]", free: float) -> int:
    largest = max(adapters, key=lambda adapter: adapter.training.rank)
    return max(1, min(len(adapters), int(MEMORY_SHARE * free / step_bytes(frozen, largest))))


def step_bytes(frozen: Frozen, adapter: "Adapter") -> int:
    """Return the bytes that one adapter adds to a pack: the peak of a real step where the device counts it.

    Elsewhere: the tensors that autograd saves for the backward pass, twice (gradients of activations are as large), and
    four numbers per weight: value, gradient and AdamW's two moments.
    """
    import torch

    pack = make_pack(frozen, [adapter])
    if pack.values.device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        _one_step(frozen, pack)
        return torch.cuda.max_memory_allocated() - before + 4 * pack.values.nbytes
    saved: dict[int, int] = {}

    def save(tensor: "torch.Tensor") -> "torch.Tensor":
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    weights = sum(weight.nbytes for model in frozen.models.values() for weight in model.parameters())
    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        _one_step(frozen, pack)
    return 2 * max(0, sum(saved.values()) - weights) + 4 * pack.values.nbytes


def _one_step(frozen: Frozen, pack: Pack) -> None:
    class OneStepDone(Exception):
        pass

    def stop(_: Pack) -> None:
        raise OneStepDone

    with suppress(OneStepDone):
        train_pack(frozen, pack, stop)
