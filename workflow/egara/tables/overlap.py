"""How many faces two sets of a work share, as drawn and as expected; LoRAs of one work are alike for that, too."""

from typing import TYPE_CHECKING

from egara.io.errors import EgaraError
from egara.io.tables import read_tsv
from egara.sets import expected_overlap, measured_overlap
from egara.tables.layout import Group, Layout, count, fixed
from egara.tables.registry import table
from egara.tables.works import by_work

if TYPE_CHECKING:
    import pandas as pd

TITLE = "Overlap of the sets of a work"
NOTE = (
    "expected, measured: mean share of a set's faces that are in another set of the work too (expected: faces per set "
    "/ faces). Sets of one work are not independent; sets of two works share nothing."
)


def layout(table: "pd.DataFrame") -> Layout:
    """Lay the table out."""
    columns = {
        "faces": [count(v) for v in table["faces"]],
        "sets": [count(v) for v in table["sets"]],
        "faces per set": [count(v) for v in table["set_size"]],
        "expected": [fixed(v) for v in table["expected"]],
        "measured": [fixed(v) for v in table["measured"]],
    }
    return Layout(TITLE, {"work": table["work"].tolist()}, [Group("", columns)], [NOTE])


@table(
    "overlap", TITLE, NOTE, layout=layout,
    inputs=("faces", "sets"), text=("work",), section="material", order=3, folded=False,
)  # fmt: skip
def overlap_table(faces: list[str], sets: list[str]) -> "pd.DataFrame":
    """One row per work: work, faces, sets, set_size, expected and measured share of a set that another has, too."""
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
