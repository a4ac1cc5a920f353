"""Agreement of clusters with labels, for many labellings at once.

Noise: LoRAs that HDBSCAN leaves out (label -1) count as one more group. So a map of noise alone agrees with nothing
(AMI 0), and leaving out hard LoRAs cannot raise a score, as dropping them would; making each a cluster of its own
would raise homogeneity instead. The noise share is reported with the scores.
"""

import numpy as np

AGREEMENTS = ("ami", "ari", "homogeneity", "completeness")


def agreements(clusters: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Agreement of one clustering with many labellings at once.

    Parameters
    ----------
    clusters : int of shape (n_loras,).
    labels : int of shape (n_labellings, n_loras), not negative.

    Returns
    -------
    ami (arithmetic mean of the entropies, Vinh et al. 2010), ari (Hubert & Arabie 1985), homogeneity, completeness
    (Rosenberg & Hirschberg 2007), each of shape (n_labellings,) and equal to scikit-learn's.
    """
    groups = (clusters[:, None] == np.unique(clusters)[None, :]).astype(float)  # (n_loras, n_clusters)
    present = np.flatnonzero(np.bincount(labels.ravel()))
    tables = np.stack([(labels == label).astype(float) @ groups for label in present], axis=1)
    total = float(len(clusters))
    sizes, classes = tables.sum(axis=1), tables.sum(axis=2)  # (n_labellings, …)
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
    """Expected mutual information; it depends on class sizes only, which permuting seldom changes."""
    from sklearn.metrics.cluster import expected_mutual_information

    cached: dict[tuple, float] = {}
    values = []
    for table in tables.astype(np.int64):
        key = tuple(sorted(table.sum(axis=1)))
        if key not in cached:
            cached[key] = expected_mutual_information(table, int(table.sum()))
        values.append(cached[key])
    return np.array(values)
