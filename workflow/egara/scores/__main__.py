"""Score how near LoRAs of one work or author lie, each score beside its chance level, a p-value and an interval.

What labels exchanged at random score is kept, too: the table of verdicts corrects for the number of settings with it.
Spaces are the full vectors (`full`) and each map; distances are cosine distances after centring.
"""

from egara.io.errors import run
from egara.io.progress import logger, parser


def main(argv: list[str] | None = None) -> None:
    """Read a Gram matrix and maps and write one table of scores."""
    arguments = parser(__doc__)
    arguments.add_argument("--gram", required=True, help="Gram matrix, n x n (.npy)")
    arguments.add_argument("--index", required=True, help="index of its rows (.tsv)")
    arguments.add_argument("--cell", required=True, help="cell of the training grid, as in paths")
    arguments.add_argument("--representation", required=True, help="name of the representation, for the table")
    arguments.add_argument("--l2", required=True, choices=["on", "off"], help="give every vector length 1 first")
    arguments.add_argument("--maps", nargs="*", default=[], metavar="NAME=TSV", help="maps to score, as ipca=ipca.tsv")
    arguments.add_argument("--permutations", type=int, default=999, help="relabellings a null distribution")
    arguments.add_argument("--seed", type=int, required=True, help="study seed")
    arguments.add_argument("--output", required=True, help="scores to write (.tsv)")
    arguments.add_argument("--nulls", required=True, help="Top-1 under every relabelling to write (.npz)")
    options = arguments.parse_args(argv)
    if options.permutations < 1:
        arguments.error("--permutations must be at least 1")

    import pandas as pd

    from egara.cells import parse_cell
    from egara.io.files import write_tsv
    from egara.scores.distances import NoDirections, cosine_distances
    from egara.scores.hypotheses import LEVELS, describe_level, empty_rows, judge_level, score_level, score_variance
    from egara.scores.labels import codes
    from egara.scores.multiple_testing import write_nulls
    from egara.weights.geometry import prepare, read_maps, read_vectors

    log = logger("scores")
    cell = parse_cell(options.cell)
    gram, index = read_vectors(options.gram, options.index)
    spaces = {"full": prepare(gram, options.l2 == "on")}
    for name, (points, _) in read_maps(options.maps, index).items():
        spaces[name] = points @ points.T
    authors, works = codes(index["author"]), codes(index["work"])
    levels = {name: describe_level(name, authors, works, options.permutations, options.seed) for name in LEVELS}
    rows, drawn = [], {}
    for name, level in levels.items():
        if level.silent:
            log.warning("%s: nothing to tell, %s", name, level.silent)
    for space, products in spaces.items():
        try:
            distances = cosine_distances(products)
        except NoDirections as reason:
            log.warning("%s: no scores, %s", space, reason)
            distances = None
        for name, level in levels.items():
            labels = {**cell, "representation": options.representation, "l2": options.l2, "space": space}
            if distances is None:
                note = level.silent or str(NoDirections())
                rows += [
                    {**labels, "metric": row.pop("metric"), "level": name, **row} for row in empty_rows(name, note)
                ]
                continue
            nulls: dict = {}
            found = score_level(distances, works, level, options.seed, nulls)
            if space == "full" and nulls:
                observed = next(row["value"] for row in found if row["metric"] == "top1")
                drawn[name] = (observed, nulls["top1"], level)
            found += judge_level(distances, works, level, options.seed)
            found += score_variance(products, authors, works, name, level, options.seed)
            for row in found:
                rows.append({**labels, "metric": row.pop("metric"), "level": name, **row})
                if row["n"] and rows[-1]["metric"] == "top1":
                    log.info(
                        "%s, %s: top1 %.3f, chance %.3f, p %.3g", space, name, row["value"], row["chance"], row["p"]
                    )
    write_tsv(options.output, pd.DataFrame(rows))
    write_nulls(options.nulls, drawn)
    made = sum(row["n"] > 0 for row in rows)
    log.info("%d LoRAs, %d scores, %d without a value: %s", len(index), made, len(rows) - made, options.output)


if __name__ == "__main__":
    run(main)
