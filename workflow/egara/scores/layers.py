"""Score each layer alone, and layers grouped by position and kind.

Together are the layers of one position (`up 1.0`), of one kind (`cross v`), of one group (`cross-attention`) and all.
Inner products of layers add up, so that a sum of Gram matrices is the Gram matrix of the layers side by side.
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from egara.cells import parse_cell
from egara.io.progress import bar, logger, parser
from egara.io.tables import write_tsv
from egara.scores.arguments import add_cell, add_permutations
from egara.scores.distances import NoDirections, cosine_distances
from egara.scores.hypotheses import Hypothesis, make_hypothesis, score_topk
from egara.scores.labels import codes
from egara.scores.multiple_testing import benjamini_hochberg
from egara.vocabulary import AXES, L2, QUESTIONS, SIGNIFICANT
from egara.weights.geometry import normalise_and_center
from egara.weights.layer_grams import read_layer_grams
from egara.weights.layer_names import group_of, place_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

ALL = "all layers"
COLUMNS = [
    *AXES, "representation", "l2", "what", "name", "position", "kind", "level", "metric", "value", "chance", "p", "q",
    "low", "high", "n", "null_mean", "share",
]  # fmt: skip


def score_layers(
    grams: "Iterable[tuple[str, np.ndarray]]",
    works: np.ndarray,
    hypotheses: dict[str, Hypothesis],
    l2: list[str],
    seed: int,
) -> "pd.DataFrame":
    """Score layers, given one after another as name and Gram matrix of shape (n_loras, n_loras), and their sums.

    Returns
    -------
    One row per layer or sum, L2 and hypothesis: `what` (layer, position, kind, group, all), name, position and kind;
    Top-1 with its chance, p, interval and n as `egara.scores.hypotheses` gives them; q, p after Benjamini & Hochberg
    over all of one `what`, L2 and hypothesis; `share`, its part of the summed squared lengths of all LoRAs. A layer
    that is the same in all LoRAs, or zero in one where L2 asks for its direction, has no value.
    """
    import pandas as pd

    rows, sums = [], {}

    def add(what: str, name: str, gram: np.ndarray, position: str = "", kind: str = "") -> None:
        size = float(np.trace(gram))
        for setting in l2:
            scored = _score(gram, works, hypotheses, setting == "on", seed)
            for hypothesis, row in scored.items():
                labels = {"what": what, "name": name, "position": position, "kind": kind, "l2": setting}
                rows.append({**labels, "level": hypothesis, **row, "share": size})

    for name, gram in grams:
        place = place_of(name)
        add("layer", name, gram, place.position, place.kind)
        for what, key in (
            ("position", place.position),
            ("kind", place.kind),
            ("group", group_of(place.kind)),
            ("all", ALL),
        ):
            sums[what, key] = sums.get((what, key), 0.0) + gram
    total = float(np.trace(sums["all", ALL]))
    for (what, key), gram in sums.items():
        place = {"position": {"position": key}, "kind": {"kind": key}}.get(what, {})
        add(what, key, gram, **place)
    table = pd.DataFrame(rows)
    table["share"] /= total if total else math.nan
    table["q"] = math.nan
    for _, part in table.groupby(["what", "l2", "level"]):
        table.loc[part.index, "q"] = benjamini_hochberg(part["p"].to_numpy(dtype=float))
    return table


def _score(
    gram: np.ndarray, works: np.ndarray, hypotheses: dict[str, Hypothesis], l2: bool, seed: int
) -> dict[str, dict]:
    try:
        if l2 and not np.diag(gram).all():
            raise NoDirections
        distances = cosine_distances(normalise_and_center(gram, l2))
    except NoDirections:
        empty = dict.fromkeys(("value", "chance", "p", "low", "high", "null_mean"), math.nan)
        return {name: {"metric": "top1", **empty, "n": 0} for name in hypotheses}
    found = {}
    for name, hypothesis in hypotheses.items():
        (found[name],) = score_topk(distances, works, hypothesis, seed, metrics=("top1",))
        del found[name]["majority"], found[name]["note"]
    return found


def main(argv: list[str] | None = None) -> None:
    """Read Gram matrices of layers and write their scores."""
    arguments = parser(__doc__)
    arguments.add_argument("--grams", required=True, help="Gram matrices of layers (.npz)")
    add_cell(arguments)
    arguments.add_argument("--l2", nargs="+", default=["on"], choices=list(L2), help="L2 settings")
    add_permutations(arguments)
    arguments.add_argument("--output", required=True, help="scores to write (.tsv)")
    options = arguments.parse_args(argv)
    cell = parse_cell(options.cell)
    found = read_layer_grams(options.grams)
    authors, works = codes(found.authors), codes(found.works)
    hypotheses = {name: make_hypothesis(name, authors, works, options.permutations, options.seed) for name in QUESTIONS}
    with bar(len(found.layers), "layer") as watched:

        def watch() -> "Iterable[tuple[str, np.ndarray]]":
            for pair in zip(found.layers, found.grams, strict=True):
                yield pair
                watched.update(1)

        table = score_layers(watch(), works, hypotheses, options.l2, options.seed)
    table = table.assign(**{key: cell[key] for key in AXES}, representation=options.representation)
    write_tsv(options.output, table[COLUMNS])
    for name in QUESTIONS:
        part = table[(table["what"] == "layer") & (table["level"] == name) & (table["l2"] == options.l2[0])]
        tested = int(part["value"].notna().sum())
        without = f"; {len(part) - tested} layers have no score" if tested < len(part) else ""
        significant = int((part["q"] < SIGNIFICANT).sum())
        logger("scores").info("%s: %d of %d layers with q below %g%s", name, significant, tested, SIGNIFICANT, without)
