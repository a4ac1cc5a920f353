"""Where in the network work and author show: positions, kinds of layers and the best single ones, beside chance."""

import math
from typing import TYPE_CHECKING

from egara.io.errors import counted, run
from egara.io.progress import logger, parser
from egara.io.tables import read_tsv
from egara.scores.layers import COLUMNS
from egara.tables.layout import NOTHING, SIGNIFICANT, Group, Layout, fixed, probability, settings
from egara.tables.pivot import CELL, LEVELS, place
from egara.tables.writing import write_table
from egara.vocabulary import TEXT_AXES
from egara.weights.layer_names import KINDS, place_of

if TYPE_CHECKING:
    import pandas as pd

TEXT = [*TEXT_AXES, "representation", "l2", "what", "name", "position", "kind", "level", "metric"]
ORDER = ["all", "group", "position", "kind", "layer"]
SHOWN = ("work", "author_across_works")
BEST = 3


def layer_table(paths: list[str]) -> "pd.DataFrame":
    """Read score files of layers one below the other."""
    import pandas as pd

    return pd.concat([read_tsv(path, COLUMNS, text=TEXT) for path in paths], ignore_index=True)[COLUMNS]


def layout(table: "pd.DataFrame") -> Layout:
    """Lay out all layers, groups, positions, kinds and the best single layers of each setting."""
    keys = [*CELL, "what", "name"]
    rows = table.drop_duplicates(keys)[[*keys, "share"]]
    scores = {
        level: table[table["level"] == level].set_index(keys)[["value", "chance", "q"]].reindex(
            [tuple(row) for row in rows[keys].itertuples(index=False)]
        )
        for level in SHOWN
    }  # fmt: skip
    layers = (rows["what"] == "layer").to_numpy()
    best = set()
    for level in SHOWN:
        gain = (scores[level]["value"] - scores[level]["chance"]).to_numpy()
        for _, part in rows.assign(gain=gain, row=range(len(rows)))[layers].groupby(CELL):
            best |= set(part.nlargest(BEST, "gain")["row"])
    kept = [row for row in range(len(rows)) if not layers[row] or row in best]
    kept.sort(key=lambda row: _place(rows.iloc[row].to_dict()))
    rows = rows.iloc[kept]
    head, same = settings(rows)
    head["where"] = rows["name"].tolist()
    columns = {"share of size": [f"{100 * v:.0f} %" if math.isfinite(v) else NOTHING for v in rows["share"]]}
    groups = [Group("", columns, muted=("share of size",))]
    for level in SHOWN:
        part = scores[level].iloc[kept]
        if not part["value"].notna().any():
            continue
        sure = [row for row, q in enumerate(part["q"]) if q < SIGNIFICANT]
        columns = {
            "Top-1": [fixed(v) for v in part["value"]],
            "chance": [fixed(v) for v in part["chance"]],
            "q": [probability(v) for v in part["q"]],
        }
        groups.append(Group(LEVELS[level], columns, frozenset((row, c) for row in sure for c in ("Top-1", "q"))))
    notes = [same] if same else []
    for _, part in table[table["what"] == "layer"].groupby(CELL, sort=False):
        found = []
        for level in SHOWN:
            every = part[part["level"] == level]
            tested = every[every["q"].notna()]
            sure, without = int((tested["q"] < SIGNIFICANT).sum()), len(every) - len(tested)
            found.append(
                f"{LEVELS[level]} {sure} of {len(tested)}" + (f" ({without} have no score)" if without else "")
            )
        row = part.iloc[0]
        notes.append(f"Single layers with q below 0.05, rank {row['rank']:g}, L2 {row['l2']}: {', '.join(found)}.")
    notes.append(
        f"Layers of one position, kind or group side by side, and the {BEST} single layers that gain most over chance "
        "at either level. share of size: of the summed squared lengths. q: p after Benjamini and Hochberg, over single "
        "layers, and over positions, kinds and groups apart."
    )
    return Layout("Where in the network", head, groups, notes)


def _place(row: dict) -> tuple:
    what = ORDER.index(row["what"])
    order = place_of(row["name"]).order if row["what"] == "layer" else ()
    if row["what"] == "kind":
        order = (KINDS.index(row["name"]),)
    return place(row | {"space": "full"}), what, order


def main(argv: list[str] | None = None) -> None:
    """Read score files of layers and write the table."""
    arguments = parser(__doc__)
    arguments.add_argument("--layers", required=True, nargs="+", help="score files of layers (.tsv)")
    arguments.add_argument("--output", required=True, nargs="+", help="tables to write (.tsv, .md, .tex)")
    options = arguments.parse_args(argv)
    table = layer_table(options.layers)
    write_table(options.output, table, layout(table))
    logger("tables").info("layers: %s: %s", counted(len(table), "row"), options.output[0])


if __name__ == "__main__":
    run(main)
