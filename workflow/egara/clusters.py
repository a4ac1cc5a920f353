"""Cluster maps with HDBSCAN and compare the clusters with works and authors.

Noise: LoRAs that HDBSCAN leaves out (label -1) count as one more group. So a map of noise alone agrees with nothing
(AMI 0), and leaving out hard LoRAs cannot raise a score, as dropping them would; making each a cluster of its own
would raise homogeneity instead. The noise share stands beside the scores.

Levels are those of the scores. `work` and `author` permute labels over LoRAs: AMI and ARI then have chance 0 by
construction. `author_across_works` has the same agreement with authors, but exchanges authors among whole works:
clusters that are works lie within authors whoever drew them, and that much agreement is its chance level.
"""

from typing import TYPE_CHECKING

import numpy as np

from egara.errors import run
from egara.progress import logger, parser
from egara.scores.labels import authors_by_work, codes
from egara.scores.permutations import exchange, p_value, permute
from egara.seeds import stream
from egara.vectors.geometry import read_maps

if TYPE_CHECKING:
    import pandas as pd

LEVELS = ("work", "author", "author_across_works")
AGREEMENTS = ("ami", "ari", "homogeneity", "completeness")


def find_clusters(points: np.ndarray, min_cluster_size: int, min_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """HDBSCAN of points (n, k), Euclidean: cluster (n,) int, -1 for noise, and membership probability (n,).

    With fewer points than `min_cluster_size` or `min_samples` everything is noise.
    """
    if len(points) < max(min_cluster_size, min_samples + 1):
        return np.full(len(points), -1), np.zeros(len(points))
    from hdbscan import HDBSCAN

    model = HDBSCAN(min_cluster_size=min_cluster_size, min_samples=min_samples, core_dist_n_jobs=1).fit(points)
    return model.labels_.astype(int), model.probabilities_


def agreements(clusters: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Agreement of one clustering with many labellings at once.

    Parameters
    ----------
    clusters : (n,) int.
    labels : (count, n) int.

    Returns
    -------
    ami (arithmetic mean of the entropies, Vinh et al. 2010), ari (Hubert & Arabie 1985), homogeneity, completeness
    (Rosenberg & Hirschberg 2007), each (count,) and equal to scikit-learn's.
    """
    groups = (clusters[:, None] == np.unique(clusters)[None, :]).astype(float)  # (n, clusters)
    tables = np.stack([(labels == label).astype(float) @ groups for label in np.unique(labels)], axis=1)
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


def compare(clusters: np.ndarray, index: "pd.DataFrame", level: str, permutations: int, seed: int) -> dict:
    """Agreement of clusters (n,) with the works or authors of `index`, with chance levels and permutation p-values.

    `chance` and `p` belong to AMI; `ari_`, `homogeneity_` and `completeness_` go before those of the others. The
    chance of homogeneity and completeness, and all chance levels of author_across_works, are means under the null.
    """
    authors, works = codes(index["author"]), codes(index["work"])
    labels = works if level == "work" else authors
    generator = stream(seed, "clusters", level)
    if level == "author_across_works":
        relabelled, exact = exchange(authors_by_work(authors, works), permutations, generator)
        relabelled = relabelled[:, works]
    else:
        relabelled, exact = permute(labels, permutations, generator)
    values = {name: float(value[0]) for name, value in agreements(clusters, labels[None, :]).items()}
    null = agreements(clusters, relabelled)
    row = {"level": level, **values, "noise": float(np.mean(clusters == -1))}
    row |= {"clusters": len(set(clusters.tolist()) - {-1}), "n": len(clusters)}
    for name in AGREEMENTS:
        prefix = "" if name == "ami" else f"{name}_"
        adjusted = name in ("ami", "ari") and level != "author_across_works"
        row[f"{prefix}chance"] = 0.0 if adjusted else float(null[name].mean())
        row[f"{prefix}p"] = p_value(null[name], values[name], exact)
    return row


def main(argv: list[str] | None = None) -> None:
    """Read maps and write the clusters of every LoRA and their agreement with works and authors."""
    arguments = parser(__doc__)
    arguments.add_argument("--maps", required=True, nargs="+", metavar="NAME=TSV", help="maps, as pca=pca.tsv")
    arguments.add_argument("--min-cluster-size", type=int, default=10, help="LoRAs that make a cluster")
    arguments.add_argument("--min-samples", type=int, default=1, help="higher calls more LoRAs noise")
    arguments.add_argument("--permutations", type=int, default=999, help="relabellings a null distribution")
    arguments.add_argument("--seed", type=int, required=True, help="study seed")
    arguments.add_argument("--output", required=True, help="clusters to write, one row a map and LoRA (.tsv)")
    arguments.add_argument("--agreement", required=True, help="agreement to write, one row a map and level (.tsv)")
    options = arguments.parse_args(argv)
    if options.min_cluster_size < 2 or options.min_samples < 1 or options.permutations < 1:
        arguments.error("--min-cluster-size must be at least 2, --min-samples and --permutations at least 1")

    import pandas as pd

    from egara.files import write_tsv

    log = logger("clusters")
    labelled, rows = [], []
    for name, (points, index) in read_maps(options.maps).items():
        clusters, probabilities = find_clusters(points, options.min_cluster_size, options.min_samples)
        if len(points) < options.min_cluster_size:
            log.info("%s: %d LoRAs, fewer than a cluster needs: all are noise", name, len(points))
        table = index.assign(cluster=clusters, probability=probabilities)
        table.insert(0, "map", name)
        labelled.append(table)
        rows += [
            {"map": name, **compare(clusters, index, level, options.permutations, options.seed)} for level in LEVELS
        ]
        log.info("%s: %d clusters, noise %.2f", name, rows[-1]["clusters"], rows[-1]["noise"])
    write_tsv(options.output, pd.concat(labelled))
    write_tsv(options.agreement, pd.DataFrame(rows))


if __name__ == "__main__":
    run(main)
