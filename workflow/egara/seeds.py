"""Seeds derived from names: every (study seed, name, purpose, step) has its own random stream.

A stream depends on nothing but its names: not on the order of jobs, on what is packed together or on the device.
"""

import hashlib

import numpy as np


def derive_seed(*names: str | int) -> int:
    """Hash names to a seed in [0, 2**63): equal names give equal seeds, whatever ran before."""
    text = "\x1f".join(f"{type(name).__name__}:{name}" for name in names)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def stream(*names: str | int) -> np.random.Generator:
    """Return the NumPy generator that belongs to these names."""
    return np.random.default_rng(derive_seed(*names))
