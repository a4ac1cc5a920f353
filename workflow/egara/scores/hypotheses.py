"""All scores of a space at one level: work, author, or author over other works only.

work
    Same label = same work. Null: work labels permuted over LoRAs.
author
    Same label = same author, all neighbours: the paper's tables 3 and 4. Null: authors permuted over LoRAs, which
    answers the paper's question; it takes LoRAs of one work for independent, so a small p may only mean that works
    differ.
author_across_works
    Pairs and neighbours from other works only. Same label = same author. LoRAs of authors with a single work have
    nothing to find: they stay candidates but are not counted. Null: authors exchanged among works, all LoRAs of a
    work together.

A level that cannot be asked of so few labels (`egara.scores.labels.nothing_to_tell`) has rows without values; their
`note` says why.
"""

import math
import warnings
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from egara.scores.chance import chance_of_hit
from egara.scores.classifiers import METHODS, judge, make_folds
from egara.scores.distances import count_pairs, null_of_labels, pairs_of_labels
from egara.scores.labels import authors_by_work, nothing_to_tell
from egara.scores.neighbours import hits, nearest
from egara.scores.permutations import exchange, p_value, permute
from egara.scores.variance import chance_of_work, drawn_shares, explained, permute_within, shares
from egara.seeds import stream

LEVELS = ("work", "author", "author_across_works")
COSINES = ("cosine_intra", "cosine_inter", "cosine_difference")
NEIGHBOURS = {"top1": 1, "top5": 5}
BOOTSTRAPS = 2000


@dataclass(frozen=True)
class Level:
    """What a level compares: labels, which pairs count, whose hits count, and all of it under the null."""

    labels: np.ndarray  # (n,) int
    eligible: np.ndarray  # (n, n) bool
    counted: np.ndarray  # (n,) bool
    relabelled: np.ndarray  # (relabellings, n) int
    exact: bool  # whether `relabelled` are all possible ones
    counted_then: np.ndarray  # (relabellings, n) bool
    folds: np.ndarray  # (n,) int: what is left out together, LoRAs or works
    silent: str = ""  # why so few labels tell nothing, whatever the weights hold

    @cached_property
    def pairs_then(self) -> np.ndarray:
        """Ordered pairs of one label under each relabelling, (relabellings,)."""
        return count_pairs(self.eligible, self.relabelled)


def describe_level(level: str, authors: np.ndarray, works: np.ndarray, permutations: int, seed: int) -> Level:
    """Set up a level from codes (n,) of authors and works; the null depends on seed, level and labels only."""
    count, silent = len(works), nothing_to_tell(level, authors, works)
    generator = stream(seed, "scores", level)
    if level != "author_across_works":
        labels = works if level == "work" else authors
        relabelled, exact = permute(labels, permutations, generator)
        everyone = np.ones(count, dtype=bool)
        eligible, counted_then = ~np.eye(count, dtype=bool), np.ones_like(relabelled, bool)
        return Level(labels, eligible, everyone, relabelled, exact, counted_then, np.arange(count), silent)
    by_work = authors_by_work(authors, works)
    relabelled, exact = exchange(by_work, permutations, generator)
    relabelled = relabelled[:, works]
    several = np.bincount(by_work) > 1  # authors with several works: as many under the null
    eligible = works[:, None] != works[None, :]
    return Level(authors, eligible, several[authors], relabelled, exact, several[relabelled], works, silent)


def score_level(
    distances: np.ndarray, works: np.ndarray, level: Level, seed: int, nulls: dict[str, np.ndarray] | None = None
) -> list[dict]:
    """Score one space at one level.

    Parameters
    ----------
    distances : (n, n) cosine distances.
    works : (n,) codes of works, the units of the bootstrap.
    level : what is compared.
    nulls : if given, takes Top-1 under each relabelling (relabellings,), as `top1`.

    Returns
    -------
    One row a metric: metric, value, chance, p, low, high, n, null_mean, majority. cosine_intra and cosine_inter are
    means over pairs, cosine_difference is inter - intra, top1 and top5 the share of LoRAs with a neighbour of their
    label among the nearest one or five. `chance` is exact from class sizes; `null_mean` is the mean under the level's
    null, which for top5 over other works is lower than chance where neighbours come from few works. p is one-sided:
    small intra, large everything else. low and high bound 95 % of bootstrap values: works are drawn with
    replacement and the pairs and hits of their LoRAs pooled again, neighbours staying as they are. n is the number
    of LoRAs counted; where it is 0 there is no value, and `note` says why. `majority` is the share of LoRAs of the
    largest label: what who always answers it scores.
    """
    if level.silent:
        return [_row(metric, note=level.silent) for metric in (*COSINES, *NEIGHBOURS)]
    draws = _draws(works, seed)
    return _cosines(distances, works, level, draws) + score_hits(distances, works, level, seed, nulls)


def judge_level(distances: np.ndarray, works: np.ndarray, level: Level, seed: int) -> list[dict]:
    """Score one space at one level by labels as wholes, `egara.scores.classifiers`: centroid, probe and silhouette.

    Rows as `score_level` gives them. What is left out together is a LoRA, for other works only a work. No formula
    gives these scores' chance: it is the null's mean.
    """
    if level.silent:
        return [_row(metric, note=level.silent) for metric in METHODS]
    draws = _draws(works, seed)
    folds = make_folds(1.0 - distances, level.folds)
    found = judge(folds, level.labels[None])
    then = judge(folds, level.relabelled)
    rows = []
    for metric in METHODS:
        values = np.where(level.counted, found[metric][0], np.nan)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a relabelling may leave nothing to count
            null = np.nanmean(np.where(level.counted_then, then[metric], np.nan), axis=1)
        sums = np.bincount(works, weights=np.nan_to_num(values))
        counts = np.bincount(works, weights=np.isfinite(values))
        with np.errstate(invalid="ignore"):
            bootstrap = (draws @ sums) / (draws @ counts)
        value = float(np.nanmean(values)) if counts.any() else math.nan
        chance = float(np.nanmean(null)) if np.isfinite(null).any() else math.nan
        rows.append(_row(metric, value, chance, null, bootstrap, level, majority=metric != "silhouette"))
    return rows


def score_variance(
    products: np.ndarray, authors: np.ndarray, works: np.ndarray, level: str, described: Level, seed: int
) -> list[dict]:
    """Score how much of the variance of centred products (n, n) authors, or works within authors, explain.

    Rows as `score_level` gives them, metric `variance`, at two levels: author_across_works, authors exchanged among
    works; work, works permuted over each author's LoRAs, chance exact. Sets explain the rest.
    """
    if level == "author":
        return []
    alone = nothing_to_tell("author_across_works", authors, works) == "no author has two works"
    if silent := described.silent or ("no author has two works" if alone else ""):
        return [_row("variance", note=silent)]
    share = shares(products, authors, works)
    total = float(np.trace(products))
    column = ("author_across_works", "work").index(level)
    bootstrap = drawn_shares(products, authors, works, _draws(works, seed))[:, column]
    everyone = replace(described, counted=np.ones(len(works), dtype=bool))
    if level == "author_across_works":
        null = explained(products, described.relabelled) / total
        return [_row("variance", share.author, float(null.mean()), null, bootstrap, everyone, majority=False)]
    generator = stream(seed, "scores", "variance")
    relabelled = permute_within(works, authors, len(described.relabelled), generator)
    null = explained(products, relabelled) / total - share.author
    chance = chance_of_work(products, authors, works)
    return [_row("variance", share.work, chance, null, bootstrap, everyone, majority=False)]


def empty_rows(level: str, note: str) -> list[dict]:
    """Return the rows of all metrics of a level without values: why there are none, says `note`."""
    metrics = (*COSINES, *NEIGHBOURS, *METHODS, *(() if level == "author" else ("variance",)))
    return [_row(metric, note=note) for metric in metrics]


def _cosines(distances: np.ndarray, works: np.ndarray, level: Level, draws: np.ndarray) -> list[dict]:
    pairs = pairs_of_labels(distances, level.eligible, level.labels, works)
    values, bootstraps = pairs.means(), pairs.means(draws)
    null = null_of_labels(distances, level.eligible, level.relabelled, level.pairs_then)
    pooled = float(distances[level.eligible].mean()) if level.eligible.any() else math.nan
    chances = {"cosine_intra": pooled, "cosine_inter": pooled, "cosine_difference": 0.0}
    return [
        _row(
            metric,
            float(values[metric]),
            chance,
            null[metric],
            bootstraps[metric],
            level,
            metric == "cosine_intra",
            False,
        )
        for metric, chance in chances.items()
    ]


def score_hits(
    distances: np.ndarray,
    works: np.ndarray,
    level: Level,
    seed: int,
    nulls: dict[str, np.ndarray] | None = None,
    metrics: tuple[str, ...] = tuple(NEIGHBOURS),
) -> list[dict]:
    """Score Top-1 and Top-5 alone, or one of them, as `score_level` does."""
    if level.silent:
        return [_row(metric, note=level.silent) for metric in metrics]
    draws = _draws(works, seed)
    neighbours = nearest(distances, level.eligible, max(NEIGHBOURS[metric] for metric in metrics))
    same = (level.eligible & (level.labels[:, None] == level.labels[None, :])).sum(axis=1)
    candidates = level.eligible.sum(axis=1)
    counted = np.bincount(works, weights=level.counted)
    rows = []
    for metric in metrics:
        count = NEIGHBOURS[metric]
        hit = hits(neighbours, level.labels, count)
        hit_then = hits(neighbours, level.relabelled, count)
        null = (hit_then & level.counted_then).sum(axis=1) / level.counted_then.sum(axis=1)
        if metric == "top1" and nulls is not None:
            nulls[metric] = null
        found = np.bincount(works, weights=hit & level.counted)
        with np.errstate(invalid="ignore"):
            bootstrap = (draws @ found) / (draws @ counted)
        chance = float(chance_of_hit(same, candidates, count)[level.counted].mean())
        if chance > 1 - 1e-9:
            rows.append(_row(metric, note=f"chance is 1 with {count} neighbours among so few"))
            continue
        rows.append(_row(metric, float(hit[level.counted].mean()), chance, null, bootstrap, level))
    return rows


def _draws(works: np.ndarray, seed: int) -> np.ndarray:
    """How often each work is drawn in each bootstrap: (BOOTSTRAPS, W) float; none for one work, which has no spread."""
    count = int(works.max()) + 1
    draws = stream(seed, "scores", "bootstrap").multinomial(count, np.full(count, 1 / count), BOOTSTRAPS)
    return draws[: BOOTSTRAPS if count > 1 else 0].astype(float)


def _row(
    metric: str,
    value: float = math.nan,
    chance: float = math.nan,
    null: np.ndarray | None = None,
    bootstrap: np.ndarray | None = None,
    level: Level | None = None,
    low_is_evidence: bool = False,
    majority: bool = True,
    note: str = "",
) -> dict:
    row = {"metric": metric, "value": value, "chance": math.nan, "p": math.nan, "low": math.nan, "high": math.nan}
    row |= {"n": 0, "null_mean": math.nan, "majority": math.nan, "note": note}
    if level is None or not math.isfinite(value):
        return row
    row |= {"chance": chance, "n": int(level.counted.sum())}
    if majority:
        row["majority"] = float(np.bincount(level.labels[level.counted]).max() / level.counted.sum())
    row["p"] = p_value(null, value, level.exact, low_is_evidence)
    if np.isfinite(null).any():
        row["null_mean"] = float(np.nanmean(null))
    bootstrap = bootstrap[np.isfinite(bootstrap)]
    if len(bootstrap):
        row["low"], row["high"] = (float(x) for x in np.percentile(bootstrap, [2.5, 97.5]))
    return row
