"""The grid: every score in one long table, corrected for their number."""

from typing import TYPE_CHECKING

from egara.io.tables import read_tsv
from egara.scores.multiple_testing import benjamini_hochberg
from egara.tables.layout import Group, Layout, fixed, interval, probability, settings
from egara.tables.pivot import CELL, KEYS, nothing_to_tell, place, read_scores
from egara.tables.registry import table
from egara.vocabulary import HYPOTHESES, SIGNIFICANT

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

COLUMNS = [*KEYS, "level", "metric", "value", "chance", "p", "q", "low", "high", "n", "null_mean", "published", "note"]
# Names of metrics in the files of published values.
PUBLISHED = {
    "cosine_intra": "mean_intra", "cosine_inter": "mean_inter", "cosine_difference": "difference",
    "top1": "top1", "top5": "top5",
}  # fmt: skip


TITLE = "The grid"
NOTE = (
    "q: p after Benjamini and Hochberg's correction over the rows of a hypothesis. 95 %: of bootstrap values over "
    "works. On whole vectors; grid.tsv has the other spaces and metrics, and the published values."
)


def layout(table: "pd.DataFrame") -> Layout:
    """Lay out Top-1 on the whole vectors under each hypothesis, with chance and the corrected p."""
    rows = table[(table["space"] == "full") & (table["metric"] == "top1")]
    keys = rows.drop_duplicates(CELL)[CELL]
    head, same = settings(keys)
    groups, notes = [], [same] if same else []
    for name, hypothesis in HYPOTHESES.items():
        part = keys.merge(rows[rows["level"] == name], on=CELL, how="left")
        if not part["value"].notna().any():
            why = list(dict.fromkeys(note for note in part["note"] if isinstance(note, str) and note))
            notes += [nothing_to_tell(hypothesis.label, why)] if why else []
            continue
        columns = {
            "Top-1": [fixed(v) for v in part["value"]],
            "95 %": [interval(*bounds) for bounds in zip(part["low"], part["high"], strict=True)],
            "chance": [fixed(v) for v in part["chance"]],
            "q": [probability(v) for v in part["q"]],
        }
        below = [row for row, q in enumerate(part["q"]) if q < SIGNIFICANT]
        strong = frozenset((row, column) for row in below for column in ("Top-1", "q"))
        groups.append(Group(hypothesis.label, columns, strong, ("chance", "95 %")))
    return Layout(TITLE, head, groups, [*notes, NOTE])


@table(
    "grid", TITLE, NOTE, layout=layout,
    inputs=("scores", "published/cosine", "published/neighbours"), when="compared", order=9,
)  # fmt: skip
def grid_table(scores: list[str], published: "Sequence[str]" = ()) -> "pd.DataFrame":
    """Return all scores, one per row.

    Returns
    -------
    The settings, space, hypothesis, metric, value, chance, p, low, high, n and null_mean of the score files; `q`, p
    after Benjamini & Hochberg over all cells, representations and L2 of one metric, hypothesis and space; `published`,
    the paper's value, where a row repeats its method: factors in IncrementalPCA, author, all neighbours.
    """
    import pandas as pd

    table = read_scores(scores).assign(published=float("nan"), q=float("nan"))
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
