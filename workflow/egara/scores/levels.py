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
"""

import math
from dataclasses import dataclass

import numpy as np

from egara.scores.chance import chance_of_hit
from egara.scores.distances import null_of_labels, pairs_of_labels
from egara.scores.labels import authors_by_work
from egara.scores.neighbours import hits, nearest
from egara.scores.permutations import exchange, p_value, permute
from egara.seeds import stream

LEVELS = ("work", "author", "author_across_works")
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


def describe_level(level: str, authors: np.ndarray, works: np.ndarray, permutations: int, seed: int) -> Level:
    """Set up a level from codes (n,) of authors and works; the null depends on seed, level and labels only."""
    count = len(works)
    generator = stream(seed, "scores", level)
    if level != "author_across_works":
        labels = works if level == "work" else authors
        relabelled, exact = permute(labels, permutations, generator)
        everyone = np.ones(count, dtype=bool)
        return Level(labels, ~np.eye(count, dtype=bool), everyone, relabelled, exact, np.ones_like(relabelled, bool))
    by_work = authors_by_work(authors, works)
    relabelled, exact = exchange(by_work, permutations, generator)
    relabelled = relabelled[:, works]
    several = np.bincount(by_work) > 1  # authors with several works: as many under the null
    return Level(authors, works[:, None] != works[None, :], several[authors], relabelled, exact, several[relabelled])


def score_level(distances: np.ndarray, works: np.ndarray, level: Level, seed: int) -> list[dict]:
    """Score one space at one level.

    Parameters
    ----------
    distances : (n, n) cosine distances.
    works : (n,) codes of works, the units of the bootstrap.
    level : what is compared.

    Returns
    -------
    One row a metric: metric, value, chance, p, low, high, n, null_mean. cosine_intra and cosine_inter are means over
    pairs, cosine_difference is inter - intra, top1 and top5 the share of LoRAs with a neighbour of their label among
    the nearest one or five. `chance` is exact from class sizes; `null_mean` is the mean under the level's null,
    which for top5 over other works is lower than chance where neighbours come from few works. p is one-sided:
    small intra, large everything else. low and high bound 95 % of bootstrap values: works are drawn with
    replacement and the pairs and hits of their LoRAs pooled again, neighbours staying as they are. n is the number
    of LoRAs counted; where it is 0 there is no value.
    """
    if not level.counted.any():
        return [_row(metric) for metric in ("cosine_intra", "cosine_inter", "cosine_difference", *NEIGHBOURS)]
    draws = _draws(works, seed)
    return _cosines(distances, works, level, draws) + _hits(distances, works, level, draws)


def _cosines(distances: np.ndarray, works: np.ndarray, level: Level, draws: np.ndarray) -> list[dict]:
    pairs = pairs_of_labels(distances, level.eligible, level.labels, works)
    values, bootstraps = pairs.means(), pairs.means(draws)
    null = null_of_labels(distances, level.eligible, level.relabelled)
    pooled = float(distances[level.eligible].mean()) if level.eligible.any() else math.nan
    chances = {"cosine_intra": pooled, "cosine_inter": pooled, "cosine_difference": 0.0}
    return [
        _row(metric, float(values[metric]), chance, null[metric], bootstraps[metric], level, metric == "cosine_intra")
        for metric, chance in chances.items()
    ]


def _hits(distances: np.ndarray, works: np.ndarray, level: Level, draws: np.ndarray) -> list[dict]:
    neighbours = nearest(distances, level.eligible, max(NEIGHBOURS.values()))
    same = (level.eligible & (level.labels[:, None] == level.labels[None, :])).sum(axis=1)
    candidates = level.eligible.sum(axis=1)
    counted = np.bincount(works, weights=level.counted)
    rows = []
    for metric, count in NEIGHBOURS.items():
        hit = hits(neighbours, level.labels, count)
        hit_then = hits(neighbours, level.relabelled, count)
        null = (hit_then & level.counted_then).sum(axis=1) / level.counted_then.sum(axis=1)
        found = np.bincount(works, weights=hit & level.counted)
        with np.errstate(invalid="ignore"):
            bootstrap = (draws @ found) / (draws @ counted)
        chance = float(chance_of_hit(same, candidates, count)[level.counted].mean())
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
) -> dict:
    row = {"metric": metric, "value": value, "chance": math.nan, "p": math.nan, "low": math.nan, "high": math.nan}
    row |= {"n": 0, "null_mean": math.nan}
    if level is None or not math.isfinite(value):
        return row
    row |= {"chance": chance, "n": int(level.counted.sum())}
    row["p"] = p_value(null, value, level.exact, low_is_evidence)
    if np.isfinite(null).any():
        row["null_mean"] = float(np.nanmean(null))
    bootstrap = bootstrap[np.isfinite(bootstrap)]
    if len(bootstrap):
        row["low"], row["high"] = (float(x) for x in np.percentile(bootstrap, [2.5, 97.5]))
    return row
