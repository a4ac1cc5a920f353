"""Mean cosine distances between works of one series, of one author's other series, and of two authors."""

from typing import TYPE_CHECKING

from egara.io.tables import read_tsv
from egara.tables.layout import Group, Layout, fixed, probability, settings, significant
from egara.tables.pivot import CELL, TEXT, place
from egara.tables.registry import table
from egara.vocabulary import SIGNIFICANT

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = [*CELL, "author", "series", "same_series", "other_series", "other_author", "chance"]
TITLE = "Works of one series, of one author, of two authors"
NOTE = (
    "Mean cosine distances between LoRAs of two works. p: one-sided (nearer than chance), from permuting series over "
    "works or authors over series. chance: mean over all pairs of works. Top-1: share of LoRAs whose nearest LoRA of "
    "another series is their author's. Works of one series share more than an author: only two series of one author "
    "show whether the author is recognised."
)


def layout(table: "pd.DataFrame") -> Layout:
    """Lay the table out."""
    head, same = settings(table)
    head["author"] = table["author"].tolist()
    same_series = {
        "distance": [fixed(v, 4) for v in table["same_series"]],
        "p": [probability(v) for v in table["same_series_p"]],
    }
    other = {
        "distance": [fixed(v, 4) for v in table["other_series"]],
        "p": [probability(v) for v in table["other_series_p"]],
        "Top-1": [fixed(v) for v in table["other_series_top1"]],
        "chance": [fixed(v) for v in table["other_series_top1_chance"]],
    }
    rest = {"distance": [fixed(v, 4) for v in table["other_author"]], "chance": [fixed(v, 4) for v in table["chance"]]}

    def bold(prefix: str) -> frozenset[tuple[int, str]]:
        return significant(table[f"{prefix}_p"], "distance") | significant(table[f"{prefix}_p"], "p")

    groups = [
        Group("same series", same_series, bold("same_series")),
        Group("other series, same author", other, bold("other_series")),
        Group("other author", rest),
    ]
    notes = [same] if same else []
    least = table["other_series_p_least"].max()
    if least >= SIGNIFICANT:
        notes.append(
            f"With so few series p of other series cannot fall below {probability(least)}, whatever the distances."
        )
    return Layout(TITLE, head, groups, [*notes, NOTE])


@table("pairs", TITLE, NOTE, layout=layout, inputs=("series",), when="series", text=("author", "series"), order=7)
def pair_table(series: list[str]) -> "pd.DataFrame":
    """All distances one below the other, in the order of the settings, as `egara.scores.series` gives them."""
    import pandas as pd

    text = [*TEXT, "author", "series"]
    rows = [row for path in series for row in read_tsv(path, COLUMNS, text=text).to_dict("records")]
    return pd.DataFrame(sorted(rows, key=place))
