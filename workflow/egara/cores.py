"""How many cores this process may use."""

import os


def usable_cores() -> int:
    """Return the cores that the system or the scheduler left to this process; all of them where it cannot tell."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
