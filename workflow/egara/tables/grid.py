"""The grid: every score of every cell, representation, L2 and level in one long table, corrected for their number."""

from typing import TYPE_CHECKING

from egara.io.errors import run
from egara.io.progress import logger, parser
from egara.io.tables import read_tsv
from egara.scores.adjust import benjamini_hochberg
from egara.tables.layout import SIGNIFICANT, Group, Layout, fixed, interval, probability, settings
from egara.tables.pivot import CELL, KEYS, LEVELS, place, read_scores
from egara.tables.writing import write_table

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = [*KEYS, "level", "metric", "value", "chance", "p", "q", "low", "high", "n", "null_mean", "published", "note"]
# Names of metrics in the files of published values.
PUBLISHED = {
    "cosine_intra": "mean_intra", "cosine_inter": "mean_inter", "cosine_difference": "difference",
    "top1": "top1", "top5": "top5",
}  # fmt: skip


def grid_table(scores: "pd.DataFrame", published: list[str]) -> "pd.DataFrame":
    """Return all scores, one a row.

    Returns
    -------
    The settings, space, level, metric, value, chance, p, low, high, n and null_mean of the score files; `q`, p after
    Benjamini & Hochberg over all cells, representations and L2 of one metric, level and space; `published`, the paper's
    value, where a row repeats its method: factors in IncrementalPCA, author, all neighbours.
    """
    import pandas as pd

    table = scores.assign(published=float("nan"), q=float("nan"))
    for _, part in table.groupby(["space", "level", "metric"]):
        table.loc[part.index, "q"] = benjamini_hochberg(part["p"].to_numpy(dtype=float))
    same = (table["representation"] == "factors") & (table["space"] == "ipca") & (table["level"] == "author")
    for path in published:
        for row in read_tsv(path, ["rank", "alpha", "l2"], text=["l2"]).to_dict("records"):
            here = same & (table["l2"] == row["l2"]) & (table["rank"] == row["rank"]) & (table["alpha"] == row["alpha"])
            for metric, name in PUBLISHED.items():
                if name in row:
                    table.loc[here & (table["metric"] == metric), "published"] = row[name]
    rows = sorted(table.to_dict("records"), key=place)
    return pd.DataFrame(rows, columns=COLUMNS)


def layout(table: "pd.DataFrame") -> Layout:
    """Lay out Top-1 on the whole vectors at each level, beside chance and the corrected p."""
    rows = table[(table["space"] == "full") & (table["metric"] == "top1")]
    keys = rows.drop_duplicates(CELL)[CELL]
    head, same = settings(keys)
    groups, notes = [], [same] if same else []
    for level, name in LEVELS.items():
        part = keys.merge(rows[rows["level"] == level], on=CELL, how="left")
        if not part["value"].notna().any():
            why = ", ".join(dict.fromkeys(note for note in part["note"] if isinstance(note, str) and note))
            notes += [f"{name[:1].upper()}{name[1:]}: nothing to tell, {why}."] if why else []
            continue
        columns = {
            "Top-1": [fixed(v) for v in part["value"]],
            "95 %": [interval(*bounds) for bounds in zip(part["low"], part["high"], strict=True)],
            "chance": [fixed(v) for v in part["chance"]],
            "q": [probability(v) for v in part["q"]],
        }
        sure = [row for row, q in enumerate(part["q"]) if q < SIGNIFICANT]
        strong = frozenset((row, column) for row in sure for column in ("Top-1", "q"))
        groups.append(Group(name, columns, strong, ("chance", "95 %")))
    notes.append(
        f"q: p after Benjamini and Hochberg's correction over the {len(keys)} rows of a level. 95 %: of bootstrap "
        "values over works. On whole vectors; grid.tsv has the other spaces and metrics, and the published values."
    )
    return Layout("The grid", head, groups, notes)


def main(argv: list[str] | None = None) -> None:
    """Read score files and write the table."""
    arguments = parser(__doc__)
    arguments.add_argument("--scores", required=True, nargs="+", help="score files (.tsv)")
    arguments.add_argument("--published", nargs="*", default=[], help="published values: rank, alpha, l2, … (.tsv)")
    arguments.add_argument("--output", required=True, nargs="+", help="tables to write (.tsv, .md, .tex)")
    options = arguments.parse_args(argv)
    table = grid_table(read_scores(options.scores), options.published)
    write_table(options.output, table, layout(table))
    logger("tables").info("grid: %d scores: %s", len(table), options.output[0])


if __name__ == "__main__":
    run(main)
