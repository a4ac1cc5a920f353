"""A two-dimensional map with the outlines of HDBSCAN's clusters; LoRAs that HDBSCAN leaves out are hollow."""

from typing import TYPE_CHECKING

import numpy as np

from egara.figures.components import EQUAL, scatter
from egara.figures.style import METHODS, add_legend, add_title, describe_setting, save, set_theme, strip, undrawable
from egara.io.errors import EgaraError, counted, run
from egara.io.progress import logger, parser
from egara.io.tables import read_tsv
from egara.weights.geometry import read_maps

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

PADDING = 0.022  # of the wider side of the map


def read_clusters(path: str, name: str, index: "pd.DataFrame") -> np.ndarray:
    """Read the clusters (n,) int of the map `name`, checked against the rows of the map.

    Raises
    ------
    EgaraError : no row of this map, or rows of other LoRAs.
    """
    keys = ["author", "work", "set"]
    table = read_tsv(path, ["map", *keys, "cluster"], text=["map", *keys])
    table = table[table["map"] == name].reset_index(drop=True)
    if not table[keys].equals(index[keys].reset_index(drop=True)):
        raise EgaraError(f"{path}: its rows of the map {name} are not the map's LoRAs, in the same order")
    return table["cluster"].to_numpy(dtype=int)


def outline(points: np.ndarray, padding: float) -> np.ndarray:
    """Corners (m, 2) of the convex hull of circles of radius `padding` around points (n, 2)."""
    from scipy.spatial import ConvexHull

    turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    circle = padding * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    corners = (points[:, None, :] + circle[None, :, :]).reshape(-1, 2)
    return corners[ConvexHull(corners).vertices]


def draw_clusters(points: np.ndarray, index: "pd.DataFrame", clusters: np.ndarray, title: tuple[str, str]) -> "Figure":
    """Draw a map (n, 2) with its clusters (n,), -1 for noise, under a title of two lines."""
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
    add_title(figure, *title)
    noise = Line2D(
        [], [], linestyle="none", marker="o", markerfacecolor="none", color="0.3", markersize=5, label="hollow: noise"
    )
    add_legend(figure, list(zip(index["author"], index["work"], strict=True)), [noise])
    return figure


def main(argv: list[str] | None = None) -> None:
    """Read a map and its clusters and draw them."""
    arguments = parser(__doc__)
    arguments.add_argument("--map", required=True, help="coordinates, two a LoRA (.tsv)")
    arguments.add_argument("--clusters", required=True, help="clusters (hdbscan.tsv)")
    arguments.add_argument("--name", default="umap", help="which map of the clusters")
    arguments.add_argument("--cell", required=True, help="cell of the training grid, as in paths")
    arguments.add_argument("--representation", required=True, help="how a LoRA became a point, for the title")
    arguments.add_argument("--l2", required=True, choices=["on", "off"], help="L2 setting, for the title")
    arguments.add_argument("--output", required=True, nargs="+", help="figures to write (.svg, .png)")
    options = arguments.parse_args(argv)
    points, index = read_maps([f"map={options.map}"])["map"]
    if points.shape[1] < 2:
        raise EgaraError(f"{options.map}: one coordinate a LoRA; a scatter plot needs two")
    clusters = read_clusters(options.clusters, options.name, index)
    set_theme()
    log = logger("figures")
    if boxes := undrawable([*index["author"], *index["work"]]):
        log.warning("no installed font has %s; SVG viewers may find one, a PNG shows boxes", boxes)
    setting = describe_setting(options.cell, options.representation, options.l2)
    method = METHODS.get(options.name, options.name)
    found, noise = len(set(clusters.tolist()) - {-1}), float(np.mean(clusters == -1))
    clustered = (
        f"outlines: {counted(found, 'cluster')} of HDBSCAN, hollow: the {100 * noise:.0f} % that it leaves out"
        if found
        else "HDBSCAN finds no cluster and leaves all out, so all are hollow"
    )
    caption = (
        f"{method} of {counted(len(index), 'LoRA')} of {counted(index['work'].nunique(), 'work')}; {clustered}; "
        "colour: author, marker: work. Gaps between far groups have no scale."
    )
    if not points.any():
        caption = f"{EQUAL.format(count=len(index))}. {caption}"
    title = f"{method} and HDBSCAN: {setting}"
    figure = draw_clusters(points[:, :2], index, clusters, (f"{method} and clusters of HDBSCAN", setting))
    save(figure, options.output, title, caption, ["clusters", options.name, setting])
    log.info("%d clusters, noise %.2f: %s", found, noise, options.output[0])


if __name__ == "__main__":
    run(main)
