"""Controls: the same scores where something is taken away that must matter, or that must not.

shuffled labels
    Labels exchanged once: a score above chance would be an error of ours.
norms
    Only how large the update of each layer is: what shows here is no matter of direction.
token
    Another token policy on the same sets: what the author score owes to the word in the caption.
disjoint
    Sets without a common face against as many drawn ones: what the work score owes to faces that sets share.
same
    One set, several seeds: how far apart LoRAs lie that differ in nothing else.
"""

import json
import math
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from egara.cells import KEYS, parse_cell
from egara.io.errors import EgaraError, counted, run
from egara.io.progress import logger, parser
from egara.scores.distances import NoDirections, cosine_distances
from egara.scores.hypotheses import NEIGHBOURS, describe_level, empty_rows, score_hits, score_level
from egara.scores.labels import authors_by_work, codes
from egara.seeds import stream
from egara.tables.layout import SIGNIFICANT, Group, Layout, fixed, probability, settings
from egara.tables.pivot import place
from egara.tables.writing import write_table
from egara.weights.geometry import prepare, read_vectors

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from egara.scores.hypotheses import Level

ACROSS = "author_across_works"
SHUFFLED, NORMS = "shuffled labels", "norms"
NAMES = {
    SHUFFLED: "labels shuffled", NORMS: "norms only", "token": "another token", "disjoint": "no common face",
    "same": "seed only",
}  # fmt: skip
# What each control compares: level and metric.
ASKED = {
    SHUFFLED: [("work", "top1"), (ACROSS, "top1")],
    NORMS: [("work", "top1"), (ACROSS, "top1")],
    "token": [("author", "top1"), (ACROSS, "top1")],
    "disjoint": [("work", "top1"), ("work", "cosine_intra"), (ACROSS, "top1")],
    "same": [("work", "top1"), ("work", "cosine_intra"), ("work", "cosine_inter")],
}
COLUMNS = [
    *KEYS, "representation", "l2", "control", "level", "metric", "loras", "study", "study_chance", "study_p", "value",
    "chance", "p", "outcome",
]  # fmt: skip


def shuffle(index: "pd.DataFrame", level: str, seed: int) -> "pd.DataFrame":
    """Exchange works among LoRAs, or authors among works, once; at least one label changes where that is possible."""
    import numpy as np

    generator = stream(seed, "controls", "shuffled", level)
    if level == "work":
        return index.assign(work=generator.permutation(index["work"].to_numpy()))
    works, authors = codes(index["work"]), codes(index["author"])
    owner = authors_by_work(authors, works)
    drawn = owner
    for _ in range(100):
        drawn = generator.permutation(owner)
        if not np.array_equal(drawn[:, None] == drawn, owner[:, None] == owner):
            break
    names = np.array(sorted(set(index["author"])))
    return index.assign(author=names[drawn][works])


def score(
    gram: "np.ndarray", index: "pd.DataFrame", l2: str, asked: list[tuple[str, str]], permutations: int, seed: int
) -> dict[tuple[str, str], dict]:
    """Return the rows of `egara.scores.hypotheses.score_level` that are asked for, on whole vectors."""
    try:
        distances = cosine_distances(prepare(gram, l2 == "on"))
    except NoDirections as reason:
        rows = {level: {row["metric"]: row for row in empty_rows(level, str(reason))} for level, _ in asked}
        return {(level, metric): rows[level][metric] for level, metric in asked}
    # Shuffled works have several authors, and the work level does not ask for them.
    works, authors = codes(index["work"]), codes(index["author"])
    found = {}
    for level in dict.fromkeys(level for level, _ in asked):
        described = _describe(level, tuple(authors.tolist()), tuple(works.tolist()), permutations, seed)
        metrics = tuple(metric for of, metric in asked if of == level)
        rows = (
            score_hits(distances, works, described, seed, metrics=metrics)
            if NEIGHBOURS.keys() >= set(metrics)
            else score_level(distances, works, described, seed)
        )
        found |= {(level, row["metric"]): row for row in rows}
    return {key: found[key] for key in asked}


@lru_cache(maxsize=16)
def _describe(level: str, authors: tuple[int, ...], works: tuple[int, ...], permutations: int, seed: int) -> "Level":
    """Set up a level once for all spaces of the same LoRAs."""
    import numpy as np

    return describe_level(level, np.array(authors), np.array(works), permutations, seed)


def first_sets(gram: "np.ndarray", index: "pd.DataFrame", names: set[str]) -> "tuple[np.ndarray, pd.DataFrame]":
    """Keep the LoRAs of these sets."""
    import numpy as np

    rows = np.flatnonzero(index["set"].isin(names))
    return gram[np.ix_(rows, rows)], index.iloc[rows].reset_index(drop=True)


def say(control: str, key: tuple[str, str], study: dict, found: dict) -> str:
    """Say in a few words what a control shows."""
    value, p, base = found["value"], found["p"], study["value"]
    if not math.isfinite(value):
        return f"nothing to tell: {found['note']}" if found.get("note") else "not tested"
    above = p < SIGNIFICANT
    if control == SHUFFLED:
        return "above chance: one in twenty is" if above else "at chance, as it must be"
    if control == NORMS:
        return "above chance: size alone tells" if above else "at chance: size does not tell"
    level, metric = key
    if control == "token":
        return f"{fixed(value - base, 2, sign=True)} with the other token" if math.isfinite(base) else ""
    if metric == "top1":
        what = "work" if level == "work" else "author"
        if study["p"] < SIGNIFICANT:
            return f"the {what} still shows" if above else f"the {what} no longer shows"
        return f"the {what} shows here only" if above else f"the {what} shows in neither"
    if metric == "cosine_intra" and math.isfinite(base) and base:
        return f"{100 * value / base:.0f} % of the study's distance"
    return ""


def control_table(
    vectors: "dict[tuple[str, str], tuple[np.ndarray, pd.DataFrame]]",
    study: list[str],
    controls: dict[str, str],
    l2: list[str],
    permutations: int,
    seed: int,
) -> "pd.DataFrame":
    """Score the controls.

    Parameters
    ----------
    vectors : Gram matrix and index by cell and representation, norms among them.
    study : the grid's cells; the first one has the twins.
    controls : cells of the twins by kind.

    Returns
    -------
    One row a cell, representation, L2, control, level and metric: the study's score beside its chance and p, the
    control's, and what that shows. Twins are compared with as many LoRAs of the study, those of the same sets.
    """
    import pandas as pd

    rows = []

    def add(cell: str, representation: str, setting: str, control: str, loras: int, before: dict, after: dict) -> None:
        for key, found in after.items():
            known = before[key]
            rows.append(
                {key: value for key, value in parse_cell(cell).items() if key in KEYS}
                | {"representation": representation, "l2": setting, "control": control, "level": key[0]}
                | {"metric": key[1], "loras": loras}
                | {"study": known["value"], "study_chance": known["chance"], "study_p": known["p"]}
                | {"value": found["value"], "chance": found["chance"], "p": found["p"]}
                | {"outcome": say(control, key, known, found)}
            )

    for (cell, representation), (gram, index) in vectors.items():
        if cell not in study:
            continue
        for setting in l2:
            if representation == NORMS:
                found = score(gram, index, setting, ASKED[NORMS], permutations, seed)
                add(cell, representation, setting, NORMS, len(index), found, found)
            asked = ASKED[SHUFFLED]
            before = score(gram, index, setting, asked, permutations, seed)
            after = {}
            for level, metric in asked:
                mixed = shuffle(index, level, seed)
                after |= score(gram, mixed, setting, [(level, metric)], permutations, seed)
            add(cell, representation, setting, SHUFFLED, len(index), before, after)
            for kind, twin in controls.items() if cell == study[0] else ():
                other, other_index = vectors[twin, representation]
                part, part_index = first_sets(gram, index, set(other_index["set"]))
                before = score(part, part_index, setting, ASKED[kind], permutations, seed)
                after = score(other, other_index, setting, ASKED[kind], permutations, seed)
                add(cell, representation, setting, kind, len(other_index), before, after)
    order = list(NAMES)
    rows.sort(key=lambda row: (order.index(row["control"]), place(row | {"space": "full"})))
    return pd.DataFrame(rows, columns=COLUMNS)


def layout(table: "pd.DataFrame") -> Layout:
    """Lay out the study's score, the control's and what that shows, for one L2 setting; shuffles as one remark."""
    shuffled = table[(table["control"] == SHUFFLED) & table["p"].notna()]
    table = table[(table["control"] != SHUFFLED) & (table["l2"] == table["l2"].iloc[0])]
    head, same = settings(table)
    levels = {"work": "work", "author": "author, all neighbours", ACROSS: "author, other works"}
    metrics = {"top1": "Top-1", "cosine_intra": "distance within", "cosine_inter": "distance between"}
    head |= {
        "control": [NAMES[name] for name in table["control"]],
        "score": [f"{metrics[m]}, {levels[level]}" for m, level in zip(table["metric"], table["level"], strict=True)],
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
            f"Labels shuffled: {int((shuffled['p'] < SIGNIFICANT).sum())} of {len(shuffled)} scores have p below 0.05; "
            f"{SIGNIFICANT * len(shuffled):.1f} are expected. Their rows and the other L2 setting stand in "
            "controls.tsv."
        )
    else:
        notes.append("Labels shuffled: no score could be made. The rows and their reasons stand in controls.tsv.")
    twins = table[table["control"].isin(["token", "disjoint", "same"])]
    if len(twins):
        notes.append(
            f"Twins of the first cell: {', '.join(f'{n} LoRAs' for n in sorted(set(twins['loras'])))}, compared with "
            "as many of the study from the sets of the same numbers."
        )
    return Layout("Controls", head, groups, notes)


def main(argv: list[str] | None = None) -> None:
    """Read Gram matrices of the study and its controls and write the table."""
    arguments = parser(__doc__)
    arguments.add_argument("--gram", required=True, nargs="+", help="<cell>/<representation>.gram.npy")
    arguments.add_argument("--index", required=True, nargs="+", help="their indexes, in the same order (.tsv)")
    arguments.add_argument("--study", required=True, nargs="+", help="cells of the grid, the one with twins first")
    arguments.add_argument("--controls", default="{}", help="cells of the twins by kind, a JSON object")
    arguments.add_argument("--l2", nargs="+", default=["on"], choices=["on", "off"], help="L2 settings to compare")
    arguments.add_argument("--permutations", type=int, default=999, help="relabellings a null distribution")
    arguments.add_argument("--seed", type=int, required=True, help="study seed")
    arguments.add_argument("--output", required=True, nargs="+", help="tables to write (.tsv, .md, .tex)")
    options = arguments.parse_args(argv)
    if len(options.gram) != len(options.index):
        raise EgaraError(f"{len(options.gram)} Gram matrices and {len(options.index)} indexes; expected one each")
    vectors = {
        (Path(gram).parent.name, Path(gram).name.removesuffix(".gram.npy")): read_vectors(gram, index)
        for gram, index in zip(options.gram, options.index, strict=True)
    }
    controls = json.loads(options.controls)
    table = control_table(vectors, options.study, controls, options.l2, options.permutations, options.seed)
    write_table(options.output, table, layout(table))
    logger("tables").info("controls: %s: %s", counted(len(table), "row"), options.output[0])


if __name__ == "__main__":
    run(main)
