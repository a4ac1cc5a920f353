"""Several GPUs on one workstation: every job takes a free one and keeps it to its end.

A job holds a lock on a file of its card; the system lets go of it when the process ends, however it ends. Where a
scheduler has chosen a card already (`CUDA_VISIBLE_DEVICES`), nothing is taken.
"""

import fcntl
import os
import tempfile
from pathlib import Path

from egara.io.progress import logger

CARDS = Path("/proc/driver/nvidia/gpus")  # one folder a card, named by its place on the bus
_held: list[int] = []  # open files, so that their locks live as long as the process


def take_card(cards: Path = CARDS, locks: Path | None = None) -> int | None:
    """Let this process see one free NVIDIA card only, before CUDA starts; returns its number in the order of the bus.

    Nothing happens, and nothing is returned, where a scheduler has chosen or there is at most one card. With more jobs
    than cards the last ones share the first card, with a warning.
    """
    if os.environ.get("CUDA_VISIBLE_DEVICES") is not None or not cards.is_dir():
        return None
    names = sorted(path.name for path in cards.iterdir())
    if len(names) < 2:
        return None
    locks = locks or Path(tempfile.gettempdir(), f"egara-cards-{os.getuid()}")
    locks.mkdir(parents=True, exist_ok=True)
    taken = None
    for number, name in enumerate(names):
        handle = os.open(locks / name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            continue
        _held.append(handle)
        taken = number
        break
    if taken is None:
        logger("loras").warning("all %d cards are taken; sharing the first (see --resources gpu=N)", len(names))
        taken = 0
    os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    os.environ["CUDA_VISIBLE_DEVICES"] = str(taken)
    return taken
