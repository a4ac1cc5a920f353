"""One correction for many settings: the largest score of all settings under each relabelling (Westfall & Young 1993).

Settings look at the same LoRAs, or at LoRAs of the same sets, so that their scores rise and fall together. Holm's
correction takes them for unrelated and multiplies p by their number; with few works, whose p cannot be small, it
would then never speak. The same relabellings are used for all settings, and so the largest standardised score under
each of them is the null of the largest score found.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from egara.io.arrays import read_arrays
from egara.io.atomic import replacing
from egara.io.errors import EgaraError
from egara.scores.permutations import TIE, Relabellings, least_p, p_value

if TYPE_CHECKING:
    from egara.scores.hypotheses import Level


class Null(NamedTuple):
    """A score, the same under each relabelling (relabellings,), whether these are all, and what tells them apart.

    The score stands here once more because a table rounds it, and a rounded score may lie above its own null. `least`
    is the smallest p that these relabellings can give, however high the score.
    """

    observed: float
    values: np.ndarray
    exact: bool
    relabelled: str
    least: float = 0.0


def write_nulls(path: str | Path, nulls: "dict[str, tuple[float, np.ndarray, Level]]") -> None:
    """Write Top-1 under every relabelling of each level as .npz."""
    arrays = {}
    for name, (observed, values, level) in nulls.items():
        marks = hashlib.sha256(np.ascontiguousarray(level.relabelled, dtype=np.int64).data).hexdigest()
        arrays |= {
            f"{name}.observed": np.array(observed),
            f"{name}.values": values,
            f"{name}.exact": np.array(level.exact),
            f"{name}.of": np.array(marks),
            f"{name}.least": np.array(least_p(level.labels, Relabellings(level.relabelled, level.exact))),
        }
    with replacing(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_nulls(path: str | Path) -> dict[str, Null]:
    """Read what `write_nulls` wrote, by level."""
    kind = "null distributions"
    file = read_arrays(path, kind)
    try:
        return {
            name: Null(
                float(file[f"{name}.observed"]),
                file[f"{name}.values"].astype(np.float64).ravel(),
                bool(file[f"{name}.exact"]),
                str(file[f"{name}.of"]),
                float(file[f"{name}.least"]),
            )
            for name in (key.removesuffix(".values") for key in file if key.endswith(".values"))
        }
    except (KeyError, TypeError, ValueError) as error:
        raise EgaraError(f"{path}: not a file of {kind} ({type(error).__name__})") from error


def correct(nulls: list[Null]) -> np.ndarray:
    """p-values of settings (S,), corrected for their number by the largest standardised score; NaN without a score.

    Each setting's score is standardised by the mean and deviation of its own null; a null without spread takes no
    part. Settings with other relabellings (other LoRAs) are apart: each family is corrected by itself, and then
    multiplied by the number of families, as Bonferroni does.
    """
    corrected = np.full(len(nulls), np.nan)
    families: dict[str, list[int]] = {}
    for place, null in enumerate(nulls):
        if np.isfinite(null.observed) and np.isfinite(null.values).all():
            families.setdefault(null.relabelled, []).append(place)
    for places in families.values():
        drawn = np.stack([nulls[place].values for place in places])
        mean, spread = drawn.mean(axis=1), drawn.std(axis=1)
        moving = spread > TIE
        scale = np.where(moving, spread, 1.0)
        largest = np.where(moving[:, None], (drawn - mean[:, None]) / scale[:, None], -np.inf).max(axis=0)
        for place, centre, width, moves in zip(places, mean, scale, moving, strict=True):
            p = p_value(largest, (nulls[place].observed - centre) / width, nulls[place].exact) if moves else 1.0
            corrected[place] = min(1.0, p * len(families))
    return corrected
