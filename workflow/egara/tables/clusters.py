"""Agreement of HDBSCAN's clusters with works and authors, beside chance."""

from pathlib import Path
from typing import TYPE_CHECKING

from egara.cells import parse_cell
from egara.io.errors import EgaraError, counted, run
from egara.io.files import read_tsv
from egara.io.progress import logger, parser
from egara.scores.agreement import compare
from egara.scores.hypotheses import LEVELS
from egara.tables.layout import Group, Layout, fixed, probability, settings, significant
from egara.tables.pivot import CELL, place
from egara.tables.writing import write_table

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["map", "author", "work", "set", "cluster"]
NAMES = {"work": "with works", "author": "with authors", "author_across_works": "works exchanged"}


def compare_clusters(path: str | Path, permutations: int, seed: int) -> list[dict]:
    """Compare the clusters in `<cell>/<representation>_l2~<on|off>/hdbscan.tsv` with works and authors.

    Returns
    -------
    One row a map and level: cell, representation, l2, map, and what `egara.scores.agreement.compare` gives.

    Raises
    ------
    EgaraError : no such table, or folders of other names.
    """
    path = Path(path)
    representation, marker, l2 = path.parent.name.partition("_l2~")
    if not marker or l2 not in ("on", "off"):
        raise EgaraError(f"{path}: folder {path.parent.name}; expected one like delta_l2~on")
    labels = {**parse_cell(path.parent.parent.name), "representation": representation, "l2": l2}
    table = read_tsv(path, COLUMNS, text=["map", "author", "work", "set"])
    rows = []
    for name, part in table.groupby("map", sort=False):
        clusters = part["cluster"].to_numpy(dtype=int)
        rows += [{**labels, "map": name, **compare(clusters, part, level, permutations, seed)} for level in LEVELS]
    return rows


def cluster_table(paths: list[str], permutations: int, seed: int) -> "pd.DataFrame":
    """All agreements one below the other, in the order of the settings."""
    import pandas as pd

    rows = [row for path in paths for row in compare_clusters(path, permutations, seed)]
    return pd.DataFrame(sorted(rows, key=place))


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
            found = part.where(part["clusters"] > 0)  # noise alone agrees with nothing, by definition
            if not found["ami"].notna().any():
                continue
            columns = {"AMI": [fixed(v) for v in found["ami"]], "chance": [fixed(v) for v in found["chance"]]}
            columns["p"] = [probability(v) for v in found["p"]]
            strong = significant(part["p"], "AMI") | significant(part["p"], "p")
            if level == "author_across_works" and "author" in by_level:
                del columns["AMI"]
            groups.append(Group(name, columns, strong))
    notes = [same] if same else []
    nothing, noisy = int((any_level["clusters"] == 0).sum()), any_level["noise"].mean()
    if len(rows):
        notes.append(
            f"HDBSCAN leaves out {100 * noisy:.0f} % of the LoRAs as noise, on average over the maps"
            + (f"; in {nothing} of {len(rows)} it finds no cluster." if nothing else ".")
        )
    for level, name in NAMES.items():
        if level in by_level and (
            why := [n for n in dict.fromkeys(by_level[level]["note"]) if isinstance(n, str) and n]
        ):
            notes.append(f"{name[:1].upper()}{name[1:]}: nothing to tell, {', '.join(why)}.")
    notes.append(
        "AMI: adjusted mutual information, 1 for full agreement; noise: share of LoRAs that HDBSCAN leaves out, "
        "counted as one more group. “Works exchanged”: the agreement with authors against what clusters of "
        "works give, whoever drew them."
    )
    return Layout("Clusters against works and authors", head, groups, notes)


def main(argv: list[str] | None = None) -> None:
    """Read clusters, compare them with works and authors and write the table."""
    arguments = parser(__doc__)
    arguments.add_argument(
        "--clusters", required=True, nargs="+", help="<cell>/<representation>_l2~<on|off>/hdbscan.tsv"
    )
    arguments.add_argument("--permutations", type=int, default=999, help="relabellings a null distribution")
    arguments.add_argument("--seed", type=int, required=True, help="study seed")
    arguments.add_argument("--output", required=True, nargs="+", help="tables to write (.tsv, .md, .tex)")
    options = arguments.parse_args(argv)
    if options.permutations < 1:
        arguments.error("--permutations must be at least 1")
    table = cluster_table(options.clusters, options.permutations, options.seed)
    write_table(options.output, table, layout(table))
    logger("tables").info("clusters: %s: %s", counted(len(table), "row"), options.output[0])


if __name__ == "__main__":
    run(main)
