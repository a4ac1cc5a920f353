"""p-values of many tests at once."""

import math

import numpy as np


def holm(values: np.ndarray) -> np.ndarray:
    """p-values (n,) corrected for n tests (Holm 1979): the chance of any false discovery; NaN are no tests."""
    return _corrected(values, lambda ordered: np.maximum.accumulate(ordered * np.arange(len(ordered), 0, -1)))


def benjamini_hochberg(values: np.ndarray) -> np.ndarray:
    """p-values (n,) corrected for n tests (Benjamini & Hochberg 1995), bounds of the false discovery rate; NaN stay.

    The smallest level at which each test counts as a discovery, if the tests are independent or positively related.
    """

    def steps(ordered: np.ndarray) -> np.ndarray:
        scaled = ordered * len(ordered) / np.arange(1, len(ordered) + 1)
        return np.minimum.accumulate(scaled[::-1])[::-1]

    return _corrected(values, steps)


def _corrected(values: np.ndarray, steps: "object") -> np.ndarray:
    values = np.asarray(values, dtype=float)
    corrected = np.full(len(values), math.nan)
    tested = np.flatnonzero(np.isfinite(values))
    order = tested[np.argsort(values[tested], kind="stable")]
    corrected[order] = np.minimum(steps(values[order]), 1.0)
    return corrected
