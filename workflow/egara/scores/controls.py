"""Score controls: one factor is removed that must matter, or must not.

shuffled labels
    Labels permuted once: a score above chance would be an error of ours.
norms
    Only how large the update of each layer is: what shows here is not a matter of direction.
token
    Another token policy on the same sets: what the author score owes to the word in the caption.
disjoint
    Sets without a common face against as many drawn ones: what the work score owes to faces that sets share.
same
    One set, several seeds: how far apart LoRAs are that differ in nothing else.
"""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.cells import parse_cell
from egara.io.errors import EgaraError, counted
from egara.io.json import parse_json
from egara.io.progress import logger, parser
from egara.io.tables import write_tsv
from egara.scores.arguments import add_permutations
from egara.scores.distances import NoDirections, cosine_distances
from egara.scores.hypotheses import (
    NEIGHBOURS,
    Hypothesis,
    empty_rows,
    make_hypothesis,
    score_distances,
    score_topk,
)
from egara.scores.labels import authors_by_work, codes
from egara.seeds import stream
from egara.vocabulary import AXES, L2
from egara.weights.geometry import normalise_and_center, read_vectors

if TYPE_CHECKING:
    import pandas as pd

ACROSS = "author_across_works"
SHUFFLED, NORMS = "shuffled labels", "norms"
# What each control compares: hypothesis and metric. Trained controls repeat the first cell with one change.
COMPARED = {
    SHUFFLED: [("work", "top1"), (ACROSS, "top1")],
    NORMS: [("work", "top1"), (ACROSS, "top1")],
    "token": [("author", "top1"), (ACROSS, "top1")],
    "disjoint": [("work", "top1"), ("work", "cosine_intra"), (ACROSS, "top1")],
    "same": [("work", "top1"), ("work", "cosine_intra"), ("work", "cosine_inter")],
}
COLUMNS = [
    *AXES, "representation", "l2", "control", "level", "metric", "loras", "study", "study_chance", "study_p", "value",
    "chance", "p", "note",
]  # fmt: skip


def shuffle(index: "pd.DataFrame", hypothesis: str, seed: int) -> "pd.DataFrame":
    """Permute works over LoRAs, or authors over works, once; at least one label changes where that is possible."""
    generator = stream(seed, "controls", "shuffled", hypothesis)
    if hypothesis == "work":
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
    gram: np.ndarray, index: "pd.DataFrame", l2: str, compared: list[tuple[str, str]], permutations: int, seed: int
) -> dict[tuple[str, str], dict]:
    """Return rows of `egara.scores.hypotheses.score_distances` on whole vectors, by hypothesis and metric."""
    try:
        distances = cosine_distances(normalise_and_center(gram, l2 == "on"))
    except NoDirections as reason:
        rows = {name: {row["metric"]: row for row in empty_rows(name, str(reason))} for name, _ in compared}
        return {(name, metric): rows[name][metric] for name, metric in compared}
    # Shuffled works have several authors; the hypothesis `work` does not look at them.
    works, authors = codes(index["work"]), codes(index["author"])
    found = {}
    for name in dict.fromkeys(name for name, _ in compared):
        hypothesis = _make_hypothesis(name, tuple(authors.tolist()), tuple(works.tolist()), permutations, seed)
        metrics = tuple(metric for of, metric in compared if of == name)
        rows = (
            score_topk(distances, works, hypothesis, seed, metrics=metrics)
            if NEIGHBOURS.keys() >= set(metrics)
            else score_distances(distances, works, hypothesis, seed)
        )
        found |= {(name, row["metric"]): row for row in rows}
    return {key: found[key] for key in compared}


@lru_cache(maxsize=16)
def _make_hypothesis(
    name: str, authors: tuple[int, ...], works: tuple[int, ...], permutations: int, seed: int
) -> Hypothesis:
    """Set up a hypothesis once for all spaces of the same LoRAs."""
    return make_hypothesis(name, np.array(authors), np.array(works), permutations, seed)


def of_sets(gram: np.ndarray, index: "pd.DataFrame", names: set[str]) -> "tuple[np.ndarray, pd.DataFrame]":
    """Keep the LoRAs of these sets."""
    rows = np.flatnonzero(index["set"].isin(names))
    return gram[np.ix_(rows, rows)], index.iloc[rows].reset_index(drop=True)


def score_controls(
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
    study : the grid's cells; the first one is that of the trained controls.
    controls : cells of the trained controls, by kind.

    Returns
    -------
    One row per cell, representation, L2, control, hypothesis and metric: the study's score with its chance and p, the
    control's, and why that has no value (`note`). Trained ones are compared with as many LoRAs of the study, of
    the same sets.
    """
    import pandas as pd

    rows = []

    def add(cell: str, representation: str, setting: str, control: str, loras: int, before: dict, after: dict) -> None:
        axes = {key: value for key, value in parse_cell(cell).items() if key in AXES}
        for (name, metric), found in after.items():
            known = before[name, metric]
            rows.append(
                {**axes, "representation": representation, "l2": setting, "control": control, "level": name}
                | {"metric": metric, "loras": loras}
                | {"study": known["value"], "study_chance": known["chance"], "study_p": known["p"]}
                | {key: found[key] for key in ("value", "chance", "p", "note")}
            )

    for (cell, representation), (gram, index) in vectors.items():
        if cell not in study:
            continue
        for setting in l2:
            if representation == NORMS:
                found = score(gram, index, setting, COMPARED[NORMS], permutations, seed)
                add(cell, representation, setting, NORMS, len(index), found, found)
            compared = COMPARED[SHUFFLED]
            before = score(gram, index, setting, compared, permutations, seed)
            after = {}
            for name, metric in compared:
                mixed = shuffle(index, name, seed)
                after |= score(gram, mixed, setting, [(name, metric)], permutations, seed)
            add(cell, representation, setting, SHUFFLED, len(index), before, after)
            for kind, twin in controls.items() if cell == study[0] else ():
                other, other_index = vectors[twin, representation]
                part, part_index = of_sets(gram, index, set(other_index["set"]))
                before = score(part, part_index, setting, COMPARED[kind], permutations, seed)
                after = score(other, other_index, setting, COMPARED[kind], permutations, seed)
                add(cell, representation, setting, kind, len(other_index), before, after)
    return pd.DataFrame(rows, columns=COLUMNS)


def main(argv: list[str] | None = None) -> None:
    """Read Gram matrices of the study and its controls and write the scores."""
    arguments = parser(__doc__)
    arguments.add_argument("--gram", required=True, nargs="+", help="<cell>/<representation>.gram.npy")
    arguments.add_argument("--index", required=True, nargs="+", help="their indexes, in the same order (.tsv)")
    arguments.add_argument("--study", required=True, nargs="+", help="cells of the grid, that of the controls first")
    arguments.add_argument("--controls", default="{}", help="cells of the trained controls by kind, a JSON object")
    arguments.add_argument("--l2", nargs="+", default=["on"], choices=list(L2), help="L2 settings to compare")
    add_permutations(arguments)
    arguments.add_argument("--output", required=True, help="scores to write (.tsv)")
    options = arguments.parse_args(argv)
    if len(options.gram) != len(options.index):
        raise EgaraError(f"{len(options.gram)} Gram matrices and {len(options.index)} indexes; expected one each")
    vectors = {
        (Path(gram).parent.name, Path(gram).name.removesuffix(".gram.npy")): read_vectors(gram, index)
        for gram, index in zip(options.gram, options.index, strict=True)
    }
    controls = parse_json(options.controls, "--controls", "cells by kind of control")
    table = score_controls(vectors, options.study, controls, options.l2, options.permutations, options.seed)
    write_tsv(options.output, table)
    logger("scores").info("controls: %s: %s", counted(len(table), "score"), options.output)
