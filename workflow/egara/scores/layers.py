"""Where in the network work and author show: Top-1 of every layer alone, and of layers taken together.

Together are the layers of one position (`up 1.0`), of one kind (`cross v`), of one group (`cross-attention`) and all.
Inner products of layers add up, so that a sum of Gram matrices is the Gram matrix of the layers side by side.
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from egara.cells import KEYS, parse_cell
from egara.io.errors import run
from egara.io.files import write_tsv
from egara.io.progress import bar, logger, parser
from egara.scores.adjust import benjamini_hochberg
from egara.scores.distances import NoDirections, cosine_distances
from egara.scores.hypotheses import Level, describe_level, score_hits
from egara.scores.labels import codes
from egara.weights.geometry import prepare
from egara.weights.layer_grams import read_layer_grams
from egara.weights.layer_names import group_of, place_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

LEVELS = ("work", "author_across_works")
ALL = "all layers"
COLUMNS = [
    *KEYS, "representation", "l2", "what", "name", "position", "kind", "level", "metric", "value", "chance", "p", "q",
    "low", "high", "n", "null_mean", "share",
]  # fmt: skip


def score_layers(
    grams: "Iterable[tuple[str, np.ndarray]]", works: np.ndarray, levels: dict[str, Level], l2: list[str], seed: int
) -> "pd.DataFrame":
    """Score layers, given one after another as name and Gram matrix (n, n), and their sums.

    Returns
    -------
    One row a layer or sum, L2 and level: `what` (layer, position, kind, group, all), name, position and kind; Top-1
    with its chance, p, interval and n as `egara.scores.hypotheses` gives them; q, p after Benjamini & Hochberg over all
    of one `what`, L2 and level; `share`, its part of the summed squared lengths of all LoRAs. A layer that is the same
    in all LoRAs, or zero in one where L2 asks for its direction, has no value.
    """
    import pandas as pd

    rows, sums = [], {}

    def add(what: str, name: str, gram: np.ndarray, position: str = "", kind: str = "") -> None:
        size = float(np.trace(gram))
        for setting in l2:
            scored = _score(gram, works, levels, setting == "on", seed)
            for level, row in scored.items():
                labels = {"what": what, "name": name, "position": position, "kind": kind, "l2": setting}
                rows.append({**labels, "level": level, **row, "share": size})

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


def _score(gram: np.ndarray, works: np.ndarray, levels: dict[str, Level], l2: bool, seed: int) -> dict[str, dict]:
    try:
        if l2 and not np.diag(gram).all():
            raise NoDirections
        distances = cosine_distances(prepare(gram, l2))
    except NoDirections:
        empty = dict.fromkeys(("value", "chance", "p", "low", "high", "null_mean"), math.nan)
        return {name: {"metric": "top1", **empty, "n": 0} for name in levels}
    found = {}
    for name, level in levels.items():
        (found[name],) = score_hits(distances, works, level, seed, metrics=("top1",))
        del found[name]["majority"], found[name]["note"]
    return found


def main(argv: list[str] | None = None) -> None:
    """Read Gram matrices of layers and write their scores."""
    arguments = parser(__doc__)
    arguments.add_argument("--grams", required=True, help="Gram matrices of layers (.npz)")
    arguments.add_argument("--cell", required=True, help="cell of the training grid, as in paths")
    arguments.add_argument("--representation", required=True, help="name of the representation, for the table")
    arguments.add_argument("--l2", nargs="+", default=["on"], choices=["on", "off"], help="L2 settings")
    arguments.add_argument("--permutations", type=int, default=999, help="relabellings a null distribution")
    arguments.add_argument("--seed", type=int, required=True, help="study seed")
    arguments.add_argument("--output", required=True, help="scores to write (.tsv)")
    options = arguments.parse_args(argv)
    if options.permutations < 1:
        arguments.error("--permutations must be at least 1")
    cell = parse_cell(options.cell)
    found = read_layer_grams(options.grams)
    authors, works = codes(found.authors), codes(found.works)
    levels = {name: describe_level(name, authors, works, options.permutations, options.seed) for name in LEVELS}
    with bar(len(found.layers), "layer") as watched:

        def watch() -> "Iterable[tuple[str, np.ndarray]]":
            for pair in zip(found.layers, found.grams, strict=True):
                yield pair
                watched.update(1)

        table = score_layers(watch(), works, levels, options.l2, options.seed)
    table = table.assign(**{key: cell[key] for key in KEYS}, representation=options.representation)
    write_tsv(options.output, table[COLUMNS])
    for level in LEVELS:
        part = table[(table["what"] == "layer") & (table["level"] == level) & (table["l2"] == options.l2[0])]
        tested = int(part["value"].notna().sum())
        without = f"; {len(part) - tested} layers have no score" if tested < len(part) else ""
        sure = int((part["q"] < 0.05).sum())
        logger("scores").info("%s: %d of %d layers with q below 0.05%s", level, sure, tested, without)


if __name__ == "__main__":
    run(main)
