"""Test how clusters agree with works and authors, by permuted labels.

`work` and `author` permute labels over LoRAs: AMI and ARI then have chance 0 by construction. `author_across_works` has
the same agreement with authors, but permutes authors over whole works: clusters that are works are within authors
whoever drew them, and that much agreement is its chance level.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from egara.cells import parse_cell
from egara.io.progress import logger, parser
from egara.io.tables import read_tsv, write_tsv
from egara.scores.agreement import AGREEMENTS, agreements
from egara.scores.arguments import add_permutations, add_space
from egara.scores.labels import authors_by_work, codes, nothing_to_tell
from egara.scores.permutations import Permutations, p_value, permute, permute_units
from egara.seeds import stream
from egara.vocabulary import HYPOTHESES

if TYPE_CHECKING:
    import pandas as pd


@lru_cache(maxsize=8)
def _permute(
    hypothesis: str, authors: tuple[int, ...], works: tuple[int, ...], permutations: int, seed: int
) -> Permutations:
    """Labels of shape (n_permutations, n_loras) under a hypothesis, drawn once for all maps of the same LoRAs."""
    generator = stream(seed, "clusters", hypothesis)
    if hypothesis != "author_across_works":
        return permute(np.array(works if hypothesis == "work" else authors), permutations, generator)
    permuted, exhaustive = permute_units(authors_by_work(np.array(authors), np.array(works)), permutations, generator)
    return Permutations(permuted[:, works], exhaustive)


def compare(clusters: np.ndarray, index: "pd.DataFrame", hypothesis: str, permutations: int, seed: int) -> dict:
    """Compare clusters of shape (n_loras,) with the works or authors of `index`.

    Returns
    -------
    Agreements with chance levels and p-values. `chance` and `p` belong to AMI; `ari_`, `homogeneity_` and
    `completeness_` go before those of the others. The chance of homogeneity and completeness, and all chance levels of
    author_across_works, are means under the null. Where so few labels tell nothing there are no values, and `note` says
    why.
    """
    authors, works = codes(index["author"]), codes(index["work"])
    counts = {"noise": float(np.mean(clusters == -1)), "clusters": len(set(clusters.tolist()) - {-1})}
    if note := nothing_to_tell(hypothesis, authors, works):
        scores = dict.fromkeys([*AGREEMENTS, *_columns("chance"), *_columns("p")], np.nan)
        return {"level": hypothesis, **scores, **counts, "n": len(clusters), "note": note}
    labels = works if hypothesis == "work" else authors
    permuted, exhaustive = _permute(hypothesis, tuple(authors.tolist()), tuple(works.tolist()), permutations, seed)
    values = {name: float(value[0]) for name, value in agreements(clusters, labels[None, :]).items()}
    null = agreements(clusters, permuted)
    row = {"level": hypothesis, **values, **counts, "n": len(clusters), "note": ""}
    for name, chance, p in zip(AGREEMENTS, _columns("chance"), _columns("p"), strict=True):
        adjusted = name in ("ami", "ari") and hypothesis != "author_across_works"
        row[chance] = 0.0 if adjusted else float(null[name].mean())
        row[p] = p_value(null[name], values[name], exhaustive)
    return row


def _columns(kind: str) -> list[str]:
    """Names of the agreements' chance levels or p-values; AMI's have no prefix."""
    return [kind if name == "ami" else f"{name}_{kind}" for name in AGREEMENTS]


def main(argv: list[str] | None = None) -> None:
    """Read clusters of one space and write their agreement with works and authors, one row per map and hypothesis."""
    arguments = parser(__doc__)
    arguments.add_argument("--clusters", required=True, help="clusters of all maps of the space (hdbscan.tsv)")
    add_space(arguments)
    add_permutations(arguments)
    arguments.add_argument("--output", required=True, help="agreements to write (.tsv)")
    options = arguments.parse_args(argv)

    import pandas as pd

    labels = {**parse_cell(options.cell), "representation": options.representation, "l2": options.l2}
    columns = ["map", "author", "work", "set"]
    rows, log = [], logger("scores")
    for name, part in read_tsv(options.clusters, [*columns, "cluster"], text=columns).groupby("map", sort=False):
        clusters = part["cluster"].to_numpy(dtype=int)
        for hypothesis in HYPOTHESES:
            row = compare(clusters, part, hypothesis, options.permutations, options.seed)
            rows.append({**labels, "map": name, **row})
            log.info(
                "%s, %s: AMI %.3f, chance %.3f, p %.3g", name, hypothesis, *(row[k] for k in ("ami", "chance", "p"))
            )
    write_tsv(options.output, pd.DataFrame(rows))
