"""Components 1 and 2, 41 and 42 of a projection, as in the paper's Figures 2-5: colour by author, marker by work."""

from typing import TYPE_CHECKING

import numpy as np

from egara.figures.registry import Plot, Request, figure
from egara.figures.style import add_legend, author_colours, warn_of_boxes, work_markers
from egara.io.errors import EgaraError, counted
from egara.io.tables import read_tsv
from egara.seeds import stream
from egara.vocabulary import PROJECTIONS
from egara.weights.geometry import read_maps

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PUBLISHED = ((1, 2), (41, 42))
EQUAL = "The {count} LoRAs do not differ: all are at one point"
TITLE = "Components 1–2 and 41–42 (the paper's Figures 2–5)"
REMARK = (
    "The paper shows IncrementalPCA of the factors; other representations are in exact PCA. Do the points of one work, "
    "or of one author, form groups?"
)


@figure("ipca", title=TITLE, remark=REMARK, inputs=("ipca", "ipca_variance"), per="space", order=30)
@figure("pca", title=TITLE, remark=REMARK, inputs=("pca", "pca_variance"), per="space", order=31, unless="ipca")
def plot_projection(request: Request) -> Plot:
    """Scatter the published components of a projection, or the last ones of fewer."""
    path, variance = (request.file(kind) for kind in (request.name, f"{request.name}_variance"))
    points, index = read_maps([f"map={path}"])["map"]
    ratios = read_tsv(variance, ["component", "ratio"])["ratio"].to_numpy(dtype=float)
    if len(ratios) != points.shape[1]:
        raise EgaraError(f"{variance}: {len(ratios)} components, but {path} has {points.shape[1]}")
    warn_of_boxes([*index["author"], *index["work"]])
    method = PROJECTIONS[request.name]
    if not points.any():
        return Plot(None, f"{EQUAL.format(count=len(index))}, so no component is defined.", method)
    pairs = " and ".join(f"{a}–{b}" for a, b in choose_components(points.shape[1]))
    what = f"Components {pairs}" if points.shape[1] > 1 else "The only component"
    caption = (
        f"{what} of {method}: {counted(len(index), 'LoRA')} of {counted(index['work'].nunique(), 'work')} by "
        f"{counted(index['author'].nunique(), 'author')}. Colour: author; marker: work."
    )
    return Plot(plot_components(points, index, ratios), caption, method)


def choose_components(count: int) -> list[tuple[int, int]]:
    """Return the pairs of components to plot, counted from 1: the published ones, or the last two of fewer.

    A single component gives one pair, whose second is 0 for all LoRAs.
    """
    if count < 2:
        return [PUBLISHED[0]]
    return list(dict.fromkeys(pair if pair[1] <= count else (count - 1, count) for pair in PUBLISHED))


def plot_components(points: np.ndarray, index: "pd.DataFrame", ratios: np.ndarray) -> "Figure":
    """Plot one panel for each pair of components.

    Parameters
    ----------
    points : coordinates, of shape (n_loras, n_components).
    index : author and work of each row.
    ratios : share of the variance of each component, of shape (n_components,).
    """
    from matplotlib import pyplot

    pairs, single = choose_components(points.shape[1]), points.shape[1] == 1
    if single:
        points, ratios = np.pad(points, ((0, 0), (0, 1))), np.pad(ratios, (0, 1))
    figure, panels = pyplot.subplots(
        1, len(pairs), figsize=(4.8 * len(pairs) + 1.4 * single, 4.3), squeeze=False, layout="constrained"
    )
    for axes, pair, wanted in zip(panels[0], pairs, PUBLISHED, strict=False):
        first, second = pair
        scatter(axes, points[:, [first - 1, second - 1]], index)
        note = "" if pair == wanted else f" (the last two; published: {wanted[0]} and {wanted[1]})"
        axes.set_title("The only component" if single else f"Components {first} and {second}{note}")
        axes.set_xlabel(f"component {first} ({100 * ratios[first - 1]:.1f} % of variance)")
        axes.set_ylabel("no second component" if single else f"component {second} ({100 * ratios[second - 1]:.1f} %)")
        axes.ticklabel_format(style="sci", scilimits=(-2, 3), useMathText=True)
    add_legend(figure, list(zip(index["author"], index["work"], strict=True)))
    return figure


def scatter(axes: "Axes", points: np.ndarray, index: "pd.DataFrame", hollow: np.ndarray | None = None) -> None:
    """Scatter points of shape (n_loras, 2) in mixed order, so that no author covers the others.

    `hollow`, bool of shape (n_loras,), marks the points to show as outlines.
    """
    from matplotlib.markers import MarkerStyle

    hollow = np.zeros(len(points), bool) if hollow is None else hollow
    colours, markers = author_colours(index["author"]), work_markers(index["work"])
    rows = stream("figures", "order").permutation(np.flatnonzero(~hollow))
    drawn = axes.scatter(
        *points[rows].T, s=34, color=[colours[name] for name in index["author"].iloc[rows]],
        edgecolors="white", linewidths=0.35,
    )  # fmt: skip
    shapes = {work: MarkerStyle(marker) for work, marker in markers.items()}
    paths = {work: shape.get_path().transformed(shape.get_transform()) for work, shape in shapes.items()}
    drawn.set_paths([paths[work] for work in index["work"].iloc[rows]])
    for (author, work), found in index.loc[hollow].groupby(["author", "work"]).groups.items():
        x, y = points[index.index.get_indexer(found)].T
        axes.scatter(x, y, s=22, marker=markers[work], facecolors="none", edgecolors=[colours[author]], linewidths=0.9)
