"""Table 4: how often the nearest LoRAs share the label, beside chance and the published values."""

from typing import TYPE_CHECKING

from egara.errors import run
from egara.progress import logger, parser
from egara.scores.chance import chance_of_hit
from egara.tables.layout import Group, Layout, fixed, probability, settings, significant
from egara.tables.scores import LEVELS, add_published, read_scores, spread
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
    groups = []
    for level in ("work", "author_across_works", "author"):
        if f"{level}_top1" not in table or not table[f"{level}_top1"].notna().any():
            continue
        for metric, name in (("top1", "Top-1"), ("top5", "Top-5")):
            stem = f"{level}_{metric}"
            columns = {
                name: [fixed(v) for v in table[stem]],
                "chance": [fixed(v) for v in table[f"{stem}_chance"]],
                "p": [probability(v) for v in table[f"{stem}_p"]],
            }
            strong = significant(table[f"{stem}_p"], name) | significant(table[f"{stem}_p"], "p")
            groups.append(Group(LEVELS[level], columns, strong))
    groups = _merge(groups)
    notes = [same] if same else []
    if "published_top1" in table and table["published_top1"].notna().any():
        columns = {
            "Top-1": [fixed(v) for v in table["published_top1"]],
            "Top-5": [fixed(v) for v in table["published_top5"]],
        }
        groups.append(Group("published: author, all", columns, muted=("Top-1", "Top-5")))
        notes.append(
            f"Published: Shimoide & Ito, table 4; chance for its {' and '.join(map(str, PUBLISHED_SIZES))} LoRAs is "
            f"{published_chance(1):.3f} (Top-1) and {published_chance(5):.3f} (Top-5)."
        )
    notes.append(
        "Top-1, Top-5: share of LoRAs with one of their label among the nearest one or five. chance: exact, from class "
        "sizes. p: one-sided, by exchanging labels; for “other works only” whole works are exchanged. "
        "“Author, all neighbours” is the paper's score; most of its hits are the same work."
    )
    return Layout("Nearest neighbours that share the label", head, groups, notes)


def _merge(groups: list[Group]) -> list[Group]:
    """Join the groups of one level; columns that would clash get the metric's name."""
    merged: dict[str, Group] = {}
    for group in groups:
        old = merged.get(group.name, Group(group.name, {}))
        metric = next(iter(group.columns))
        names = {column: column if column == metric else f"{column} {metric[-1]}" for column in group.columns}
        columns = {names[column]: values for column, values in group.columns.items()}
        strong = frozenset((row, names[column]) for row, column in group.strong)
        muted = (*old.muted, names["chance"])
        merged[group.name] = Group(group.name, old.columns | columns, old.strong | strong, muted)
    return list(merged.values())


def main(argv: list[str] | None = None) -> None:
    """Read score files and write the table."""
    arguments = parser(__doc__)
    arguments.add_argument("--scores", required=True, nargs="+", help="score files (.tsv)")
    arguments.add_argument("--published", help="published values: rank, alpha, l2, top1, top5 (.tsv)")
    arguments.add_argument("--output", required=True, nargs="+", help="tables to write (.tsv, .md, .tex)")
    options = arguments.parse_args(argv)
    table = neighbour_table(read_scores(options.scores), options.published)
    write_table(options.output, table, layout(table))
    logger("tables").info("neighbours: %d rows: %s", len(table), options.output[0])


if __name__ == "__main__":
    run(main)
