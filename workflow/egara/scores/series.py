"""Test the author over other series by mean cosine distances of works.

Works of one series share more than the author's hand: characters and story, or, in the demo, one set of drawings. Only
another series of the same author shows whether the author is recognised. A work without a series is one of its own.
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from egara.cells import parse_cell
from egara.io.errors import EgaraError
from egara.io.json import parse_json
from egara.io.progress import logger, parser
from egara.io.tables import write_tsv
from egara.scores.arguments import add_permutations, add_space
from egara.scores.distances import NoDirections, cosine_distances
from egara.scores.labels import authors_by_work, codes
from egara.scores.neighbours import expected_topk_accuracy, nearest, topk_hits
from egara.scores.permutations import Permutations, p_from_counts, p_value, permute_units
from egara.seeds import stream
from egara.weights.geometry import normalise_and_center, read_vectors

if TYPE_CHECKING:
    import pandas as pd

EVERYONE = "all authors"


def between(distances: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum distances between labels, and count the pairs.

    Parameters
    ----------
    distances : of shape (n_loras, n_loras).
    labels : codes of shape (n_loras,).

    Returns
    -------
    Sums and numbers of pairs, each of shape (n_labels, n_labels), 0 on the diagonal.
    """
    one_hot = np.eye(int(labels.max()) + 1)[labels]  # (n_loras, n_labels)
    sums, pairs = one_hot.T @ distances @ one_hot, np.outer(one_hot.sum(0), one_hot.sum(0))
    apart = 1.0 - np.eye(len(sums))
    return sums * apart, pairs * apart


def mean_within(
    sums: np.ndarray, pairs: np.ndarray, labels: np.ndarray, chosen: list[int], null: Permutations
) -> dict[str, float]:
    """Mean distance between different units of one label, and how often it is as small under permuted labels.

    Parameters
    ----------
    sums, pairs : of shape (n_units, n_units) from `between`.
    labels : codes of shape (n_units,); only pairs with both units in one of `chosen` count.
    null : permuted labels of the units.

    Returns
    -------
    distance; pairs of units; p, one-sided; p_least, the smallest p that these permutations can give. NaN and 0 where
    no label has two units.
    """

    def mask(labelled: np.ndarray) -> np.ndarray:  # (…, n_units) -> (…, n_units, n_units)
        same = labelled[..., :, None] == labelled[..., None, :]
        return same & np.isin(labelled, chosen)[..., :, None] & (pairs > 0)

    wanted = mask(labels)
    if not wanted.any():
        return {"distance": math.nan, "pairs": 0, "p": math.nan, "p_least": math.nan}
    masks = mask(null.labels)
    with np.errstate(invalid="ignore"):
        values = (masks * sums).sum((1, 2)) / (masks * pairs).sum((1, 2))
    observed = float((wanted * sums).sum() / (wanted * pairs).sum())
    least = p_from_counts(int((masks == wanted).all((1, 2)).sum()), len(masks), null.exhaustive)
    p = p_value(values, observed, null.exhaustive, low=True)
    return {"distance": observed, "pairs": int(wanted.sum()) // 2, "p": p, "p_least": least}


def compare(
    distances: np.ndarray, index: "pd.DataFrame", series: dict[str, str], permutations: int, seed: int
) -> list[dict]:
    """Compare distances of LoRAs within series, across an author's series and across authors.

    Nulls: series permuted over works (same series); authors permuted over series (other series of the author).

    Parameters
    ----------
    distances : of shape (n_loras, n_loras).
    index : author and work of each LoRA.
    series : the series of each work.

    Returns
    -------
    One row for each author with at least two series, and one for all authors: author, series, then same_series and
    other_series with `_pairs` (of works), `_p` and `_p_least`, other_author, chance, the mean over all pairs of works,
    and other_series_top1 with its chance as `recognise` gives them.

    Raises
    ------
    EgaraError : a work without a series in `series`, or a series with two authors.
    """
    if missing := sorted(set(index["work"]) - series.keys()):
        raise EgaraError(f"work {missing[0]}: no series given; expected one for every work")
    names = index["work"].map(series)
    works, stories, authors = codes(index["work"]), codes(names), codes(index["author"])
    author_names, series_names = sorted(set(index["author"])), sorted(set(names))
    series_of, author_of = authors_by_work(stories, works), authors_by_work(authors, works)
    if (shared := next((s for s in set(stories) if len(set(authors[stories == s])) > 1), None)) is not None:
        raise EgaraError(f"series {series_names[shared]}: works of two authors; expected one")
    owner = authors_by_work(authors, stories)
    by_work, by_series = between(distances, works), between(distances, stories)
    # The streams keep the names that they had when series were the demo's drawing kits.
    over_works = permute_units(series_of, permutations, stream(seed, "pairs", "works"))
    over_series = permute_units(owner, permutations, stream(seed, "pairs", "kits"))
    several = [a for a in range(len(author_names)) if (owner == a).sum() > 1]
    chance = by_work[0].sum() / by_work[1].sum() if by_work[1].any() else math.nan
    rows = []
    for name, chosen in [*((author_names[a], [a]) for a in several), (EVERYONE, list(range(len(author_names))))]:
        own = [s for s in range(len(series_names)) if owner[s] in chosen]
        same = mean_within(*by_work, series_of, own, over_works)
        other = mean_within(*by_series, owner, chosen, over_series)
        of_author = (author_of[:, None] == author_of) & (series_of[:, None] != series_of)
        other["pairs"] = int((of_author & np.isin(author_of, chosen)[:, None]).sum()) // 2
        apart = (author_of[:, None] != author_of) & np.isin(author_of, chosen)[:, None]
        total = (by_work[1] * apart).sum()
        row = {"author": name, "series": ", ".join(series_names[s] for s in own), "chance": chance}
        for prefix, found in (("same_series", same), ("other_series", other)):
            row[prefix] = found.pop("distance")
            row |= {f"{prefix}_{key}": value for key, value in found.items()}
        row["other_author"] = float((by_work[0] * apart).sum() / total) if total else math.nan
        top1, top1_chance = recognise(distances, stories, authors, owner, chosen)
        rows.append(row | {"other_series_top1": top1, "other_series_top1_chance": top1_chance})
    return rows


def recognise(
    distances: np.ndarray, series: np.ndarray, authors: np.ndarray, owner: np.ndarray, chosen: list[int]
) -> tuple[float, float]:
    """Share of LoRAs whose nearest LoRA of another series is their author's, and its chance; NaN without such authors.

    LoRAs of the authors in `chosen` with at least two series are counted; `owner` is the author of each series.
    """
    several = np.bincount(owner) > 1
    counted = np.isin(authors, chosen) & several[authors]
    if not counted.any():
        return math.nan, math.nan
    eligible = series[:, None] != series
    same = (eligible & (authors[:, None] == authors)).sum(axis=1)
    found = topk_hits(nearest(distances, eligible, 1), authors, 1)
    chance = expected_topk_accuracy(same, eligible.sum(axis=1), 1)
    return float(found[counted].mean()), float(chance[counted].mean())


def score_series(
    gram: np.ndarray, index: "pd.DataFrame", l2: bool, series: dict[str, str], permutations: int, seed: int
) -> list[dict]:
    """Compare the LoRAs of a Gram matrix; rows as `compare` gives them, empty where LoRAs do not differ."""
    try:
        return compare(cosine_distances(normalise_and_center(gram, l2)), index, series, permutations, seed)
    except NoDirections as reason:
        logger("scores").warning("no distances, %s", reason)
        rows = compare(np.zeros_like(gram), index, series, 1, seed)
        return [{key: math.nan if isinstance(value, float) else value for key, value in row.items()} for row in rows]


def main(argv: list[str] | None = None) -> None:
    """Read a Gram matrix and the series of its works and write the distances."""
    arguments = parser(__doc__)
    arguments.add_argument("--gram", required=True, help="Gram matrix, n x n (.npy)")
    arguments.add_argument("--index", required=True, help="index of its rows (.tsv)")
    add_space(arguments)
    arguments.add_argument("--series", required=True, help="series of each work, a JSON object")
    add_permutations(arguments)
    arguments.add_argument("--output", required=True, help="distances to write (.tsv)")
    options = arguments.parse_args(argv)

    import pandas as pd

    labels = {**parse_cell(options.cell), "representation": options.representation, "l2": options.l2}
    gram, index = read_vectors(options.gram, options.index)
    series = parse_json(options.series, "--series", "the series of each work")
    rows = score_series(gram, index, options.l2 == "on", series, options.permutations, options.seed)
    write_tsv(options.output, pd.DataFrame([{**labels, **row} for row in rows]))
    for row in rows:
        logger("scores").info(
            "%s: same series %.4f, other series %.4f, other author %.4f", row["author"],
            *(row[key] for key in ("same_series", "other_series", "other_author")),
        )  # fmt: skip
