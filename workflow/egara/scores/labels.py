"""Authors and works as numbers."""

import numpy as np

from egara.errors import EgaraError


def codes(names: list[str]) -> np.ndarray:
    """Number names 0, 1, … in sorted order."""
    return np.unique(np.asarray(names, dtype=str), return_inverse=True)[1].reshape(-1)


def authors_by_work(authors: np.ndarray, works: np.ndarray) -> np.ndarray:
    """Return the author (W,) of each work, from codes (n,); a work under two authors is an error."""
    first = np.unique(works, return_index=True)[1]
    by_work = authors[first]
    if (odd := np.flatnonzero(by_work[works] != authors)).size:
        raise EgaraError(f"LoRA {odd[0]} (counted from 0 in the index): its work has a second author; expected one")
    return by_work
