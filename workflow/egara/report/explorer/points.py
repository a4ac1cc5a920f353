"""Maps and neighbours as short text: coordinates in 16 bits each, neighbours as rows."""

import base64

import numpy as np

STEPS = 32767
NEIGHBOURS = 5
# Most characters of coordinates on a page; beyond it, only the published components are kept.
BUDGET = 4_000_000
FEW = (1, 2, 3, 4, 5, 6, 41, 42)


def pack(values: np.ndarray, kind: str) -> str:
    """Write numbers as base64 of little-endian `kind` (i2, u2)."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=f"<{kind}").tobytes()).decode("ascii")


def quantise(points: np.ndarray) -> dict[str, object]:
    """Store coordinates (n, k), one component after the other, each in 16 bits, relative to its largest value.

    Returns
    -------
    scale : (k,) the size of one step; the error is at most half a step, 1 / 65534 of the largest value.
    data : base64 of k times n integers.
    """
    largest = np.abs(points).max(axis=0)
    scale = np.where(largest > 0, largest, 1.0) / STEPS
    return {"scale": [float(f"{value:.8g}") for value in scale], "data": pack(np.rint(points / scale).T, "i2")}


def find_nearest(distances: np.ndarray, count: int = NEIGHBOURS) -> np.ndarray:
    """Return the rows of the nearest `count` LoRAs of each, nearest first: (n, count), from distances (n, n).

    (n, 0) for distances (n, 0): LoRAs that do not differ have no neighbours.
    """
    from egara.scores.neighbours import nearest

    if not distances.size:
        return np.zeros((len(distances), 0), dtype=int)
    return nearest(distances, ~np.eye(len(distances), dtype=bool), min(count, len(distances) - 1))


def describe_neighbours(distances: np.ndarray, nearest: np.ndarray) -> dict[str, object]:
    """Store the nearest LoRAs of each, rows (n, count), and their cosine distances in 1/30000: (n, count)."""
    near = np.take_along_axis(distances, nearest, axis=1)
    return {"count": nearest.shape[1], "rows": pack(nearest, "u2"), "distances": pack(np.rint(near * 30000), "u2")}


def choose(count: int, spaces: int, loras: int) -> list[int]:
    """Return which of `count` components are kept, from 1: all if they fit into `BUDGET`, else `FEW`."""
    everything = spaces * loras * count * 2 * 4 / 3
    return [number for number in range(1, count + 1) if everything <= BUDGET or number in FEW]
