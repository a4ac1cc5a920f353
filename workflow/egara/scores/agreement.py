"""Agreement of clusters with works and authors, beside chance.

Noise: LoRAs that HDBSCAN leaves out (label -1) count as one more group. So a map of noise alone agrees with nothing
(AMI 0), and leaving out hard LoRAs cannot raise a score, as dropping them would; making each a cluster of its own
would raise homogeneity instead. The noise share stands beside the scores.

Levels are those of the scores. `work` and `author` permute labels over LoRAs: AMI and ARI then have chance 0 by
construction. `author_across_works` has the same agreement with authors, but exchanges authors among whole works:
clusters that are works lie within authors whoever drew them, and that much agreement is its chance level.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from egara.scores.labels import authors_by_work, codes, nothing_to_tell
from egara.scores.permutations import Relabellings, exchange, p_value, permute
from egara.seeds import stream

if TYPE_CHECKING:
    import pandas as pd

AGREEMENTS = ("ami", "ari", "homogeneity", "completeness")


def agreements(clusters: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Agreement of one clustering with many labellings at once.

    Parameters
    ----------
    clusters : (n,) int.
    labels : (count, n) int, not negative.

    Returns
    -------
    ami (arithmetic mean of the entropies, Vinh et al. 2010), ari (Hubert & Arabie 1985), homogeneity, completeness
    (Rosenberg & Hirschberg 2007), each (count,) and equal to scikit-learn's.
    """
    groups = (clusters[:, None] == np.unique(clusters)[None, :]).astype(float)  # (n, clusters)
    present = np.flatnonzero(np.bincount(labels.ravel()))
    tables = np.stack([(labels == label).astype(float) @ groups for label in present], axis=1)
    total = float(len(clusters))
    sizes, classes = tables.sum(axis=1), tables.sum(axis=2)  # (count, clusters), (count, labels)
    of_clusters, of_labels = _entropy(sizes, total), _entropy(classes, total)
    shared = np.maximum(of_clusters + of_labels - _entropy(tables.reshape(len(tables), -1), total), 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        homogeneity = np.where(of_labels > 0, shared / of_labels, 1.0)
        completeness = np.where(of_clusters > 0, shared / of_clusters, 1.0)
        expected = _expected_information(tables)
        ami = (shared - expected) / ((of_clusters + of_labels) / 2 - expected)
        both, rows, columns = (_pairs(x).sum(axis=-1) for x in (tables.reshape(len(tables), -1), sizes, classes))
        mean = rows * columns / _pairs(total)
        ari = (both - mean) / ((rows + columns) / 2 - mean)
    # One group on each side agrees wholly; one group against several says nothing.
    alone = (sizes.shape[1] == 1, classes.shape[1] == 1)
    if any(alone):
        ami = ari = np.full(len(labels), float(all(alone)))
    return dict(zip(AGREEMENTS, (ami, ari, homogeneity, completeness), strict=True))


def _entropy(counts: np.ndarray, total: float) -> np.ndarray:
    shares = counts / total
    return -(shares * np.log(np.where(shares > 0, shares, 1.0))).sum(axis=-1)


def _pairs(counts: np.ndarray | float) -> np.ndarray | float:
    return counts * (counts - 1) / 2


def _expected_information(tables: np.ndarray) -> np.ndarray:
    """Expected mutual information; it depends on class sizes only, which relabelling seldom changes."""
    from sklearn.metrics.cluster import expected_mutual_information

    known: dict[tuple, float] = {}
    values = []
    for table in tables.astype(np.int64):
        key = tuple(sorted(table.sum(axis=1)))
        if key not in known:
            known[key] = expected_mutual_information(table, int(table.sum()))
        values.append(known[key])
    return np.array(values)


@lru_cache(maxsize=8)
def _relabel(
    level: str, authors: tuple[int, ...], works: tuple[int, ...], permutations: int, seed: int
) -> Relabellings:
    """Labels (relabellings, n) under a level's null, drawn once for all maps of the same LoRAs."""
    generator = stream(seed, "clusters", level)
    if level != "author_across_works":
        return permute(np.array(works if level == "work" else authors), permutations, generator)
    relabelled, exact = exchange(authors_by_work(np.array(authors), np.array(works)), permutations, generator)
    return Relabellings(relabelled[:, works], exact)


def compare(clusters: np.ndarray, index: "pd.DataFrame", level: str, permutations: int, seed: int) -> dict:
    """Agreement of clusters (n,) with the works or authors of `index`, with chance levels and permutation p-values.

    `chance` and `p` belong to AMI; `ari_`, `homogeneity_` and `completeness_` go before those of the others. The
    chance of homogeneity and completeness, and all chance levels of author_across_works, are means under the null.
    Where so few labels tell nothing there are no values, and `note` says why.
    """
    authors, works = codes(index["author"]), codes(index["work"])
    counts = {"noise": float(np.mean(clusters == -1)), "clusters": len(set(clusters.tolist()) - {-1})}
    if note := nothing_to_tell(level, authors, works):
        scores = dict.fromkeys([*AGREEMENTS, *_beside("chance"), *_beside("p")], np.nan)
        return {"level": level, **scores, **counts, "n": len(clusters), "note": note}
    labels = works if level == "work" else authors
    relabelled, exact = _relabel(level, tuple(authors.tolist()), tuple(works.tolist()), permutations, seed)
    values = {name: float(value[0]) for name, value in agreements(clusters, labels[None, :]).items()}
    null = agreements(clusters, relabelled)
    row = {"level": level, **values, **counts, "n": len(clusters), "note": ""}
    for name, chance, p in zip(AGREEMENTS, _beside("chance"), _beside("p"), strict=True):
        adjusted = name in ("ami", "ari") and level != "author_across_works"
        row[chance] = 0.0 if adjusted else float(null[name].mean())
        row[p] = p_value(null[name], values[name], exact)
    return row


def _beside(kind: str) -> list[str]:
    """Names of what stands beside the agreements; AMI's have no prefix."""
    return [kind if name == "ami" else f"{name}_{kind}" for name in AGREEMENTS]
