"""Null distributions: what a score would be if labels had nothing to do with LoRAs."""

import math
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

# Sums of the same numbers in another order differ by rounding; such nulls count as ties.
TIE = 1e-12


class Permutations(NamedTuple):
    """Permuted labels of shape (n_permutations, n_items).

    `exhaustive` when they are all possible ones, the true one among them.
    """

    labels: np.ndarray
    exhaustive: bool


def permute(labels: np.ndarray, count: int, generator: np.random.Generator) -> Permutations:
    """Permute labels of shape (n_items,) `count` times."""
    rows = np.broadcast_to(np.asarray(labels), (count, len(labels)))
    return Permutations(generator.permuted(rows, axis=1), False)


def permute_units(labels: np.ndarray, count: int, generator: np.random.Generator) -> Permutations:
    """Permute the labels of units, works or series: all distinct assignments if at most `count`, else `count` drawn.

    This is how authors are permuted. The LoRAs of a work share a pool of faces and so are not exchangeable one by
    one; works are.
    """
    labels = np.asarray(labels)
    sizes = Counter(labels.tolist())
    distinct = math.factorial(len(labels)) // math.prod(math.factorial(size) for size in sizes.values())
    if distinct > count:
        return permute(labels, count, generator)
    return Permutations(np.array(list(_assignments(dict(sorted(sizes.items())), len(labels)))), True)


def _assignments(left: dict[int, int], length: int) -> Iterator[list[int]]:
    """Yield every distinct arrangement of a multiset of labels."""
    if length == 0:
        yield []
        return
    for label, count in left.items():
        if count:
            for rest in _assignments({**left, label: count - 1}, length - 1):
                yield [label, *rest]


def min_attainable_p(labels: np.ndarray, null: Permutations) -> float:
    """Return the smallest p that permutations of labels of shape (n_items,) can give.

    Scores depend on who shares a label, so permutations that part the items as the true labels do score the same.
    """
    true = np.asarray(labels)
    pairs = np.sort(null.labels * (int(true.max()) + 1) + true, axis=1)
    kinds = 1 + np.count_nonzero(np.diff(pairs, axis=1), axis=1)  # one per label where both part the items alike
    equal = int(np.count_nonzero(kinds == len(np.unique(true))))
    return p_from_counts(equal, len(kinds), null.exhaustive)


def p_from_counts(extreme: int, count: int, exhaustive: bool) -> float:
    """Return p where `extreme` of `count` permutations score at least as extremely as the true labels.

    (1 + extreme) / (1 + count) for drawn permutations (Phipson & Smyth 2010), the plain share for an exhaustive list,
    which holds the true labels itself.
    """
    return extreme / count if exhaustive else (1 + extreme) / (1 + count)


def p_value(null: np.ndarray, observed: float, exhaustive: bool, low: bool = False) -> float:
    """One-sided p: the share of nulls at least as extreme, upwards, or downwards if `low`, as `p_from_counts` has it.

    Nulls without a value do not count; NaN where nothing can be compared.
    """
    null = null[np.isfinite(null)]
    if not len(null) or not np.isfinite(observed):
        return math.nan
    sign = -1.0 if low else 1.0
    extreme = int(np.count_nonzero(sign * null >= sign * observed - TIE))
    return p_from_counts(extreme, len(null), exhaustive)
