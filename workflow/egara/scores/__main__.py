"""Score one space: distances, nearest neighbours and classifiers.

Each score has its chance level, a p-value and an interval. Scores under permuted labels are kept, too: the table of
verdicts corrects for the number of settings with them. Spaces are the full vectors (`full`) and each projection;
distances are cosine distances after centring.
"""

from egara.io.progress import logger, parser


def main(argv: list[str] | None = None) -> None:
    """Read a Gram matrix and projections and write one table of scores."""
    from egara.scores.arguments import add_permutations, add_space

    arguments = parser(__doc__)
    arguments.add_argument("--gram", required=True, help="Gram matrix, n x n (.npy)")
    arguments.add_argument("--index", required=True, help="index of its rows (.tsv)")
    add_space(arguments)
    arguments.add_argument("--maps", nargs="*", default=[], metavar="NAME=TSV", help="maps to score, as ipca=ipca.tsv")
    add_permutations(arguments)
    arguments.add_argument("--output", required=True, help="scores to write (.tsv)")
    arguments.add_argument("--nulls", required=True, help="Top-1 under every permutation to write (.npz)")
    options = arguments.parse_args(argv)

    import pandas as pd

    from egara.cells import parse_cell
    from egara.io.tables import write_tsv
    from egara.scores.distances import NoDirections, cosine_distances
    from egara.scores.hypotheses import (
        empty_rows,
        make_hypothesis,
        score_classifiers,
        score_distances,
        score_variance,
    )
    from egara.scores.labels import codes
    from egara.scores.multiple_testing import write_nulls
    from egara.vocabulary import HYPOTHESES
    from egara.weights.geometry import normalise_and_center, read_maps, read_vectors

    log = logger("scores")
    cell = parse_cell(options.cell)
    gram, index = read_vectors(options.gram, options.index)
    spaces = {"full": normalise_and_center(gram, options.l2 == "on")}
    for name, (points, _) in read_maps(options.maps, index).items():
        spaces[name] = points @ points.T
    authors, works = codes(index["author"]), codes(index["work"])
    hypotheses = {
        name: make_hypothesis(name, authors, works, options.permutations, options.seed) for name in HYPOTHESES
    }
    rows, drawn = [], {}
    for name, hypothesis in hypotheses.items():
        if hypothesis.silent:
            log.warning("%s: nothing to tell, %s", name, hypothesis.silent)
    for space, products in spaces.items():
        try:
            distances = cosine_distances(products)
        except NoDirections as reason:
            log.warning("%s: no scores, %s", space, reason)
            distances = None
        labels = {**cell, "representation": options.representation, "l2": options.l2, "space": space}
        for name, hypothesis in hypotheses.items():
            nulls: dict = {}
            if distances is None:
                found = empty_rows(name, hypothesis.silent or str(NoDirections()))
            else:
                found = score_distances(distances, works, hypothesis, options.seed, nulls)
                found += score_classifiers(distances, works, hypothesis, options.seed)
                found += score_variance(products, authors, works, name, hypothesis, options.seed)
            rows += [{**labels, "metric": row.pop("metric"), "level": name, **row} for row in found]
            top1 = next(row for row in rows[-len(found) :] if row["metric"] == "top1")
            if space == "full" and nulls:
                drawn[name] = (top1["value"], nulls["top1"], hypothesis)
            if top1["n"]:
                log.info(
                    "%s, %s: top1 %.3f, chance %.3f, p %.3g", space, name, *(top1[k] for k in ("value", "chance", "p"))
                )
    write_tsv(options.output, pd.DataFrame(rows))
    write_nulls(options.nulls, drawn)
    made = sum(row["n"] > 0 for row in rows)
    log.info("%d LoRAs, %d scores, %d without a value: %s", len(index), made, len(rows) - made, options.output)
