"""Agreement of HDBSCAN's clusters with works and authors, beside chance."""

from pathlib import Path
from typing import TYPE_CHECKING

from egara.cells import parse_cell
from egara.errors import EgaraError, run
from egara.files import read_tsv
from egara.progress import logger, parser
from egara.tables.layout import Group, Layout, fixed, probability, settings, significant
from egara.tables.scores import CELL, place
from egara.tables.writing import write_table

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["map", "level", "ami", "ari", "homogeneity", "completeness", "noise", "clusters", "n", "chance", "p"]
NAMES = {"work": "with works", "author": "with authors", "author_across_works": "works exchanged"}


def read_agreement(path: str | Path) -> "pd.DataFrame":
    """Read `<cell>/<representation>_l2~<on|off>/agreement.tsv` and put what its folders say before its columns.

    Raises
    ------
    EgaraError : no such table, or folders of other names.
    """
    path = Path(path)
    representation, marker, l2 = path.parent.name.partition("_l2~")
    if not marker or l2 not in ("on", "off"):
        raise EgaraError(f"{path}: folder {path.parent.name}; expected one like delta_l2~on")
    labels = {**parse_cell(path.parent.parent.name), "representation": representation, "l2": l2}
    import pandas as pd

    table = read_tsv(path, COLUMNS, text=["map", "level"])
    return pd.DataFrame({**dict.fromkeys(labels), **table}).assign(**labels)


def cluster_table(paths: list[str]) -> "pd.DataFrame":
    """All agreements one below the other, in the order of the settings."""
    import pandas as pd

    table = pd.concat([read_agreement(path) for path in paths], ignore_index=True)
    return pd.DataFrame(sorted(table.to_dict("records"), key=place), columns=table.columns)


def layout(table: "pd.DataFrame") -> Layout:
    """Lay the table out: one row a map, adjusted mutual information at each level beside chance."""
    keys = [*CELL, "map"]
    rows = table.drop_duplicates(keys)[keys]
    head, same = settings(rows, keep=("representation", "map"))
    by_level = {level: rows.merge(part, on=keys, how="left") for level, part in table.groupby("level")}
    any_level = next(iter(by_level.values()))
    counts = {
        "clusters": [fixed(v, 0) for v in any_level["clusters"]], "noise": [fixed(v, 2) for v in any_level["noise"]],
    }  # fmt: skip
    groups = [Group("", counts)]
    for level, name in NAMES.items():
        if level in by_level:
            part = by_level[level]
            columns = {"AMI": [fixed(v) for v in part["ami"]], "chance": [fixed(v) for v in part["chance"]]}
            columns["p"] = [probability(v) for v in part["p"]]
            strong = significant(part["p"], "AMI") | significant(part["p"], "p")
            if level == "author_across_works" and "author" in by_level:
                del columns["AMI"]
            groups.append(Group(name, columns, strong))
    notes = [same] if same else []
    notes.append(
        "AMI: adjusted mutual information, 1 for full agreement; noise: share of LoRAs that HDBSCAN leaves out, "
        "counted as one more group. “Works exchanged”: the agreement with authors against what clusters of "
        "works give, whoever drew them."
    )
    return Layout("Clusters against works and authors", head, groups, notes)


def main(argv: list[str] | None = None) -> None:
    """Read agreements and write the table."""
    arguments = parser(__doc__)
    arguments.add_argument(
        "--agreement", required=True, nargs="+", help="<cell>/<representation>_l2~<on|off>/agreement.tsv"
    )
    arguments.add_argument("--output", required=True, nargs="+", help="tables to write (.tsv, .md, .tex)")
    options = arguments.parse_args(argv)
    table = cluster_table(options.agreement)
    write_table(options.output, table, layout(table))
    logger("tables").info("clusters: %d rows: %s", len(table), options.output[0])


if __name__ == "__main__":
    run(main)
