"""How HDBSCAN's clusters agree with works and authors, compared with permuted labels."""

from typing import TYPE_CHECKING

from egara.io.tables import read_tsv
from egara.tables.layout import Group, Layout, fixed, probability, settings, significant
from egara.tables.pivot import CELL, TEXT, nothing_to_tell, place
from egara.tables.registry import table
from egara.vocabulary import HYPOTHESES, Hypothesis

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = [*CELL, "map", "level", "ami", "chance", "p", "noise", "clusters", "note"]
TITLE = "Agreement of clusters with works and authors"
NOTE = (
    "AMI: adjusted mutual information, 1 for full agreement; noise: share of LoRAs that HDBSCAN leaves out, counted as "
    "one more group. “Author, other works only”: the agreement with authors compared with what clusters of works give, "
    "whoever drew them; its AMI is that of “author”."
)


def layout(table: "pd.DataFrame") -> Layout:
    """Lay the table out: one row per map, adjusted mutual information under each hypothesis, with chance."""
    keys = [*CELL, "map"]
    rows = table.drop_duplicates(keys)[keys]
    head, same = settings(rows, keep=("representation", "map"))
    by_level = {level: rows.merge(part, on=keys, how="left") for level, part in table.groupby("level")}
    any_part = next(iter(by_level.values()))
    counts = {
        "clusters": [fixed(v, 0) for v in any_part["clusters"]], "noise": [fixed(v, 2) for v in any_part["noise"]],
    }  # fmt: skip
    groups = [Group("", counts)]
    for name, hypothesis in HYPOTHESES.items():
        if name in by_level:
            part = by_level[name]
            found = part.where(part["clusters"] > 0)  # noise alone agrees with nothing, by definition
            if not found["ami"].notna().any():
                continue
            columns = {"AMI": [fixed(v) for v in found["ami"]], "chance": [fixed(v) for v in found["chance"]]}
            columns["p"] = [probability(v) for v in found["p"]]
            strong = significant(part["p"], "AMI") | significant(part["p"], "p")
            if name == "author_across_works" and "author" in by_level:
                del columns["AMI"]  # that of `author`
            groups.append(Group(_label(hypothesis), columns, strong))
    notes = [same] if same else []
    nothing, noisy = int((any_part["clusters"] == 0).sum()), any_part["noise"].mean()
    if len(rows):
        notes.append(
            f"HDBSCAN leaves out {100 * noisy:.0f} % of the LoRAs as noise, on average over the maps"
            + (f"; in {nothing} of {len(rows)} it finds no cluster." if nothing else ".")
        )
    for name, hypothesis in HYPOTHESES.items():
        if name in by_level and (why := [n for n in dict.fromkeys(by_level[name]["note"]) if isinstance(n, str) and n]):
            notes.append(nothing_to_tell(_label(hypothesis), why))
    return Layout(TITLE, head, groups, [*notes, NOTE])


def _label(hypothesis: Hypothesis) -> str:
    return hypothesis.label.removesuffix(", all neighbours")  # clusters have none


@table("clusters", TITLE, NOTE, layout=layout, inputs=("clusters",), when="compared", text=("map",), order=8)
def cluster_table(clusters: list[str]) -> "pd.DataFrame":
    """All agreements one below the other, in the order of the settings; one row per map and hypothesis."""
    import pandas as pd

    rows = [row for path in clusters for row in read_tsv(path, COLUMNS, text=[*TEXT, "map"]).to_dict("records")]
    return pd.DataFrame(sorted(rows, key=place))
