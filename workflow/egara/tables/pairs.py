"""Same drawing kit, another kit of the same author, another author: mean cosine distances between works.

A kit's casts are parts of one set of drawings: that two of them lie near is a construction. Two kits of one author are
the real case of “same author, other work”. Kits are the groups of the table `work, group`.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.cells import parse_cell
from egara.io.errors import EgaraError, counted, run
from egara.io.files import read_tsv
from egara.io.progress import logger, parser
from egara.scores.chance import chance_of_hit
from egara.scores.distances import NoDirections, cosine_distances
from egara.scores.labels import authors_by_work, codes
from egara.scores.neighbours import hits, nearest
from egara.scores.permutations import Relabellings, exchange, p_value
from egara.seeds import stream
from egara.tables.layout import SIGNIFICANT, Group, Layout, fixed, probability, settings, significant
from egara.tables.pivot import place
from egara.tables.writing import write_table
from egara.weights.geometry import prepare, read_vectors

if TYPE_CHECKING:
    import pandas as pd

EVERYONE = "all authors"


def read_groups(path: str | Path) -> dict[str, str]:
    """Read the kit of each work; an empty cell makes the work a kit of its own."""
    table = read_tsv(path, ["work", "group"], text=["work", "group"])
    if (twice := table["work"].duplicated()).any():
        raise EgaraError(f"{path}: work {table['work'][twice].iloc[0]} appears twice; expected one row per work")
    return {work: group or work for work, group in zip(table["work"], table["group"], strict=True)}


def between(distances: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of distances (n, n) between labels (n,) 0 … L - 1, and numbers of pairs, each (L, L), diagonal 0."""
    one_hot = np.eye(int(labels.max()) + 1)[labels]  # (n, L)
    sums, pairs = one_hot.T @ distances @ one_hot, np.outer(one_hot.sum(0), one_hot.sum(0))
    apart = 1.0 - np.eye(len(sums))
    return sums * apart, pairs * apart


def near(
    sums: np.ndarray, pairs: np.ndarray, labels: np.ndarray, chosen: list[int], null: Relabellings
) -> dict[str, float]:
    """Mean distance between different units of one label, and how often relabelled units lie as near.

    Parameters
    ----------
    sums, pairs : (units, units) from `between`.
    labels : (units,) int; only pairs with both units in one of `chosen` count.
    null : relabelled units.

    Returns
    -------
    distance; pairs of units; p, one-sided; p_least, the smallest p that these relabellings can give. NaN and 0 where
    no label has two units.
    """

    def mask(labelled: np.ndarray) -> np.ndarray:  # (…, units) -> (…, units, units)
        same = labelled[..., :, None] == labelled[..., None, :]
        return same & np.isin(labelled, chosen)[..., :, None] & (pairs > 0)

    wanted = mask(labels)
    if not wanted.any():
        return {"distance": float("nan"), "pairs": 0, "p": float("nan"), "p_least": float("nan")}
    masks = mask(null.labels)
    with np.errstate(invalid="ignore"):
        values = (masks * sums).sum((1, 2)) / (masks * pairs).sum((1, 2))
    observed = float((wanted * sums).sum() / (wanted * pairs).sum())
    equal = int((masks == wanted).all((1, 2)).sum())
    least = equal / len(masks) if null.exact else (1 + equal) / (1 + len(masks))
    p = p_value(values, observed, null.exact, low=True)
    return {"distance": observed, "pairs": int(wanted.sum()) // 2, "p": p, "p_least": least}


def compare(
    distances: np.ndarray, index: "pd.DataFrame", groups: dict[str, str], permutations: int, seed: int
) -> list[dict]:
    """Compare distances (n, n) of the LoRAs of `index` within kits, across an author's kits and across authors.

    Nulls: kits exchanged among works (same kit); authors exchanged among kits (other kit, same author).

    Returns
    -------
    One row for each author with at least two kits, and one for all authors: author, kits, then same_kit, other_kit
    and other_author with `_pairs` (of works), `_p` and `_p_least`, chance, the mean over all pairs of works, and
    other_kit_top1 beside its chance as `find` gives them.

    Raises
    ------
    EgaraError : a work without a row in `groups`, or a kit with two authors.
    """
    if missing := sorted(set(index["work"]) - groups.keys()):
        raise EgaraError(f"work {missing[0]}: no row in the table of groups; expected every work there")
    names = index["work"].map(groups)
    works, kits, authors = codes(index["work"]), codes(names), codes(index["author"])
    author_names, kit_names = sorted(set(index["author"])), sorted(set(names))
    kit_of, author_of = authors_by_work(kits, works), authors_by_work(authors, works)
    if (shared := next((k for k in set(kits) if len(set(authors[kits == k])) > 1), None)) is not None:
        raise EgaraError(f"group {kit_names[shared]}: works of two authors; expected one")
    owner = authors_by_work(authors, kits)
    by_work, by_kit = between(distances, works), between(distances, kits)
    of_works = exchange(kit_of, permutations, stream(seed, "pairs", "works"))
    of_kits = exchange(owner, permutations, stream(seed, "pairs", "kits"))
    several = [a for a in range(len(author_names)) if (owner == a).sum() > 1]
    chance = by_work[0].sum() / by_work[1].sum() if by_work[1].any() else float("nan")
    rows = []
    for name, chosen in [*((author_names[a], [a]) for a in several), (EVERYONE, list(range(len(author_names))))]:
        own = [k for k in range(len(kit_names)) if owner[k] in chosen]
        same = near(*by_work, kit_of, own, of_works)
        other = near(*by_kit, owner, chosen, of_kits)
        kit_pairs = (author_of[:, None] == author_of) & (kit_of[:, None] != kit_of)
        other["pairs"] = int((kit_pairs & np.isin(author_of, chosen)[:, None]).sum()) // 2
        apart = (author_of[:, None] != author_of) & np.isin(author_of, chosen)[:, None]
        total = (by_work[1] * apart).sum()
        row = {"author": name, "kits": ", ".join(kit_names[k] for k in own), "chance": chance}
        for prefix, found in (("same_kit", same), ("other_kit", other)):
            row[prefix] = found.pop("distance")
            row |= {f"{prefix}_{key}": value for key, value in found.items()}
        row["other_author"] = float((by_work[0] * apart).sum() / total) if total else float("nan")
        row["other_kit_top1"], row["other_kit_top1_chance"] = find(distances, kits, authors, owner, chosen)
        rows.append(row)
    return rows


def find(
    distances: np.ndarray, kits: np.ndarray, authors: np.ndarray, owner: np.ndarray, chosen: list[int]
) -> tuple[float, float]:
    """Share of LoRAs whose nearest LoRA of another kit is their author's, and its chance; NaN without such authors.

    LoRAs of the authors in `chosen` with at least two kits are counted; `owner` is the author of each kit.
    """
    several = np.bincount(owner) > 1
    counted = np.isin(authors, chosen) & several[authors]
    if not counted.any():
        return float("nan"), float("nan")
    eligible = kits[:, None] != kits
    same = (eligible & (authors[:, None] == authors)).sum(axis=1)
    found = hits(nearest(distances, eligible, 1), authors, 1)
    chance = chance_of_hit(same, eligible.sum(axis=1), 1)
    return float(found[counted].mean()), float(chance[counted].mean())


def pair_table(
    grams: list[str], indexes: list[str], l2: list[str], groups: dict[str, str], permutations: int, seed: int
) -> "pd.DataFrame":
    """Compare every Gram matrix `<cell>/<representation>.gram.npy` with each L2 setting; columns as `compare` gives."""
    import pandas as pd

    if len(grams) != len(indexes):
        raise EgaraError(f"{len(grams)} Gram matrices and {len(indexes)} indexes; expected one index a matrix")
    rows = []
    for gram_path, index_path in zip(grams, indexes, strict=True):
        gram, index = read_vectors(gram_path, index_path)
        cell = parse_cell(Path(gram_path).parent.name)
        labels = {**cell, "representation": Path(gram_path).name.removesuffix(".gram.npy")}
        for setting in l2:
            try:
                found = compare(cosine_distances(prepare(gram, setting == "on")), index, groups, permutations, seed)
            except NoDirections as reason:
                logger("tables").warning("%s, L2 %s: no distances, %s", gram_path, setting, reason)
                rows_of_zeros = compare(np.zeros_like(gram), index, groups, 1, seed)
                found = [{k: math.nan if isinstance(v, float) else v for k, v in row.items()} for row in rows_of_zeros]
            rows += [{**labels, "l2": setting, **row} for row in found]
    return pd.DataFrame(sorted(rows, key=place))


def layout(table: "pd.DataFrame") -> Layout:
    """Lay the table out."""
    head, same = settings(table)
    head["author"] = table["author"].tolist()
    constructed = {
        "distance": [fixed(v, 4) for v in table["same_kit"]],
        "p": [probability(v) for v in table["same_kit_p"]],
    }
    real = {
        "distance": [fixed(v, 4) for v in table["other_kit"]],
        "p": [probability(v) for v in table["other_kit_p"]],
        "Top-1": [fixed(v) for v in table["other_kit_top1"]],
        "chance": [fixed(v) for v in table["other_kit_top1_chance"]],
    }
    rest = {"distance": [fixed(v, 4) for v in table["other_author"]], "chance": [fixed(v, 4) for v in table["chance"]]}

    def bold(prefix: str) -> frozenset[tuple[int, str]]:
        return significant(table[f"{prefix}_p"], "distance") | significant(table[f"{prefix}_p"], "p")

    groups = [
        Group("same kit (constructed)", constructed, bold("same_kit")),
        Group("other kit, same author (real)", real, bold("other_kit")),
        Group("other author", rest),
    ]
    notes = [same] if same else []
    least = table["other_kit_p_least"].max()
    if least >= SIGNIFICANT:
        notes.append(
            f"With so few kits p of other kits cannot fall below {probability(least)}, whatever the distances."
        )
    notes.append(
        "Mean cosine distances between LoRAs of two works. p: one-sided (nearer than chance), by exchanging kits among "
        "works or authors among kits. chance: mean over all pairs of "
        "works. Top-1: share of LoRAs whose nearest LoRA of another kit is their author's. Casts of one kit share the "
        "hand's drawings by construction; only two kits of one author show whether the author is recognised."
    )
    return Layout("Works of one kit, of one author, of two authors", head, groups, notes)


def main(argv: list[str] | None = None) -> None:
    """Read Gram matrices and groups and write the table."""
    arguments = parser(__doc__)
    arguments.add_argument("--gram", required=True, nargs="+", help="<cell>/<representation>.gram.npy")
    arguments.add_argument("--index", required=True, nargs="+", help="their indexes, in the same order (.tsv)")
    arguments.add_argument("--l2", nargs="+", default=["on"], choices=["on", "off"], help="L2 settings to compare")
    arguments.add_argument("--groups", required=True, help="kit of each work: work, group (.tsv)")
    arguments.add_argument("--permutations", type=int, default=999, help="relabellings a null distribution")
    arguments.add_argument("--seed", type=int, required=True, help="study seed")
    arguments.add_argument("--output", required=True, nargs="+", help="tables to write (.tsv, .md, .tex)")
    options = arguments.parse_args(argv)
    if options.permutations < 1:
        arguments.error("--permutations must be at least 1")
    groups = read_groups(options.groups)
    table = pair_table(options.gram, options.index, options.l2, groups, options.permutations, options.seed)
    write_table(options.output, table, layout(table))
    logger("tables").info("pairs: %s: %s", counted(len(table), "row"), options.output[0])


if __name__ == "__main__":
    run(main)
