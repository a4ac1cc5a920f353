"""Where in the network work and author show: a heat map of Top-1 above chance, positions by kinds of layers."""

from typing import TYPE_CHECKING

import numpy as np

from egara.figures.registry import Plot, Request, figure
from egara.io.errors import EgaraError
from egara.scores.layers import ALL
from egara.tables.layers import layer_table
from egara.vocabulary import HYPOTHESES, JUDGED, SIGNIFICANT
from egara.weights.layer_names import KINDS, place_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure

MARGIN = 0.35  # width of the gap before sums


@figure(
    "layers", title="Where in the network", inputs=("layers",), per="space", order=10,
    remark="A LoRA changes many layers, but not all of them carry the work or the author.",
)  # fmt: skip
def plot_scores(request: Request) -> Plot:
    """Plot the scores of single layers, of positions and of kinds of layers."""
    path, (l2,) = request.file("layers"), request.l2
    table = layer_table([path])
    table = table[table["l2"] == l2]
    if table.empty:
        raise EgaraError(f"{path}: no rows with L2 {l2}")
    if not table["value"].notna().any():
        return Plot(None, "No layer has a score: too few works and authors to compare, or LoRAs that do not differ.")
    single = table[table["what"] == "layer"]
    counts = [
        f"{HYPOTHESES[level].label}: {int((part['q'] < SIGNIFICANT).sum())} of {len(part)}"
        for level in JUDGED
        if len(part := single[(single["level"] == level) & single["q"].notna()])
    ]
    caption = (
        "Top-1 minus chance level of every layer alone; right and bottom: of all layers of one position or kind "
        f"together. Dots: q below {SIGNIFICANT} (Benjamini and Hochberg; single layers {', '.join(counts)}). Grey: no "
        "such layer, or no score."
    )
    scores = single.groupby("level")["value"]
    if lost := int((scores.size() - scores.count()).min()):
        of = scores.size().max()
        caption += f" {lost} of {of} layers have no score: too few labels, or LoRAs that do not differ."
    return Plot(plot_layers(table), caption)


def positions_of(table: "pd.DataFrame") -> list[str]:
    """Return the positions in the order in which data pass them."""
    layers = table[table["what"] == "layer"].drop_duplicates("name")
    order = {position: place_of(name).order for name, position in zip(layers["name"], layers["position"], strict=True)}
    return sorted(order, key=order.__getitem__)


def cells_of(table: "pd.DataFrame", positions: list[str], kinds: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return Top-1 above chance and q, each of shape (n_positions + 1, n_kinds + 1); NaN where there is no score.

    The last row and column hold all layers of a kind or position together. A cell with several layers holds their mean
    gain and their greatest q.
    """
    gain = np.full((len(positions) + 1, len(kinds) + 1), np.nan)
    q = gain.copy()
    chosen = table[table["what"].isin(["layer", "position", "kind", "all"])]
    rows = {name: place for place, name in enumerate([*positions, ALL])}
    columns = {name: place for place, name in enumerate([*kinds, ALL])}
    places = chosen.assign(row=chosen["position"].replace("", ALL), column=chosen["kind"].replace("", ALL))
    for (row, column), part in places.groupby(["row", "column"]):
        place = rows[row], columns[column]
        gain[place], q[place] = (part["value"] - part["chance"]).mean(), part["q"].max()
    return gain, q


def plot_layers(table: "pd.DataFrame") -> "Figure":
    """Plot one panel for each hypothesis that has scores, all on one scale of colours; dots mark significant q."""
    from matplotlib import pyplot

    positions = positions_of(table)
    kinds = [kind for kind in KINDS if (table["kind"] == kind).any()]
    levels = [level for level in JUDGED if table.loc[table["level"] == level, "value"].notna().any()]
    found = {level: cells_of(table[table["level"] == level], positions, kinds) for level in levels}
    most = max(float(np.nanmax(np.abs(gain))) for gain, _ in found.values()) or 1.0
    width = 1.9 + len(levels) * (0.36 * (len(kinds) + 1) + 0.5)
    drawn, panels = pyplot.subplots(
        1, len(levels), figsize=(max(width, 6.0), 2.5 + 0.36 * (len(positions) + 1)), sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axes, level in zip(panels[0], levels, strict=True):
        image = _panel(axes, *found[level], most)
        chance = table.loc[(table["level"] == level) & (table["what"] == "all"), "chance"].max()
        axes.set_title(f"{HYPOTHESES[level].short} (chance {chance:.3f})")
        axes.set_xticks(_edges(len(kinds))[1], [*kinds, "all"], rotation=60, ha="right", rotation_mode="anchor")
    panels[0, 0].invert_yaxis()  # all panels share it
    panels[0, 0].set_yticks(_edges(len(positions))[1], [*positions, "all"])
    bar = drawn.colorbar(image, ax=list(panels[0]), shrink=0.8, pad=0.015)
    bar.set_label("Top-1 minus chance")
    bar.outline.set_linewidth(0.5)
    return drawn


def _edges(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the edges of `count` cells, a gap and one more cell, and the middles of the cells."""
    edges = np.concatenate([np.arange(count + 1), [count + MARGIN, count + 1 + MARGIN]])
    middles = np.concatenate([np.arange(count) + 0.5, [count + MARGIN + 0.5]])
    return edges, middles


def _panel(axes: "Axes", gain: np.ndarray, q: np.ndarray, most: float) -> "QuadMesh":
    """Plot one heat map; sums are apart on the right and at the bottom."""
    count = np.array(gain.shape) - 1
    spread = np.full(count + 2, np.nan)
    rows, columns = ([*range(size), size + 1] for size in count)
    spread[np.ix_(rows, columns)] = gain
    (y, middle_y), (x, middle_x) = (_edges(size) for size in count)
    axes.set_facecolor("white")
    absent = np.where(np.isnan(gain), 1.0, np.nan)
    grey = np.full(count + 2, np.nan)
    grey[np.ix_(rows, columns)] = absent
    axes.pcolormesh(x, y, grey, cmap="Greys", vmin=0, vmax=8, edgecolors="white", linewidth=0.8)
    image = axes.pcolormesh(x, y, spread, cmap="RdBu_r", vmin=-most, vmax=most, edgecolors="white", linewidth=0.8)
    for row, column in np.argwhere(q < SIGNIFICANT):
        colour = "white" if abs(gain[row, column]) > 0.6 * most else "0.15"
        axes.plot(middle_x[column], middle_y[row], marker="o", markersize=2.2, color=colour)
    axes.set_aspect("equal")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return image
