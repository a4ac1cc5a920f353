"""Top-1 of every setting at a glance: work, author over other works, author, each beside its chance."""

import math
from typing import TYPE_CHECKING

from egara.figures.style import draw_words, palette, save, set_theme
from egara.io.errors import run
from egara.io.progress import logger, parser
from egara.io.tables import read_tsv
from egara.tables.layout import SIGNIFICANT, settings
from egara.tables.pivot import KEYS, TEXT, reasons, whole
from egara.vocabulary import AXES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

LEVELS = {
    "work": "Work", "author_across_works": "Author, other works only", "author": "Author, all neighbours",
}  # fmt: skip


def labels_of(table: "pd.DataFrame") -> list[str]:
    """Name each row by the settings that differ between rows, L2 aside."""
    columns, _ = settings(table.drop(columns=["l2", "space"]))
    words = {axis.heading: axis.phrase for axis in AXES.values()} | {"rank = alpha": AXES["rank"].phrase}
    parts = [[words.get(name, "{}").format(value) for value in values] for name, values in columns.items()]
    return [" · ".join(row) for row in zip(*parts, strict=True)]


def draw_overview(table: "pd.DataFrame") -> "Figure":
    """Draw one panel a level; rows are settings, circles L2 on, squares L2 off, filled where p < 0.05."""
    from matplotlib import pyplot
    from matplotlib.lines import Line2D

    table = whole(table)
    names = labels_of(table)
    rows = {name: place for place, name in enumerate(dict.fromkeys(names))}
    levels = [level for level in LEVELS if f"{level}_top1" in table and table[f"{level}_top1"].notna().any()]
    found = list(dict.fromkeys(table["representation"]))
    kinds = dict(zip(found, palette(len(found)), strict=False))
    both = table["l2"].nunique() > 1
    figure, panels = pyplot.subplots(
        1, len(levels), figsize=(3.0 * len(levels) + 1.6, 1.5 + 0.42 * len(rows)), sharey=True,
        squeeze=False, layout="constrained",
    )  # fmt: skip
    figure.get_layout_engine().set(wspace=0.06)
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
        axes.set_title(LEVELS[level])
        axes.set(xlim=(0, 1), xticks=[0, 0.25, 0.5, 0.75, 1], ylim=(len(rows) - 0.5, -0.5), xlabel="Top-1")
        axes.set_yticks(range(len(rows)), list(rows))
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color="0.9", linewidth=0.6)
        axes.spines["left"].set_visible(False)
    figure.legend(handles=_handles(Line2D, both), loc="outside lower center", ncols=5, fontsize=8, handletextpad=0.4)
    return figure


def _handles(line: type, both: bool) -> list:
    def point(marker: str, filled: bool, label: str) -> object:
        face = "0.35" if filled else "white"
        return line([], [], linestyle="none", marker=marker, color="0.35", markerfacecolor=face, label=label)

    shapes = [point("o", True, "L2 on"), point("s", True, "L2 off")] if both else []
    return [
        *shapes,
        point("o", False, "hollow: p ≥ 0.05"),
        line([], [], color="0.35", linewidth=1.4, label="95 % of bootstraps over works"),
        line([], [], color="0.35", linewidth=1, dashes=(3, 2), label="chance"),
    ]


def main(argv: list[str] | None = None) -> None:
    """Read the table of neighbours and draw it."""
    arguments = parser(__doc__)
    arguments.add_argument("--neighbours", required=True, help="table of neighbours (.tsv)")
    arguments.add_argument("--output", required=True, nargs="+", help="figures to write (.svg, .png)")
    options = arguments.parse_args(argv)
    import pandas as pd

    table = read_tsv(options.neighbours, KEYS, text=[key for key in KEYS if key in TEXT])
    set_theme()
    title = "Top-1 of every setting beside chance"
    why = reasons(table, "top1")
    if not any(table.get(f"{level}_top1", pd.Series(dtype=float)).notna().any() for level in LEVELS):
        words = " ".join(["No score to draw.", *why])
        logger("figures").warning("overview: %s", words)
        save(draw_words(words, (title, f"{len(whole(table))} rows")), options.output, title, words, ["overview"])
        return
    caption = (
        "Share of LoRAs whose nearest LoRA has the same label, by setting; dashed: chance, exact from class sizes; "
        "filled: p < 0.05 before correction; lines: 95 % of bootstraps over works. Whole vectors, not maps of them."
    )
    save(draw_overview(table), options.output, title, " ".join([caption, *why]), ["overview"])
    logger("figures").info("overview of %d rows: %s", len(table), options.output[0])


if __name__ == "__main__":
    run(main)
