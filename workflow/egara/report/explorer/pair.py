"""The two maps that open the report: factors and update of the same files, at the setting that suits the update."""

from typing import TYPE_CHECKING

import numpy as np

from egara.scores.neighbours import expected_topk_accuracy, topk_hits

if TYPE_CHECKING:
    from collections.abc import Sequence

PAIR = ("factors", "delta")  # left, right


def nearest_drawn(points: np.ndarray) -> np.ndarray:
    """Row of the nearest other point on a map, (n, 1), from its first two dimensions (n, k), in their own unit."""
    from scipy.spatial import cKDTree

    drawn = points[:, :2]
    if len(drawn) < 2:
        return np.zeros((len(drawn), 0), dtype=int)
    found = cKDTree(drawn).query(drawn, k=2)[1]
    own = np.arange(len(drawn))
    return np.where(found[:, 0] == own, found[:, 1], found[:, 0])[:, None]


def share_of_hits(nearest: np.ndarray, labels: "Sequence[str]") -> float:
    """Share of LoRAs whose nearest one, (n, k) rows, has the same label, (n,): the 1-NN accuracy."""
    return float(topk_hits(nearest, np.asarray(labels), 1).mean())


def chance(labels: "Sequence[str]") -> float:
    """Chance level of the 1-NN accuracy, from the class sizes of the labels (n,)."""
    _, place, sizes = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
    return float(expected_topk_accuracy(sizes[place] - 1, np.full(len(labels), len(labels) - 1), 1).mean())


def choose_pair(spaces: list[dict]) -> dict[str, object] | None:
    """Return cell, L2 and map on which both representations of `PAIR` are drawn, or None where there is none.

    Of the cells and L2 the one in which the update's 1-NN accuracy of works in all dimensions is highest, and there the
    projection in which it is highest on the drawn map; the first among equals. It is chosen for the update and says so.

    Parameters
    ----------
    spaces : with `same_work`, the 1-NN accuracies of works in all `dimensions` and on each map.
    """
    found = {(space["representation"], space["cell"], space["l2"]): space for space in spaces}
    best, most = None, (-1.0, -1.0)
    for (representation, cell, l2), update in found.items():
        factors = found.get((PAIR[0], cell, l2))
        if representation != PAIR[1] or factors is None or "dimensions" not in factors["same_work"]:
            continue
        for name in update["maps"]:
            scores = (update["same_work"].get("dimensions", 0.0), update["same_work"][name])
            if name in factors["maps"] and scores > most:
                best, most = {"cell": cell, "l2": l2, "map": name, "sides": [factors, update]}, scores
    return best and best | {
        "sides": [{key: side[key] for key in ("representation", "same_work")} for side in best["sides"]]
    }
