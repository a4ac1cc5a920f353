"""Training losses of the LoRAs of a cell: one panel per author, one thin line per LoRA, the median of a work in bold.

A single step sees a few images at random noise levels, so its loss says little. Each line joins means over windows of
equal length that do not overlap.
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from egara.figures.registry import Plot, Request, figure
from egara.figures.style import add_legend, author_colours, warn_of_boxes, work_markers
from egara.io.errors import counted
from egara.io.progress import logger
from egara.io.tables import read_tsv

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

KEYS = ["author", "work", "set"]
WINDOWS = 20
MIN_STEPS = 10  # per window, where training is long enough for eight of them: shorter windows show noise
SPREAD = 5  # beyond this ratio of the largest loss to the median the axis is logarithmic


@figure(
    "losses", title="Losses while training", inputs=("losses",), per="cell", order=60,
    remark="A line that still falls at the end was stopped too early; one far from the others needs a look.",
)  # fmt: skip
def plot_cell(request: Request) -> Plot:
    """Plot the losses of all LoRAs of a cell."""
    table = read_tsv(request.file("losses"), [*KEYS, "step", "loss"], text=KEYS)
    warn_of_boxes([*table["author"].unique(), *table["work"].unique()])
    finite = np.isfinite(table["loss"].to_numpy(dtype=float))
    if not finite.any():
        return Plot(None, "The LoRA files of this cell hold no losses; another trainer wrote them.")
    means, length = average_windows(table)
    caption = describe_losses(means, length)
    if lost := int((~finite).sum()):
        caption += f" {lost} of {len(table)} losses are not finite and left out."
        logger("figures").warning("%d of %d losses are not finite and left out", lost, len(table))
    return Plot(plot_losses(means), caption)


def average_windows(table: "pd.DataFrame") -> "tuple[pd.DataFrame, int]":
    """Average each LoRA's losses over at most 20 windows of equal length.

    Parameters
    ----------
    table : author, work, set, step, loss; `loss` is the mean over the steps since the row before, `step` included.

    Returns
    -------
    means : author, work, set, step (middle of a window), loss. Rows are weighted by their number of steps; losses that
        are not finite are left out.
    length : steps per window, a whole number of rows.
    """
    import pandas as pd

    table = table.sort_values([*KEYS, "step"], kind="stable")
    before = table.groupby(KEYS)["step"].shift(fill_value=0)
    table = table.assign(steps=table["step"] - before)
    table = table[np.isfinite(table["loss"])]
    steps, last = table["steps"], int(table["step"].max())
    block = max(1, int(steps.median()))
    windows = min(WINDOWS, max(8, last // MIN_STEPS))
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


def plot_losses(means: "pd.DataFrame") -> "Figure":
    """Plot what `average_windows` returns: one panel per author; grey, in each: the middle 90 % of the cell's LoRAs."""
    from matplotlib import pyplot, ticker
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    authors = sorted(set(means["author"]))
    colours, markers = author_colours(authors), work_markers(means["work"])
    columns = len(authors) if len(authors) <= 3 else math.ceil(math.sqrt(len(authors)))
    rows = -(-len(authors) // columns)
    drawn, panels = pyplot.subplots(
        rows, columns, figsize=(2.6 * columns + 2.2, 2.3 * rows + 0.7), sharex=True, sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    drawn.get_layout_engine().set(wspace=0.05, hspace=0.05)
    all_of_cell = means.groupby("step")["loss"].quantile([0.05, 0.95]).unstack()
    for axes, author in zip(panels.flat, authors, strict=False):
        axes.fill_between(all_of_cell.index, all_of_cell[0.05], all_of_cell[0.95], color="0.9", linewidth=0, zorder=0)
        for place, (work, part) in enumerate(means[means["author"] == author].groupby("work")):
            curves = part.pivot(index="step", columns="set", values="loss")
            # Thirty lines of a work use as much ink as five.
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
    extra = [
        Line2D([], [], color="0.3", linewidth=1.5, label="median of a work"),
        Line2D([], [], color="0.3", linewidth=0.5, alpha=0.6, label="one LoRA"),
        Patch(facecolor="0.9", label="90 % of all LoRAs"),
    ]
    pairs = means[["author", "work"]].drop_duplicates()
    add_legend(drawn, list(pairs.itertuples(index=False, name=None)), extra)
    return drawn


def describe_losses(means: "pd.DataFrame", length: int) -> str:
    """Return the caption: what the figure shows, how it is smoothed, and the first and last losses."""
    count = len(means[KEYS].drop_duplicates())
    steps = means["step"]
    first, last = (means.loc[steps == step, "loss"].median() for step in (steps.min(), steps.max()))
    window = f"each point is the mean of {length} steps in a row; windows do not overlap"
    smooth = "no smoothing: each point is one step" if length == 1 else window
    return (
        f"Training loss of {counted(count, 'LoRA')} of {counted(means['work'].nunique(), 'work')} by "
        f"{counted(means['author'].nunique(), 'author')}; {smooth}. "
        "Thin: one LoRA; bold: the median of a work's LoRAs; grey: the middle 90 % of all LoRAs. Median of all LoRAs: "
        f"{first:.4f} in the first window, {last:.4f} in the last. Works differ in level because their images do."
    )
