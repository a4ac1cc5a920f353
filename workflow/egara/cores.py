"""The number of cores that this process may use."""

import os


def usable_cores() -> int:
    """Return the cores that the scheduler gives this process; all of them where the system cannot say."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
