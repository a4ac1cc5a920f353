"""Where the arithmetic happens: `auto` takes what accelerate finds, else the device that is named."""

import re
from typing import TYPE_CHECKING

from egara.io.errors import EgaraError
from egara.loras.base.gpus import take_card

if TYPE_CHECKING:
    import torch


def choose_device(name: str) -> str:
    """Return `cuda`, `mps` or `cpu` for a configured device name; of several NVIDIA cards a free one is taken."""
    if name in ("auto", "cuda"):
        take_card()
    if name == "auto":
        from accelerate import PartialState

        return PartialState().device.type
    import torch

    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not present.get(name, False):
        found = ", ".join(device for device, there in present.items() if there)
        raise EgaraError(f"device {name!r}: not on this machine; expected auto or one of {found}")
    return name


def place_frozen(model: "torch.nn.Module", device: str, mixed_precision: str) -> "torch.nn.Module":
    """Put a frozen model on its device: convolutions channels-last, weights in half precision where it computes so.

    Channels-last spares the reordering around every convolution on both CPUs and tensor cores. Half-precision weights
    take half the memory, and autocast need not convert them at every step.
    """
    import torch

    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(mixed_precision, torch.float32)
    if mixed_precision == "fp16" and device == "cpu":
        raise EgaraError("training.mixed_precision is fp16, which is not for a CPU; expected bf16 or no")
    return model.to(device, kind, memory_format=torch.channels_last).requires_grad_(False)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception means that the device or the machine had no memory left."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and bool(re.search("can't allocate memory|out of memory", str(error)))
