"""The hypotheses, and all scores of a space under one of them.

work
    Same label = same work. Null: works permuted over LoRAs.
author
    Same label = same author, all neighbours: the paper's tables 3 and 4. Null: authors permuted over LoRAs, which
    answers the paper's question; it takes LoRAs of one work for independent, so a small p may only mean that works
    differ.
author_across_works
    Pairs and neighbours from other works only. Same label = same author. LoRAs of authors with a single work have
    nothing to find: they stay candidates but are not counted. Null: authors permuted over works, all LoRAs of a
    work together.

A hypothesis that so few labels cannot test (`egara.scores.labels.nothing_to_tell`) has rows without values; their
`note` says why. `egara.vocabulary.HYPOTHESES` has the wordings.
"""

import math
import warnings
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from egara.scores.classifiers import METHODS, classify, make_folds
from egara.scores.distances import count_pairs, null_of_labels, pairs_of_labels
from egara.scores.labels import authors_by_work, nothing_to_tell
from egara.scores.neighbours import expected_topk_accuracy, nearest, topk_hits
from egara.scores.permutations import p_value, permute, permute_units
from egara.scores.variance import between_group_ss, bootstrap_shares, chance_of_work, permute_within, shares
from egara.seeds import stream

COSINES = ("cosine_intra", "cosine_inter", "cosine_difference")
NEIGHBOURS = {"top1": 1, "top5": 5}
BOOTSTRAPS = 2000


@dataclass(frozen=True)
class Hypothesis:
    """What is compared: labels, which pairs and whose hits count, and all of it under the null.

    Attributes
    ----------
    labels : codes of shape (n_loras,).
    eligible : pairs that count, bool of shape (n_loras, n_loras).
    counted : LoRAs whose hits count, bool of shape (n_loras,).
    permuted : permuted labels, of shape (n_permutations, n_loras).
    exhaustive : whether `permuted` are all possible ones.
    counted_permuted : `counted` under each permutation, of shape (n_permutations, n_loras).
    folds : what is held out together, LoRAs or works, of shape (n_loras,).
    silent : why so few labels tell nothing, whatever the weights hold.
    """

    labels: np.ndarray
    eligible: np.ndarray
    counted: np.ndarray
    permuted: np.ndarray
    exhaustive: bool
    counted_permuted: np.ndarray
    folds: np.ndarray
    silent: str = ""

    @cached_property
    def pairs_permuted(self) -> np.ndarray:
        """Ordered pairs of one label under each permutation, of shape (n_permutations,)."""
        return count_pairs(self.eligible, self.permuted)


def make_hypothesis(name: str, authors: np.ndarray, works: np.ndarray, permutations: int, seed: int) -> Hypothesis:
    """Set up a hypothesis from codes of authors and works, of shape (n_loras,); seed, name and labels fix its null."""
    count, silent = len(works), nothing_to_tell(name, authors, works)
    generator = stream(seed, "scores", name)
    if name != "author_across_works":
        labels = works if name == "work" else authors
        permuted, exhaustive = permute(labels, permutations, generator)
        everyone = np.ones(count, dtype=bool)
        eligible, counted_permuted = ~np.eye(count, dtype=bool), np.ones_like(permuted, bool)
        return Hypothesis(labels, eligible, everyone, permuted, exhaustive, counted_permuted, np.arange(count), silent)
    by_work = authors_by_work(authors, works)
    permuted, exhaustive = permute_units(by_work, permutations, generator)
    permuted = permuted[:, works]
    several = np.bincount(by_work) > 1  # authors with several works: as many under the null
    eligible = works[:, None] != works[None, :]
    return Hypothesis(authors, eligible, several[authors], permuted, exhaustive, several[permuted], works, silent)


def score_distances(
    distances: np.ndarray,
    works: np.ndarray,
    hypothesis: Hypothesis,
    seed: int,
    nulls: dict[str, np.ndarray] | None = None,
) -> list[dict]:
    """Score one space under one hypothesis by distances and neighbours.

    Parameters
    ----------
    distances : cosine distances of shape (n_loras, n_loras).
    works : codes of works of shape (n_loras,), the units of the bootstrap.
    nulls : if given, takes Top-1 under each permutation, of shape (n_permutations,), as `top1`.

    Returns
    -------
    One row per metric: metric, value, chance, p, low, high, n, null_mean, majority. cosine_intra and cosine_inter are
    means over pairs, cosine_difference is inter - intra, top1 and top5 the share of LoRAs with a neighbour of their
    label among the nearest one or five. `chance` is exact from class sizes; `null_mean` is the mean under the
    null, which for top5 over other works is lower than chance where neighbours come from few works. p is one-sided:
    small intra, large everything else. low and high bound 95 % of bootstrap values: works are drawn with
    replacement and the pairs and hits of their LoRAs pooled again, neighbours staying as they are. n is the number
    of LoRAs counted; where it is 0 there is no value, and `note` says why. `majority` is the share of LoRAs of the
    largest label: the majority-class baseline.
    """
    if hypothesis.silent:
        return [_row(metric, note=hypothesis.silent) for metric in (*COSINES, *NEIGHBOURS)]
    draws = _draws(works, seed)
    return _cosines(distances, works, hypothesis, draws) + score_topk(distances, works, hypothesis, seed, nulls)


def score_classifiers(distances: np.ndarray, works: np.ndarray, hypothesis: Hypothesis, seed: int) -> list[dict]:
    """Score one space under one hypothesis by `egara.scores.classifiers`: centroid, probe and silhouette.

    Rows as `score_distances` gives them. What is held out together is a LoRA, for other works only a work. No formula
    gives these scores' chance: it is the null's mean.
    """
    if hypothesis.silent:
        return [_row(metric, note=hypothesis.silent) for metric in METHODS]
    draws = _draws(works, seed)
    folds = make_folds(1.0 - distances, hypothesis.folds)
    found = classify(folds, hypothesis.labels[None])
    permuted = classify(folds, hypothesis.permuted)
    rows = []
    for metric in METHODS:
        values = np.where(hypothesis.counted, found[metric][0], np.nan)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a permutation may leave nothing to count
            null = np.nanmean(np.where(hypothesis.counted_permuted, permuted[metric], np.nan), axis=1)
        sums = np.bincount(works, weights=np.nan_to_num(values))
        counts = np.bincount(works, weights=np.isfinite(values))
        with np.errstate(invalid="ignore"):
            bootstrap = (draws @ sums) / (draws @ counts)
        value = float(np.nanmean(values)) if counts.any() else math.nan
        chance = float(np.nanmean(null)) if np.isfinite(null).any() else math.nan
        rows.append(_row(metric, value, chance, null, bootstrap, hypothesis, majority=metric != "silhouette"))
    return rows


def score_variance(
    products: np.ndarray, authors: np.ndarray, works: np.ndarray, name: str, hypothesis: Hypothesis, seed: int
) -> list[dict]:
    """Score how much of the variance of centred inner products authors, or works within authors, explain.

    Rows as `score_distances` gives them, metric `variance`, under two hypotheses: author_across_works, authors permuted
    over works; work, works permuted over each author's LoRAs, chance exact. Sets explain the rest.
    """
    if name == "author":
        return []
    alone = nothing_to_tell("author_across_works", authors, works) == "no author has two works"
    if silent := hypothesis.silent or ("no author has two works" if alone else ""):
        return [_row("variance", note=silent)]
    share = shares(products, authors, works)
    total = float(np.trace(products))
    column = ("author_across_works", "work").index(name)
    bootstrap = bootstrap_shares(products, authors, works, _draws(works, seed))[:, column]
    everyone = replace(hypothesis, counted=np.ones(len(works), dtype=bool))
    if name == "author_across_works":
        null = between_group_ss(products, hypothesis.permuted) / total
        return [_row("variance", share.author, float(null.mean()), null, bootstrap, everyone, majority=False)]
    generator = stream(seed, "scores", "variance")
    permuted = permute_within(works, authors, len(hypothesis.permuted), generator)
    null = between_group_ss(products, permuted) / total - share.author
    chance = chance_of_work(products, authors, works)
    return [_row("variance", share.work, chance, null, bootstrap, everyone, majority=False)]


def empty_rows(name: str, note: str) -> list[dict]:
    """Return the rows of all metrics of a hypothesis without values; `note` says why there are none."""
    metrics = (*COSINES, *NEIGHBOURS, *METHODS, *(() if name == "author" else ("variance",)))
    return [_row(metric, note=note) for metric in metrics]


def _cosines(distances: np.ndarray, works: np.ndarray, hypothesis: Hypothesis, draws: np.ndarray) -> list[dict]:
    pairs = pairs_of_labels(distances, hypothesis.eligible, hypothesis.labels, works)
    values, bootstraps = pairs.means(), pairs.means(draws)
    null = null_of_labels(distances, hypothesis.eligible, hypothesis.permuted, hypothesis.pairs_permuted)
    pooled = float(distances[hypothesis.eligible].mean()) if hypothesis.eligible.any() else math.nan
    chances = {"cosine_intra": pooled, "cosine_inter": pooled, "cosine_difference": 0.0}
    return [
        _row(
            metric,
            float(values[metric]),
            chance,
            null[metric],
            bootstraps[metric],
            hypothesis,
            metric == "cosine_intra",
            False,
        )
        for metric, chance in chances.items()
    ]


def score_topk(
    distances: np.ndarray,
    works: np.ndarray,
    hypothesis: Hypothesis,
    seed: int,
    nulls: dict[str, np.ndarray] | None = None,
    metrics: tuple[str, ...] = tuple(NEIGHBOURS),
) -> list[dict]:
    """Score Top-1 and Top-5 alone, or one of them, as `score_distances` does."""
    if hypothesis.silent:
        return [_row(metric, note=hypothesis.silent) for metric in metrics]
    draws = _draws(works, seed)
    neighbours = nearest(distances, hypothesis.eligible, max(NEIGHBOURS[metric] for metric in metrics))
    same = (hypothesis.eligible & (hypothesis.labels[:, None] == hypothesis.labels[None, :])).sum(axis=1)
    candidates = hypothesis.eligible.sum(axis=1)
    counted = np.bincount(works, weights=hypothesis.counted)
    rows = []
    for metric in metrics:
        count = NEIGHBOURS[metric]
        hit = topk_hits(neighbours, hypothesis.labels, count)
        hit_permuted = topk_hits(neighbours, hypothesis.permuted, count)
        null = (hit_permuted & hypothesis.counted_permuted).sum(axis=1) / hypothesis.counted_permuted.sum(axis=1)
        if metric == "top1" and nulls is not None:
            nulls[metric] = null
        found = np.bincount(works, weights=hit & hypothesis.counted)
        with np.errstate(invalid="ignore"):
            bootstrap = (draws @ found) / (draws @ counted)
        chance = float(expected_topk_accuracy(same, candidates, count)[hypothesis.counted].mean())
        if chance > 1 - 1e-9:
            rows.append(_row(metric, note=f"chance is 1 with {count} neighbours among so few"))
            continue
        rows.append(_row(metric, float(hit[hypothesis.counted].mean()), chance, null, bootstrap, hypothesis))
    return rows


def _draws(works: np.ndarray, seed: int) -> np.ndarray:
    """How often each work is drawn, of shape (BOOTSTRAPS, n_works); no draws for one work, which has no spread."""
    count = int(works.max()) + 1
    draws = stream(seed, "scores", "bootstrap").multinomial(count, np.full(count, 1 / count), BOOTSTRAPS)
    return draws[: BOOTSTRAPS if count > 1 else 0].astype(float)


def _row(
    metric: str,
    value: float = math.nan,
    chance: float = math.nan,
    null: np.ndarray | None = None,
    bootstrap: np.ndarray | None = None,
    hypothesis: Hypothesis | None = None,
    low_is_evidence: bool = False,
    majority: bool = True,
    note: str = "",
) -> dict:
    row = {"metric": metric, "value": value, "chance": math.nan, "p": math.nan, "low": math.nan, "high": math.nan}
    row |= {"n": 0, "null_mean": math.nan, "majority": math.nan, "note": note}
    if hypothesis is None or not math.isfinite(value):
        return row
    row |= {"chance": chance, "n": int(hypothesis.counted.sum())}
    if majority:
        row["majority"] = float(np.bincount(hypothesis.labels[hypothesis.counted]).max() / hypothesis.counted.sum())
    row["p"] = p_value(null, value, hypothesis.exhaustive, low_is_evidence)
    if np.isfinite(null).any():
        row["null_mean"] = float(np.nanmean(null))
    bootstrap = bootstrap[np.isfinite(bootstrap)]
    if len(bootstrap):
        row["low"], row["high"] = (float(x) for x in np.percentile(bootstrap, [2.5, 97.5]))
    return row
