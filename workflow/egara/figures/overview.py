"""Top-1 of every setting at a glance: work, author over other works, author, each next to its chance level."""

import math
from typing import TYPE_CHECKING

from egara.figures.registry import Plot, Request, figure
from egara.figures.style import palette
from egara.io.files import read_tsv
from egara.tables.layout import settings
from egara.tables.pivot import KEYS, TEXT, reasons, whole
from egara.vocabulary import AXES, HYPOTHESES, JUDGED, L2, SIGNIFICANT

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

PANELS = (*JUDGED, *(name for name in HYPOTHESES if name not in JUDGED))


@figure(
    "overview", title="Top-1 of every setting next to chance", inputs=("neighbours",), per="study", order=0,
    remark="How often is the nearest LoRA of the same work, or by the same author, and how often by chance?",
)  # fmt: skip
def plot_study(request: Request) -> Plot:
    """Plot the table of neighbours."""
    table = read_tsv(request.file("neighbours"), KEYS, text=[key for key in KEYS if key in TEXT])
    why = reasons(table, "top1")
    if not any(f"{level}_top1" in table and table[f"{level}_top1"].notna().any() for level in PANELS):
        return Plot(None, " ".join(["There is no score to plot.", *why]))
    caption = (
        "Share of LoRAs whose nearest LoRA has the same label, for every setting, on whole vectors (no projection). "
        f"Dashed: chance level, exact from class sizes. Filled: p < {SIGNIFICANT} before correction. Lines: 95 % of "
        "bootstraps over works."
    )
    return Plot(plot_overview(table), " ".join([caption, *why]))


def labels_of(table: "pd.DataFrame") -> list[str]:
    """Name each row by the settings that differ between rows, but for L2."""
    columns, _ = settings(table.drop(columns=["l2", "space"]))
    words = {axis.heading: axis.phrase for axis in AXES.values()} | {"rank = alpha": AXES["rank"].phrase}
    parts = [[words.get(name, "{}").format(value) for value in values] for name, values in columns.items()]
    return [" · ".join(row) for row in zip(*parts, strict=True)]


def plot_overview(table: "pd.DataFrame") -> "Figure":
    """Plot one panel per hypothesis; rows are settings, circles L2 on, squares L2 off, filled where significant."""
    from matplotlib import pyplot
    from matplotlib.lines import Line2D

    table = whole(table)
    names = labels_of(table)
    rows = {name: place for place, name in enumerate(dict.fromkeys(names))}
    levels = [level for level in PANELS if f"{level}_top1" in table and table[f"{level}_top1"].notna().any()]
    found = list(dict.fromkeys(table["representation"]))
    kinds = dict(zip(found, palette(len(found)), strict=False))
    both = table["l2"].nunique() > 1
    drawn, panels = pyplot.subplots(
        1, len(levels), figsize=(3.0 * len(levels) + 1.6, 1.5 + 0.42 * len(rows)), sharey=True,
        squeeze=False, layout="constrained",
    )  # fmt: skip
    drawn.get_layout_engine().set(wspace=0.06)
    for axes, level in zip(panels[0], levels, strict=False):
        stem = f"{level}_top1"
        for name, row in zip(names, table.to_dict("records"), strict=True):
            if not math.isfinite(row[stem]):
                continue
            place = rows[name] + (0.0 if not both else -0.14 if row["l2"] == "on" else 0.14)
            colour, sure = kinds[row["representation"]], row[f"{stem}_p"] < SIGNIFICANT
            if math.isfinite(row.get(f"{stem}_low", math.nan)):
                axes.plot([row[f"{stem}_low"], row[f"{stem}_high"]], [place, place], color=colour, linewidth=1.4)
            axes.plot(
                row[stem], place, marker="o" if row["l2"] == "on" else "s", markersize=5.5, color=colour,
                markerfacecolor=colour if sure else "white", markeredgewidth=1.2, clip_on=False, zorder=3,
            )  # fmt: skip
            chance = row[f"{stem}_chance"]
            axes.plot([chance, chance], [rows[name] - 0.5, rows[name] + 0.5], color="0.35", linewidth=1, dashes=(3, 2))
        axes.set_title(HYPOTHESES[level].short)
        axes.set(xlim=(0, 1), xticks=[0, 0.25, 0.5, 0.75, 1], ylim=(len(rows) - 0.5, -0.5), xlabel="Top-1")
        axes.set_yticks(range(len(rows)), list(rows))
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color="0.9", linewidth=0.6)
        axes.spines["left"].set_visible(False)
    drawn.legend(handles=_handles(Line2D, both), loc="outside lower center", ncols=5, fontsize=8, handletextpad=0.4)
    return drawn


def _handles(line: type, both: bool) -> list:
    def point(marker: str, filled: bool, label: str) -> object:
        face = "0.35" if filled else "white"
        return line([], [], linestyle="none", marker=marker, color="0.35", markerfacecolor=face, label=label)

    shapes = [point("o", True, L2["on"]), point("s", True, L2["off"])] if both else []
    return [
        *shapes,
        point("o", False, f"hollow: p ≥ {SIGNIFICANT}"),
        line([], [], color="0.35", linewidth=1.4, label="95 % of bootstraps over works"),
        line([], [], color="0.35", linewidth=1, dashes=(3, 2), label="chance"),
    ]
