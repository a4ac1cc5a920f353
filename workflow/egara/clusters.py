"""Cluster projections with HDBSCAN.

`egara.scores.clusters` tests how the clusters agree with works and authors.
"""

import numpy as np

from egara.io.progress import logger, parser
from egara.settings import Clusters
from egara.settings.arguments import add_setting
from egara.weights.geometry import read_maps


def find_clusters(points: np.ndarray, min_cluster_size: int, min_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Cluster points of shape (n_loras, n_components) with HDBSCAN, by Euclidean distance.

    With fewer points than `min_cluster_size` or `min_samples`, or points that are one, everything is noise.

    Returns
    -------
    Cluster of each point, int, -1 for noise, and its membership probability, each of shape (n_loras,).
    """
    if len(points) < max(min_cluster_size, min_samples + 1) or not np.ptp(points, axis=0).any():
        return np.full(len(points), -1), np.zeros(len(points))
    from hdbscan import HDBSCAN

    model = HDBSCAN(min_cluster_size=min_cluster_size, min_samples=min_samples, core_dist_n_jobs=1).fit(points)
    return model.labels_.astype(int), model.probabilities_


def main(argv: list[str] | None = None) -> None:
    """Read maps and write the cluster of every LoRA."""
    arguments = parser(__doc__)
    arguments.add_argument("--maps", required=True, nargs="+", metavar="NAME=TSV", help="maps, as pca=pca.tsv")
    add_setting(arguments, Clusters, "min_cluster_size")
    add_setting(arguments, Clusters, "min_samples")
    arguments.add_argument("--output", required=True, help="clusters to write, one row a map and LoRA (.tsv)")
    options = arguments.parse_args(argv)
    if options.min_cluster_size < 2 or options.min_samples < 1:
        arguments.error("--min-cluster-size must be at least 2, --min-samples at least 1")

    import pandas as pd

    from egara.io.tables import write_tsv

    log = logger("clusters")
    labelled = []
    for name, (points, index) in read_maps(options.maps).items():
        clusters, probabilities = find_clusters(points, options.min_cluster_size, options.min_samples)
        table = index.assign(cluster=clusters, probability=probabilities)
        table.insert(0, "map", name)
        labelled.append(table)
        found = len(set(clusters.tolist()) - {-1})
        noise = int(np.count_nonzero(clusters == -1))
        log.info(
            "%s: %d clusters, %d of %d LoRAs are noise (%.0f %%)",
            name,
            found,
            noise,
            len(points),
            100 * noise / len(points),
        )
        if not found:
            sizes = (options.min_cluster_size, options.min_samples)
            log.warning("%s: no cluster with min_cluster_size %d and min_samples %d", name, *sizes)
    write_tsv(options.output, pd.concat(labelled))
