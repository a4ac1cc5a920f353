"""Where in the network work and author show: positions, kinds of layers and the best single ones, with chance."""

import math
from typing import TYPE_CHECKING

from egara.io.tables import read_tsv
from egara.scores.layers import COLUMNS
from egara.tables.layout import NOTHING, Group, Layout, fixed, probability, settings
from egara.tables.pivot import CELL, place
from egara.tables.registry import table
from egara.vocabulary import HYPOTHESES, QUESTIONS, SIGNIFICANT, TEXT_AXES
from egara.weights.layer_names import KINDS, place_of

if TYPE_CHECKING:
    import pandas as pd

TEXT = [*TEXT_AXES, "representation", "l2", "what", "name", "position", "kind", "level", "metric"]
ORDER = ["all", "group", "position", "kind", "layer"]
BEST = 3
TITLE = "Where in the network"
NOTE = (
    f"Layers of one position, kind or group together, and the {BEST} single layers that gain most over chance under "
    "either hypothesis. Top-1: 1-NN accuracy. share of size: of the summed squared lengths. q: p after Benjamini and "
    "Hochberg, over single layers, and over positions, kinds and groups apart."
)


def layout(table: "pd.DataFrame") -> Layout:
    """Lay out all layers, groups, positions, kinds and the best single layers of each setting."""
    keys = [*CELL, "what", "name"]
    rows = table.drop_duplicates(keys)[[*keys, "share"]]
    scores = {
        name: table[table["level"] == name].set_index(keys)[["value", "chance", "q"]].reindex(
            [tuple(row) for row in rows[keys].itertuples(index=False)]
        )
        for name in QUESTIONS
    }  # fmt: skip
    layers = (rows["what"] == "layer").to_numpy()
    best = set()
    for name in QUESTIONS:
        gain = (scores[name]["value"] - scores[name]["chance"]).to_numpy()
        for _, part in rows.assign(gain=gain, row=range(len(rows)))[layers].groupby(CELL):
            best |= set(part.nlargest(BEST, "gain")["row"])
    kept = [row for row in range(len(rows)) if not layers[row] or row in best]
    kept.sort(key=lambda row: _place(rows.iloc[row].to_dict()))
    rows = rows.iloc[kept]
    head, same = settings(rows)
    head["where"] = rows["name"].tolist()
    columns = {"share of size": [f"{100 * v:.0f} %" if math.isfinite(v) else NOTHING for v in rows["share"]]}
    groups = [Group("", columns, muted=("share of size",))]
    for name in QUESTIONS:
        part = scores[name].iloc[kept]
        if not part["value"].notna().any():
            continue
        below = [row for row, q in enumerate(part["q"]) if q < SIGNIFICANT]
        columns = {
            "Top-1": [fixed(v) for v in part["value"]],
            "chance": [fixed(v) for v in part["chance"]],
            "q": [probability(v) for v in part["q"]],
        }
        strong = frozenset((row, column) for row in below for column in ("Top-1", "q"))
        groups.append(Group(HYPOTHESES[name].label, columns, strong))
    notes = [same] if same else []
    for _, part in table[table["what"] == "layer"].groupby(CELL, sort=False):
        found = []
        for name in QUESTIONS:
            every = part[part["level"] == name]
            tested = every[every["q"].notna()]
            below, without = int((tested["q"] < SIGNIFICANT).sum()), len(every) - len(tested)
            found.append(
                f"{HYPOTHESES[name].label} {below} of {len(tested)}"
                + (f" ({without} have no score)" if without else "")
            )
        row = part.iloc[0]
        notes.append(
            f"Single layers with q below {SIGNIFICANT:g}, rank {row['rank']:g}, L2 {row['l2']}: {', '.join(found)}."
        )
    return Layout(TITLE, head, groups, [*notes, NOTE])


def _place(row: dict) -> tuple:
    what = ORDER.index(row["what"])
    order = place_of(row["name"]).order if row["what"] == "layer" else ()
    if row["what"] == "kind":
        order = (KINDS.index(row["name"]),)
    return place(row | {"space": "full"}), what, order


@table(
    "layers", TITLE, NOTE, layout=layout,
    inputs=("layers",), when="layers", text=("what", "name", "position", "kind"), order=6,
)  # fmt: skip
def layer_table(layers: list[str]) -> "pd.DataFrame":
    """Read score files of layers, one below the other."""
    import pandas as pd

    return pd.concat([read_tsv(path, COLUMNS, text=TEXT) for path in layers], ignore_index=True)[COLUMNS]
