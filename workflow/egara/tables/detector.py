"""How well the face detector does on pages whose faces are known."""

from typing import TYPE_CHECKING

from egara.io.tables import read_tsv
from egara.tables.layout import Group, Layout, count, fixed
from egara.tables.registry import table

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["work", "pages", "faces", "precision", "recall", "ap", "threshold", "detector"]
ALL = "all works"
TITLE = "The face detector on pages whose faces are known"
NOTE = (
    "A box finds a face if they overlap by half (IoU 0.5), one to one. AP: area under precision over recall; for all "
    "works their mean."
)


def layout(table: "pd.DataFrame") -> Layout:
    """Lay the table out, the row of all works in bold."""
    columns = {
        "pages": [count(v) for v in table["pages"]],
        "faces": [count(v) for v in table["faces"]],
        "precision": [fixed(v) for v in table["precision"]],
        "recall": [fixed(v) for v in table["recall"]],
        "AP": [fixed(v) for v in table["ap"]],
    }
    notes = []
    if "recall_large" in table and table["recall_large"].notna().any():
        columns["large faces"] = [count(v) for v in table["large"]]
        columns["their recall"] = [fixed(v) for v in table["recall_large"]]
        notes = [f"Large: at least {count(table['min_pixels'].iloc[0])} pixels, as the crops of a set must be."]
    head = {"work": table["work"].tolist()}
    same = table[["detector", "threshold"]].drop_duplicates()
    if len(same) > 1:
        head["detector"] = table["detector"].tolist()
        head["threshold"] = [f"{v:g}" for v in table["threshold"]]
    else:
        notes.insert(0, f"Detector {same['detector'].iloc[0]}, boxes of score {same['threshold'].iloc[0]:g} and above.")
    whole = [row for row, work in enumerate(table["work"]) if work == ALL]
    strong = frozenset((row, column) for row in whole for column in columns)
    return Layout(TITLE, head, [Group("", columns, strong)], [*notes, NOTE])


@table(
    "detector", TITLE, NOTE, layout=layout,
    inputs=("detector",), when="composed", text=("work", "detector"), section="material", order=2, folded=False,
)  # fmt: skip
def detector_table(detector: list[str]) -> "pd.DataFrame":
    """One row per work, and one for all: precision and recall over all faces, average precision the mean over works."""
    import pandas as pd

    table = pd.concat([read_tsv(path, COLUMNS, text=["work", "detector"]) for path in detector], ignore_index=True)
    totals = [_total(part) for _, part in table.groupby(["detector", "threshold"], sort=False)]
    return pd.concat([table, pd.DataFrame(totals)], ignore_index=True)


def _total(part: "pd.DataFrame") -> dict[str, object]:
    """Pool a detector's works; the numbers of boxes follow from precision, recall and the number of faces."""
    hits = (part["recall"].fillna(0.0) * part["faces"]).round()
    found = hits[hits > 0] / part["precision"][hits > 0]
    row = {"work": ALL, "pages": part["pages"].sum(), "faces": part["faces"].sum()}
    # Where no box of a work hits, its number of boxes is unknown unless precision 1 says that there was none.
    known = ((hits > 0) | (part["precision"] == 1.0)).all()
    row["precision"] = hits.sum() / found.sum() if known and hits.sum() else float("nan")
    row["recall"] = hits.sum() / row["faces"] if row["faces"] else float("nan")
    row |= {"ap": part["ap"].mean(), "threshold": part["threshold"].iloc[0], "detector": part["detector"].iloc[0]}
    if {"large", "recall_large", "min_pixels"} <= set(part.columns):
        large = part["large"].sum()
        recalled = (part["recall_large"].fillna(0.0) * part["large"]).sum()
        row |= {"large": large, "recall_large": recalled / large if large else float("nan")}
        row["min_pixels"] = part["min_pixels"].iloc[0]
    return row
