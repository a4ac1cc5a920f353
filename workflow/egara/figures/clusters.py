"""UMAP with the outlines of HDBSCAN's clusters; LoRAs in no cluster are hollow."""

from typing import TYPE_CHECKING

import numpy as np

from egara.figures.components import EQUAL, scatter
from egara.figures.registry import Plot, Request, figure
from egara.figures.style import add_legend, strip, warn_of_boxes
from egara.io.errors import EgaraError, counted
from egara.io.tables import read_tsv
from egara.vocabulary import PROJECTIONS
from egara.weights.geometry import read_maps

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

PADDING = 0.022  # of the wider side of the projection


@figure(
    "umap", title="UMAP and clusters of HDBSCAN", inputs=("umap", "clusters"), per="space", order=50,
    remark="For a first look only: UMAP makes groups from noise, too.",
)  # fmt: skip
def plot_umap(request: Request) -> Plot:
    """Scatter UMAP's coordinates and outline the clusters that HDBSCAN finds in them."""
    path = request.file("umap")
    points, index = read_maps([f"map={path}"])["map"]
    if points.shape[1] < 2:
        raise EgaraError(f"{path}: one coordinate per LoRA; a scatter plot needs two")
    clusters = read_clusters(request.file("clusters"), request.name, index)
    warn_of_boxes([*index["author"], *index["work"]])
    found, noise = len(set(clusters.tolist()) - {-1}), float(np.mean(clusters == -1))
    clustered = (
        f"Outlines: {counted(found, 'cluster')} of HDBSCAN; hollow: the {100 * noise:.0f} % of LoRAs in no cluster."
        if found
        else "HDBSCAN finds no cluster, so all are hollow."
    )
    caption = (
        f"{PROJECTIONS[request.name]} of {counted(len(index), 'LoRA')} of {counted(index['work'].nunique(), 'work')}. "
        f"{clustered} Colour: author; marker: work. Distances between groups have no scale."
    )
    if not points.any():
        caption = f"{EQUAL.format(count=len(index))}. {caption}"
    return Plot(plot_clusters(points[:, :2], index, clusters), caption)


def read_clusters(path: str, name: str, index: "pd.DataFrame") -> np.ndarray:
    """Read the clusters in the projection `name`, int of shape (n_loras,), -1 for noise.

    Raises
    ------
    EgaraError : no row of this projection, or other LoRAs than in `index`.
    """
    keys = ["author", "work", "set"]
    table = read_tsv(path, ["map", *keys, "cluster"], text=["map", *keys])
    table = table[table["map"] == name].reset_index(drop=True)
    if not table[keys].equals(index[keys].reset_index(drop=True)):
        raise EgaraError(f"{path}: rows of {name} are not the projection's LoRAs in the same order")
    return table["cluster"].to_numpy(dtype=int)


def outline(points: np.ndarray, padding: float) -> np.ndarray:
    """Return the corners of the convex hull of circles around points.

    Parameters
    ----------
    points : of shape (n_points, 2).
    padding : radius of the circles.

    Returns
    -------
    Corners, of shape (n_corners, 2).
    """
    from scipy.spatial import ConvexHull

    turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    circle = padding * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    corners = (points[:, None, :] + circle[None, :, :]).reshape(-1, 2)
    return corners[ConvexHull(corners).vertices]


def plot_clusters(points: np.ndarray, index: "pd.DataFrame", clusters: np.ndarray) -> "Figure":
    """Plot points of shape (n_loras, 2) and their clusters, of shape (n_loras,), -1 for noise."""
    from matplotlib import patheffects, pyplot
    from matplotlib.lines import Line2D
    from matplotlib.patches import Polygon

    figure, axes = pyplot.subplots(figsize=(7.2, 4.8), layout="constrained")
    padding = PADDING * float(np.ptp(points, axis=0).max() or 1.0)
    for cluster in sorted(set(clusters.tolist()) - {-1}):
        corners = outline(points[clusters == cluster], padding)
        axes.add_patch(Polygon(corners, facecolor="0.5", alpha=0.10, edgecolor="none", zorder=0))
        axes.add_patch(Polygon(corners, facecolor="none", edgecolor="0.45", linewidth=0.8, zorder=0.5))
        top = corners[corners[:, 1].argmax()]
        axes.annotate(
            str(cluster + 1), top, xytext=(0, 3), textcoords="offset points", ha="center", va="bottom", fontsize=8,
            color="0.25", path_effects=[patheffects.withStroke(linewidth=2, foreground="white")],
        )  # fmt: skip
    scatter(axes, points, index, clusters == -1)
    axes.set(xlabel="UMAP 1", ylabel="UMAP 2")
    axes.margins(0.07)
    strip(axes)
    noise = Line2D(
        [], [], linestyle="none", marker="o", markerfacecolor="none", color="0.3", markersize=5, label="hollow: noise"
    )
    add_legend(figure, list(zip(index["author"], index["work"], strict=True)), [noise])
    return figure
