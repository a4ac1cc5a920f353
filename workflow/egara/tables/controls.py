"""Controls: the same scores where something is taken away that must matter, or that must not, and what that shows."""

import math
from typing import TYPE_CHECKING

from egara.io.tables import read_tsv
from egara.scores.controls import COLUMNS, NORMS, SHUFFLED
from egara.tables.layout import Group, Layout, fixed, probability, settings
from egara.tables.pivot import TEXT, place
from egara.tables.registry import table
from egara.vocabulary import HYPOTHESES, SIGNIFICANT

if TYPE_CHECKING:
    import pandas as pd

NAMES = {
    SHUFFLED: "labels shuffled", NORMS: "norms only", "token": "another token", "disjoint": "no common face",
    "same": "seed only",
}  # fmt: skip
TITLE = "Controls"
NOTE = (
    "The same scores with shuffled labels, with only the size of the weights, with another token in the caption, with "
    "sets that have no face in common, and where only the seed differs. A control that must fail and does not is a "
    "warning."
)


def say(control: str, key: tuple[str, str], study: dict, found: dict) -> str:
    """Say in a few words what a control shows; `key` is the hypothesis and the metric."""
    value, p, base = found["value"], found["p"], study["value"]
    if not math.isfinite(value):
        return f"nothing to tell: {found['note']}" if found.get("note") else "not tested"
    above = p < SIGNIFICANT
    if control == SHUFFLED:
        return "above chance, as one in twenty is" if above else "at chance, as it must be"
    if control == NORMS:
        return "above chance: size alone tells" if above else "at chance: size does not tell"
    hypothesis, metric = key
    if control == "token":
        return f"{fixed(value - base, 2, sign=True)} with the other token" if math.isfinite(base) else ""
    if metric == "top1":
        what = "work" if hypothesis == "work" else "author"
        if study["p"] < SIGNIFICANT:
            return f"the {what} still shows" if above else f"the {what} no longer shows"
        return f"the {what} shows here only" if above else f"the {what} shows in neither"
    if metric == "cosine_intra" and math.isfinite(base) and base:
        return f"{100 * value / base:.0f} % of the study's distance"
    return ""


def layout(table: "pd.DataFrame") -> Layout:
    """Lay out the study's score, the control's and what that shows, for one L2 setting; shuffles as one note."""
    shuffled = table[(table["control"] == SHUFFLED) & table["p"].notna()]
    table = table[(table["control"] != SHUFFLED) & (table["l2"] == table["l2"].iloc[0])]
    head, same = settings(table)
    metrics = {"top1": "Top-1", "cosine_intra": "distance within", "cosine_inter": "distance between"}
    head |= {
        "control": [NAMES[name] for name in table["control"]],
        "score": [f"{metrics[m]}, {HYPOTHESES[h].label}" for m, h in zip(table["metric"], table["level"], strict=True)],
    }
    groups = [
        Group(
            "study", {"value": [fixed(v) for v in table["study"]], "chance": [fixed(v) for v in table["study_chance"]]}
        ),
        Group(
            "control",
            {
                "value": [fixed(v) for v in table["value"]],
                "chance": [fixed(v) for v in table["chance"]],
                "p": [probability(v) for v in table["p"]],
            },
            frozenset((row, c) for row, p in enumerate(table["p"]) if p < SIGNIFICANT for c in ("value", "p")),
        ),
        Group("", {"shows": table["outcome"].tolist()}),
    ]
    notes = [same] if same else []
    if len(shuffled):
        notes.append(
            f"Labels shuffled: {int((shuffled['p'] < SIGNIFICANT).sum())} of {len(shuffled)} scores have p below "
            f"{SIGNIFICANT}; {SIGNIFICANT * len(shuffled):.1f} are expected. Their rows and the other L2 setting are "
            "in controls.tsv."
        )
    else:
        notes.append("Labels shuffled: no score could be made. The rows and their reasons are in controls.tsv.")
    trained = table[~table["control"].isin([SHUFFLED, NORMS])]
    if len(trained):
        notes.append(
            f"Trained controls: {', '.join(f'{n} LoRAs' for n in sorted(set(trained['loras'])))} with the settings of "
            "the first cell, compared with as many of the study, from the same sets."
        )
    return Layout(TITLE, head, groups, [*notes, NOTE])


@table(
    "controls", TITLE, NOTE, layout=layout,
    inputs=("controls",), when="compared", text=("control", "outcome"), order=5,
)  # fmt: skip
def control_table(controls: list[str]) -> "pd.DataFrame":
    """Scores of the controls, as `egara.scores.controls` gives them, and `outcome`, what each shows in words."""
    import pandas as pd

    rows = [row for path in controls for row in read_tsv(path, COLUMNS, text=[*TEXT, "control"]).to_dict("records")]
    for row in rows:
        study = {"value": row["study"], "p": row["study_p"]}
        row["outcome"] = say(row["control"], (row["level"], row["metric"]), study, row)
    order = list(NAMES)
    rows.sort(key=lambda row: (order.index(row["control"]), place(row | {"space": "full"})))
    return pd.DataFrame(rows, columns=[*(name for name in COLUMNS if name != "note"), "outcome"])
