"""Authors and works as numbers, and what so many of them allow to ask."""

import numpy as np

from egara.io.errors import EgaraError


def codes(names: list[str]) -> np.ndarray:
    """Number names 0, 1, … in sorted order."""
    return np.unique(np.asarray(names, dtype=str), return_inverse=True)[1].reshape(-1)


def authors_by_work(authors: np.ndarray, works: np.ndarray) -> np.ndarray:
    """Return the author of each work, of shape (n_works,), from codes of LoRAs; a work of two authors is an error."""
    first = np.unique(works, return_index=True)[1]
    by_work = authors[first]
    if (odd := np.flatnonzero(by_work[works] != authors)).size:
        raise EgaraError(f"LoRA {odd[0]} (counted from 0 in the index): its work has a second author; expected one")
    return by_work


def nothing_to_tell(hypothesis: str, authors: np.ndarray, works: np.ndarray) -> str:
    """Say why a hypothesis cannot be tested with these authors and works of LoRAs, or nothing where it can.

    A test needs two labels, and one label with two LoRAs (over other works: with two works). Else every score is
    what it must be, 1 or 0, whatever the weights hold.
    """
    if len(works) < 2:
        return "one LoRA"
    labels, kind = (works, "work") if hypothesis == "work" else (authors, "author")
    if len(set(labels)) < 2:
        return f"one {kind}"
    if hypothesis == "author_across_works":
        owners = [author for _, author in set(zip(works, authors, strict=True))]
        return "" if len(owners) > len(set(owners)) else "no author has two works"
    return "" if len(labels) > len(set(labels)) else f"no {kind} has two LoRAs"
