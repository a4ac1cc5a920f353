"""Corrections of p for many tests: Holm, Benjamini & Hochberg, and the largest score (Westfall & Young 1993).

Settings look at the same LoRAs, or at LoRAs of the same sets, so that their scores rise and fall together. Holm's
correction takes them for unrelated and multiplies p by their number; with few works, whose p cannot be small, it has no
power. All settings use the same permutations, so the largest standardised score under each of them is the null of the
largest score found: Westfall and Young's correction retains power.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from egara.io.arrays import read_arrays
from egara.io.atomic import replacing
from egara.io.errors import EgaraError
from egara.scores.permutations import TIE, Permutations, min_attainable_p, p_value

if TYPE_CHECKING:
    from egara.scores.hypotheses import Hypothesis


def holm(values: np.ndarray) -> np.ndarray:
    """Correct p-values of shape (n_tests,) for the chance of any false discovery (Holm 1979); NaN are no tests."""
    tested = np.flatnonzero(np.isfinite(values))
    order = tested[np.argsort(values[tested], kind="stable")]
    corrected = np.full(len(values), np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(len(order), 0, -1)), 1.0)
    return corrected


def benjamini_hochberg(values: np.ndarray) -> np.ndarray:
    """Correct p-values of shape (n_tests,) for the false discovery rate (Benjamini & Hochberg 1995); NaN are no tests.

    The smallest level at which each test counts as a discovery, if the tests are independent or positively related.
    """
    from scipy.stats import false_discovery_control

    tested = np.isfinite(values)
    corrected = np.full(len(values), np.nan)
    if tested.any():
        corrected[tested] = false_discovery_control(values[tested])
    return corrected


class Null(NamedTuple):
    """The null distribution of a score.

    Attributes
    ----------
    observed : the score; a table rounds it, and a rounded score may be above its own null.
    values : the score under each permutation, of shape (n_permutations,).
    exhaustive : whether these are all permutations.
    permuted : what tells the permutations apart: a hash of the permuted labels.
    min_attainable_p : the smallest p that these permutations can give, however high the score.
    """

    observed: float
    values: np.ndarray
    exhaustive: bool
    permuted: str
    min_attainable_p: float = 0.0


def write_nulls(path: str | Path, nulls: "dict[str, tuple[float, np.ndarray, Hypothesis]]") -> None:
    """Write Top-1 under every permutation, by hypothesis, as .npz."""
    arrays = {}
    for name, (observed, values, hypothesis) in nulls.items():
        permutations = Permutations(hypothesis.permuted, hypothesis.exhaustive)
        marks = hashlib.sha256(np.ascontiguousarray(permutations.labels, dtype=np.int64).data).hexdigest()
        arrays |= {
            f"{name}.observed": np.array(observed),
            f"{name}.values": values,
            f"{name}.exhaustive": np.array(permutations.exhaustive),
            f"{name}.permuted": np.array(marks),
            f"{name}.min_attainable_p": np.array(min_attainable_p(hypothesis.labels, permutations)),
        }
    with replacing(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_nulls(path: str | Path) -> dict[str, Null]:
    """Read what `write_nulls` wrote, by hypothesis."""
    kind = "null distributions"
    file = read_arrays(path, kind)
    try:
        return {
            name: Null(
                float(file[f"{name}.observed"]),
                file[f"{name}.values"].astype(np.float64).ravel(),
                bool(file[f"{name}.exhaustive"]),
                str(file[f"{name}.permuted"]),
                float(file[f"{name}.min_attainable_p"]),
            )
            for name in (key.removesuffix(".values") for key in file if key.endswith(".values"))
        }
    except (KeyError, TypeError, ValueError) as error:
        raise EgaraError(f"{path}: not a file of {kind} ({type(error).__name__})") from error


def correct(nulls: list[Null]) -> np.ndarray:
    """Correct p of settings for their number by the largest standardised score (Westfall & Young 1993).

    Each setting's score is standardised by the mean and standard deviation of its own null; a null without spread takes
    no part. Settings with other permutations (other LoRAs) are another family: each family is corrected by itself, and
    p is then multiplied by the number of families (Bonferroni).

    Returns
    -------
    Corrected p of shape (n_settings,); NaN without a score.
    """
    corrected = np.full(len(nulls), np.nan)
    families: dict[str, list[int]] = {}
    for place, null in enumerate(nulls):
        if np.isfinite(null.observed) and np.isfinite(null.values).all():
            families.setdefault(null.permuted, []).append(place)
    for places in families.values():
        drawn = np.stack([nulls[place].values for place in places])
        mean, spread = drawn.mean(axis=1), drawn.std(axis=1)
        moving = spread > TIE
        scale = np.where(moving, spread, 1.0)
        largest = np.where(moving[:, None], (drawn - mean[:, None]) / scale[:, None], -np.inf).max(axis=0)
        for place, centre, width, moves in zip(places, mean, scale, moving, strict=True):
            p = p_value(largest, (nulls[place].observed - centre) / width, nulls[place].exhaustive) if moves else 1.0
            corrected[place] = min(1.0, p * len(families))
    return corrected
