"""Where in the network work and author show: a heat map of Top-1 above chance, positions by kinds of layers."""

from typing import TYPE_CHECKING

import numpy as np

from egara.figures.style import add_title, describe_setting, draw_words, save, set_theme
from egara.io.errors import EgaraError, run
from egara.io.progress import logger, parser
from egara.scores.layers import ALL
from egara.tables.layers import layer_table
from egara.weights.layer_names import KINDS, place_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = {"work": "work", "author_across_works": "author, other works only"}
MARGIN = 0.35  # width of the gap before sums
SURE = 0.05


def positions_of(table: "pd.DataFrame") -> list[str]:
    """Return the positions in the order of the data's way."""
    layers = table[table["what"] == "layer"].drop_duplicates("name")
    order = {position: place_of(name).order for name, position in zip(layers["name"], layers["position"], strict=True)}
    return sorted(order, key=order.__getitem__)


def cells_of(table: "pd.DataFrame", positions: list[str], kinds: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return gains over chance and q, (positions + 1, kinds + 1); the last row and column are sums; NaN where none is.

    A cell with several layers of one kind and position holds their mean gain and their greatest q.
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


def draw_layers(table: "pd.DataFrame", title: tuple[str, str]) -> "Figure":
    """Draw one panel a level that has scores, colour on one scale around chance; dots where q is below 0.05."""
    from matplotlib import pyplot

    positions = positions_of(table)
    kinds = [kind for kind in KINDS if (table["kind"] == kind).any()]
    levels = [level for level in PANELS if table.loc[table["level"] == level, "value"].notna().any()]
    found = {level: cells_of(table[table["level"] == level], positions, kinds) for level in levels}
    most = max(float(np.nanmax(np.abs(gain))) for gain, _ in found.values()) or 1.0
    width = 1.9 + len(levels) * (0.36 * (len(kinds) + 1) + 0.5)
    figure, panels = pyplot.subplots(
        1, len(levels), figsize=(max(width, 6.0), 2.5 + 0.36 * (len(positions) + 1)), sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axes, level in zip(panels[0], levels, strict=True):
        image = _panel(axes, *found[level], most)
        chance = table.loc[(table["level"] == level) & (table["what"] == "all"), "chance"].max()
        axes.set_title(f"{PANELS[level]} (chance {chance:.3f})")
        axes.set_xticks(_edges(len(kinds))[1], [*kinds, "all"], rotation=60, ha="right", rotation_mode="anchor")
    panels[0, 0].invert_yaxis()  # all panels share it
    panels[0, 0].set_yticks(_edges(len(positions))[1], [*positions, "all"])
    bar = figure.colorbar(image, ax=list(panels[0]), shrink=0.8, pad=0.015)
    bar.set_label("Top-1 minus chance")
    bar.outline.set_linewidth(0.5)
    add_title(figure, *title)
    return figure


def _edges(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return edges of `count` cells, a gap and one cell more, and the middles of the cells."""
    edges = np.concatenate([np.arange(count + 1), [count + MARGIN, count + 1 + MARGIN]])
    middles = np.concatenate([np.arange(count) + 0.5, [count + MARGIN + 0.5]])
    return edges, middles


def _panel(axes: "Axes", gain: np.ndarray, q: np.ndarray, most: float) -> "object":
    """Draw one heat map; sums stand apart on the right and below."""
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
    for row, column in np.argwhere(q < SURE):
        colour = "white" if abs(gain[row, column]) > 0.6 * most else "0.15"
        axes.plot(middle_x[column], middle_y[row], marker="o", markersize=2.2, color=colour)
    axes.set_aspect("equal")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return image


def main(argv: list[str] | None = None) -> None:
    """Read a score file of layers and draw it."""
    arguments = parser(__doc__)
    arguments.add_argument("--layers", required=True, help="score file of layers (.tsv)")
    arguments.add_argument("--cell", required=True, help="cell of the training grid, as in paths")
    arguments.add_argument("--representation", required=True, help="how a layer became a vector, for the title")
    arguments.add_argument("--l2", required=True, choices=["on", "off"], help="L2 setting")
    arguments.add_argument("--output", required=True, nargs="+", help="figures to write (.svg, .png)")
    options = arguments.parse_args(argv)
    table = layer_table([options.layers])
    table = table[table["l2"] == options.l2]
    if table.empty:
        raise EgaraError(f"{options.layers}: no rows with L2 {options.l2}")
    set_theme()
    setting = describe_setting(options.cell, options.representation, options.l2)
    layers = table[(table["what"] == "layer") & table["q"].notna()]
    counts = [
        f"{name}: {int((part['q'] < SURE).sum())} of {len(part)}"
        for level, name in PANELS.items()
        if len(part := layers[layers["level"] == level])
    ]
    title = "Where in the network"
    caption = (
        "Top-1 minus chance of every layer alone; right and below, of all layers of a position or kind together. Dots: "
        f"q below 0.05 (Benjamini and Hochberg; single layers {', '.join(counts)}). Grey: no such layer, or no score."
    )
    log = logger("figures")
    every = table[table["what"] == "layer"].groupby("level")["value"]
    if lost := int((every.size() - every.count()).min()):
        caption += f" {lost} of {every.size().max()} layers have no score: too few labels, or LoRAs that do not differ."
    if table["value"].notna().any():
        figure = draw_layers(table, (title, setting))
    else:
        caption = "No layer has a score: too few works and authors to compare, or LoRAs that do not differ."
        log.warning("%s", caption)
        figure = draw_words(caption, (title, setting))
    save(figure, options.output, f"{title}: {setting}", caption, ["layers", setting])
    log.info("layers: %s: %s", "; ".join(counts), options.output[0])


if __name__ == "__main__":
    run(main)
