"""How many faces two sets of a work share, as drawn and as expected: such LoRAs are alike for that reason alone."""

from typing import TYPE_CHECKING

from egara.io.errors import EgaraError, counted, run
from egara.io.progress import logger, parser
from egara.io.tables import read_tsv
from egara.sets import expected_overlap, measured_overlap
from egara.tables.layout import Group, Layout, count, fixed
from egara.tables.works import by_work
from egara.tables.writing import write_table

if TYPE_CHECKING:
    import pandas as pd


def overlap_table(faces: list[str], sets: list[str]) -> "pd.DataFrame":
    """One row per work: work, faces, sets, set_size, expected and measured share of a set that another holds too."""
    import pandas as pd

    pools, rows = by_work(faces, ".tsv"), []
    for work, path in by_work(sets, ".tsv").items():
        if work not in pools:
            raise EgaraError(f"{path}: no table of faces for work {work}; expected {work}.tsv among --faces")
        drawn = read_tsv(path, ["set", "face"], text=["set", "face"])
        pool, size = len(read_tsv(pools[work], ["face"])), int(drawn.groupby("set").size().max())
        row = {"work": work, "faces": pool, "sets": drawn["set"].nunique(), "set_size": size}
        rows.append({**row, "expected": expected_overlap(pool, size), "measured": measured_overlap(drawn)})
    return pd.DataFrame(rows)


def layout(table: "pd.DataFrame") -> Layout:
    """Lay the table out."""
    columns = {
        "faces": [count(v) for v in table["faces"]],
        "sets": [count(v) for v in table["sets"]],
        "faces a set": [count(v) for v in table["set_size"]],
        "expected": [fixed(v) for v in table["expected"]],
        "measured": [fixed(v) for v in table["measured"]],
    }
    notes = [
        "expected, measured: mean share of a set's faces that lie in another set of the work too "
        "(expected: faces a set / faces). Sets of one work are not independent; sets of two works share nothing."
    ]
    return Layout("Overlap of the sets of a work", {"work": table["work"].tolist()}, [Group("", columns)], notes)


def main(argv: list[str] | None = None) -> None:
    """Read faces and sets and write the table."""
    arguments = parser(__doc__)
    arguments.add_argument("--faces", required=True, nargs="+", help="faces/{work}.tsv")
    arguments.add_argument("--sets", required=True, nargs="+", help="sets/{work}.tsv, in the order of the rows")
    arguments.add_argument("--output", required=True, nargs="+", help="tables to write (.tsv, .md, .tex)")
    options = arguments.parse_args(argv)
    table = overlap_table(options.faces, options.sets)
    write_table(options.output, table, layout(table))
    logger("tables").info("overlap: %s: %s", counted(len(table), "row"), options.output[0])


if __name__ == "__main__":
    run(main)
