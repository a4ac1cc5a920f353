"""Table 4: how often the nearest LoRAs share the label, beside chance and the published values."""

from typing import TYPE_CHECKING

from egara.io.errors import counted, run
from egara.io.progress import logger, parser
from egara.scores.chance import chance_of_hit
from egara.tables.layout import Group, Layout, fixed, probability, settings, significant
from egara.tables.pivot import LEVELS, add_published, read_scores, reasons, spread
from egara.tables.writing import write_table

if TYPE_CHECKING:
    import pandas as pd

METRICS = ["top1", "top5"]
PUBLISHED = {"top1": "published_top1", "top5": "published_top5"}
# LoRAs of the paper's two authors: 3 and 8 works of 30 sets (section 4.3).
PUBLISHED_SIZES = (90, 240)


def neighbour_table(scores: "pd.DataFrame", published: str | None = None) -> "pd.DataFrame":
    """One row a cell, representation, L2 and space: Top-1 and Top-5 at each level, and published."""
    return add_published(spread(scores, METRICS), published, PUBLISHED)


def published_chance(neighbours: int) -> float:
    """Chance that the nearest `neighbours` of the paper's LoRAs include the same author: 0.602 for 1, 0.943 for 5."""
    total = sum(PUBLISHED_SIZES)
    return sum(size * float(chance_of_hit(size - 1, total - 1, neighbours)) for size in PUBLISHED_SIZES) / total


def layout(table: "pd.DataFrame") -> Layout:
    """Lay the table out: three levels side by side, each score beside its chance."""
    head, same = settings(table)
    groups, notes = [], [same] if same else []
    for level, name in LEVELS.items():
        if f"{level}_top1" not in table or not table[f"{level}_top1"].notna().any():
            continue
        groups.append(_group(table, level, name))
        if level == "author" and table["published_top1"].notna().any():
            columns = {
                "Top-1": [fixed(v) for v in table["published_top1"]],
                "Top-5": [fixed(v) for v in table["published_top5"]],
            }
            groups.append(Group("published", columns, muted=("Top-1", "Top-5")))
            notes.append(
                "Published: Shimoide & Ito, table 4 (author, all neighbours); chance for its "
                f"{' and '.join(map(str, PUBLISHED_SIZES))} LoRAs is {published_chance(1):.3f} (Top-1) and "
                f"{published_chance(5):.3f} (Top-5)."
            )
    notes += dict.fromkeys(reasons(table, "top1") + reasons(table, "top5"))
    notes.append(
        "Top-1, Top-5: share of LoRAs with one of their label among the nearest one or five. chance: exact, from class "
        "sizes. p: one-sided, by exchanging labels; for “other works only” whole works are exchanged. "
        "“Author, all neighbours” is the paper's score; most of its hits are the same work."
    )
    return Layout("Nearest neighbours that share the label", head, groups, notes)


def _group(table: "pd.DataFrame", level: str, name: str) -> Group:
    """Top-1 and Top-5 of a level, each followed by its chance and p."""
    columns, strong = {}, frozenset()
    for metric, heading, mark in (("top1", "Top-1", "1"), ("top5", "Top-5", "5")):
        stem = f"{level}_{metric}"
        columns[heading] = [fixed(v) for v in table[stem]]
        columns[f"chance {mark}"] = [fixed(v) for v in table[f"{stem}_chance"]]
        columns[f"p {mark}"] = [probability(v) for v in table[f"{stem}_p"]]
        strong |= significant(table[f"{stem}_p"], heading) | significant(table[f"{stem}_p"], f"p {mark}")
    return Group(name, columns, strong, ("chance 1", "chance 5"))


def main(argv: list[str] | None = None) -> None:
    """Read score files and write the table."""
    arguments = parser(__doc__)
    arguments.add_argument("--scores", required=True, nargs="+", help="score files (.tsv)")
    arguments.add_argument("--published", help="published values: rank, alpha, l2, top1, top5 (.tsv)")
    arguments.add_argument("--output", required=True, nargs="+", help="tables to write (.tsv, .md, .tex)")
    options = arguments.parse_args(argv)
    table = neighbour_table(read_scores(options.scores), options.published)
    write_table(options.output, table, layout(table))
    logger("tables").info("neighbours: %s: %s", counted(len(table), "row"), options.output[0])


if __name__ == "__main__":
    run(main)
