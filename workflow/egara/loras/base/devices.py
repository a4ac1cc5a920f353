"""The device that a stage computes on, and the one free GPU of a workstation that its job takes.

With several GPUs each job holds a lock on a file of its GPU; the system releases the lock when the process ends, killed
or not. Where a scheduler has chosen a GPU already (`CUDA_VISIBLE_DEVICES`), none is taken.
"""

import fcntl
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from egara.io.errors import EgaraError
from egara.io.progress import logger

if TYPE_CHECKING:
    import torch

GPUS = Path("/proc/driver/nvidia/gpus")  # one folder per GPU, named by its place on the bus
_held: list[int] = []  # open files, so that their locks are held as long as the process runs


def choose_device(name: str) -> str:
    """Return `cuda`, `mps` or `cpu` for a configured device name; of several NVIDIA GPUs a free one is taken.

    `auto` is what accelerate finds.
    """
    if name in ("auto", "cuda"):
        acquire_gpu()
    if name == "auto":
        from accelerate import PartialState

        return PartialState().device.type
    import torch

    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not present.get(name, False):
        found = ", ".join(device for device, there in present.items() if there)
        raise EgaraError(f"device {name!r}: not on this machine; expected auto or one of {found}")
    return name


def acquire_gpu(gpus: Path = GPUS, locks: Path | None = None) -> int | None:
    """Make one free NVIDIA GPU the only one that this process sees, before CUDA starts.

    With more jobs than GPUs the last ones share the first GPU, with a warning.

    Returns
    -------
    The GPU's number in the order of the bus; None, and no lock, where a scheduler has chosen or there is at most one.
    """
    if os.environ.get("CUDA_VISIBLE_DEVICES") is not None or not gpus.is_dir():
        return None
    names = sorted(path.name for path in gpus.iterdir())
    if len(names) < 2:
        return None
    locks = locks or Path(tempfile.gettempdir(), f"egara-gpus-{os.getuid()}")
    locks.mkdir(parents=True, exist_ok=True)
    acquired = None
    for number, name in enumerate(names):
        handle = os.open(locks / name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            continue
        _held.append(handle)
        acquired = number
        break
    if acquired is None:
        logger("loras").warning("all %d GPUs are taken; sharing the first (see --resources gpu=N)", len(names))
        acquired = 0
    os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    os.environ["CUDA_VISIBLE_DEVICES"] = str(acquired)
    return acquired


def move_to_device(model: "torch.nn.Module", device: str, mixed_precision: str) -> "torch.nn.Module":
    """Move a frozen model to its device: convolutions channels-last, weights in half precision where it computes so.

    Channels-last avoids the reordering around every convolution on both CPUs and tensor cores. Half-precision weights
    take half the memory, and autocast need not convert them at every step.
    """
    import torch

    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(mixed_precision, torch.float32)
    if mixed_precision == "fp16" and device == "cpu":
        raise EgaraError("training.mixed_precision is fp16, which is not for a CPU; expected bf16 or no")
    return model.to(device, dtype, memory_format=torch.channels_last).requires_grad_(False)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception means that the device or the machine had no memory left.

    accelerate's `should_reduce_batch_size` compares texts of CUDA, XPU and the CPU's allocator; it misses MPS and
    Python's own MemoryError, and also matches a cuDNN error that a smaller pack does not cure.
    """
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and bool(re.search("can't allocate memory|out of memory", str(error)))
