"""Losses of a cell's LoRAs while they trained: a panel an author, a thin line a LoRA, the median of a work in bold.

A single step sees a few pictures at random noise levels, so its loss says little. Each line joins means over windows
of equal length that do not overlap: no point is used twice, and none looks ahead.
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from egara.cells import describe_cell
from egara.figures.style import (
    add_legend,
    add_title,
    author_colours,
    draw_words,
    save,
    set_theme,
    undrawable,
    work_markers,
)
from egara.io.errors import counted, run
from egara.io.progress import logger, parser
from egara.io.tables import read_tsv

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

KEYS = ["author", "work", "set"]
WINDOWS = 20
LEAST = 10  # steps a window where training is long enough for eight of them: fewer pictures show noise
SPREAD = 5  # beyond this ratio of the largest loss to the median the axis is logarithmic


def average_windows(table: "pd.DataFrame") -> "tuple[pd.DataFrame, int]":
    """Average each LoRA's losses over at most 20 windows of equal length.

    Parameters
    ----------
    table : author, work, set, step, loss; a row is the mean loss of the steps after the row before it, up to `step`.

    Returns
    -------
    means : author, work, set, step (middle of a window), loss. Rows count by the steps that they stand for; losses that
    are not finite are left out.
    length : steps a window, a whole number of a LoRA's rows.
    """
    import pandas as pd

    table = table.sort_values([*KEYS, "step"], kind="stable")
    before = table.groupby(KEYS)["step"].shift(fill_value=0)
    table = table.assign(steps=table["step"] - before)
    table = table[np.isfinite(table["loss"])]
    steps, last = table["steps"], int(table["step"].max())
    block = max(1, int(steps.median()))
    windows = min(WINDOWS, max(8, last // LEAST))
    length = block * max(1, -(-last // (block * windows)))
    window = -(-table["step"] // length)
    end = np.minimum(window * length, last)
    parts = pd.DataFrame(
        {
            **{key: table[key] for key in KEYS},
            "step": ((window - 1) * length + end) / 2,
            "sum": table["loss"] * steps,
            "steps": steps,
        }
    )
    means = parts.groupby([*KEYS, "step"], as_index=False)[["sum", "steps"]].sum(min_count=1)
    return means.assign(loss=means["sum"] / means["steps"])[[*KEYS, "step", "loss"]], length


def draw_losses(means: "pd.DataFrame", title: tuple[str, str]) -> "Figure":
    """Draw one panel an author; grey, in each: the middle nine tenths of all LoRAs of the cell.

    `means` is what `average_windows` returns; `title` is what is drawn, and the setting.
    """
    from matplotlib import pyplot, ticker
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    authors = sorted(set(means["author"]))
    colours, markers = author_colours(authors), work_markers(means["work"])
    columns = len(authors) if len(authors) <= 3 else math.ceil(math.sqrt(len(authors)))
    rows = -(-len(authors) // columns)
    figure, panels = pyplot.subplots(
        rows, columns, figsize=(2.6 * columns + 2.2, 2.3 * rows + 0.7), sharex=True, sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    figure.get_layout_engine().set(wspace=0.05, hspace=0.05)
    all_of_cell = means.groupby("step")["loss"].quantile([0.05, 0.95]).unstack()
    for axes, author in zip(panels.flat, authors, strict=False):
        axes.fill_between(all_of_cell.index, all_of_cell[0.05], all_of_cell[0.95], color="0.9", linewidth=0, zorder=0)
        for place, (work, part) in enumerate(means[means["author"] == author].groupby("work")):
            curves = part.pivot(index="step", columns="set", values="loss")
            # Thirty lines a work cover as much ink as five.
            faint = min(0.45, 1 / math.sqrt(len(curves.columns)))
            every = max(1, len(curves) // 5)
            axes.plot(curves.index, curves, color=colours[author], linewidth=0.5, alpha=faint, zorder=1)
            axes.plot(
                curves.index, curves.median(axis=1), color=colours[author], linewidth=1.5, marker=markers[work],
                markersize=4.5, markevery=(place % every, every), markeredgecolor="white", markeredgewidth=0.4,
                zorder=3,
            )  # fmt: skip
        axes.set_title(author, parse_math=False)
    if means["loss"].min() > 0 and means["loss"].max() > SPREAD * means["loss"].median():
        panels[0, 0].set_yscale("log")
        for axis in (axes.yaxis for axes in panels.flat):
            axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter(ticker.NullFormatter())
    panels[0, 0].set_xlim(left=0)
    for axes in panels.flat[len(authors) :]:
        axes.set_visible(False)
    for place, axes in enumerate(panels.flat):
        if place + columns >= len(authors):
            axes.set_xlabel("step")
            axes.tick_params(labelbottom=True)
    for axes in panels[:, 0]:
        axes.set_ylabel("loss")
    add_title(figure, *title)
    extra = [
        Line2D([], [], color="0.3", linewidth=1.5, label="median of a work"),
        Line2D([], [], color="0.3", linewidth=0.5, alpha=0.6, label="one LoRA"),
        Patch(facecolor="0.9", label="90 % of all LoRAs"),
    ]
    pairs = means[["author", "work"]].drop_duplicates()
    add_legend(figure, list(pairs.itertuples(index=False, name=None)), extra)
    return figure


def describe_losses(means: "pd.DataFrame", length: int) -> str:
    """Say what the figure shows, how it is smoothed, and where the losses start and end."""
    count = len(means[KEYS].drop_duplicates())
    steps = means["step"]
    first, last = (means.loc[steps == step, "loss"].median() for step in (steps.min(), steps.max()))
    window = f"each point is the mean of {length} steps in a row, windows do not overlap"
    smooth = "no smoothing: each point is one step" if length == 1 else window
    return (
        f"Training loss of {counted(count, 'LoRA')} of {counted(means['work'].nunique(), 'work')} by "
        f"{counted(means['author'].nunique(), 'author')}; {smooth}. "
        "Thin: one LoRA; bold: the median of a work's LoRAs; grey: the middle 90 % of all. Median of all: "
        f"{first:.4f} in the first window, {last:.4f} in the last. Levels of works differ because pictures do."
    )


def main(argv: list[str] | None = None) -> None:
    """Read the losses of a cell and draw them."""
    arguments = parser(__doc__)
    arguments.add_argument("--losses", required=True, help="losses of a cell (.tsv)")
    arguments.add_argument("--cell", required=True, help="cell of the training grid, as in paths")
    arguments.add_argument("--output", required=True, nargs="+", help="figures to write (.svg, .png)")
    options = arguments.parse_args(argv)
    table = read_tsv(options.losses, [*KEYS, "step", "loss"], text=KEYS)
    set_theme()
    log, setting = logger("figures"), describe_cell(options.cell)
    if boxes := undrawable([*table["author"].unique(), *table["work"].unique()]):
        log.warning("no installed font has %s; SVG viewers may find one, a PNG shows boxes", boxes)
    name = ("Losses while training", setting)
    if not np.isfinite(table["loss"].to_numpy(dtype=float)).any():
        figure = draw_words("The LoRAs of this cell carry no losses in their files.", name)
        caption = "No LoRA file of this cell carries losses; another trainer wrote them."
        log.warning("no losses to draw")
    else:
        means, length = average_windows(table)
        figure, caption = draw_losses(means, name), describe_losses(means, length)
        if lost := int((~np.isfinite(table["loss"].to_numpy(dtype=float))).sum()):
            caption += f" {lost} of {len(table)} losses are no finite numbers and left out."
            log.warning("%d of %d losses are no finite numbers and left out", lost, len(table))
    save(figure, options.output, f"Losses: {setting}", caption, ["losses", setting])
    log.info("losses of %d LoRAs: %s", len(table[KEYS].drop_duplicates()), options.output[0])


if __name__ == "__main__":
    run(main)
