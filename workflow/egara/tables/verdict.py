"""The verdict: do the weights carry the work, and the author across works? One sentence a setting, with numbers."""

import math
from typing import TYPE_CHECKING

import numpy as np

from egara.errors import run
from egara.files import read_tsv
from egara.progress import logger, parser
from egara.tables.layout import SIGNIFICANT, Group, Layout, fixed, probability, settings
from egara.tables.pairs import EVERYONE
from egara.tables.scores import KEYS, TEXT
from egara.tables.writing import write_table

if TYPE_CHECKING:
    import pandas as pd

LEVELS = ("work", "author_across_works")
YES, UNSURE, NO, UNKNOWN = "above chance", "unsure", "at chance", "not tested"
NAMES = {"factors": "factors A and B", "delta": "update ΔW = BA"}
CELL = ["rank", "alpha", "init", "token", "representation", "l2"]


def holm(values: np.ndarray) -> np.ndarray:
    """p-values (n,) corrected for n tests (Holm 1979); NaN are no tests and stay NaN."""
    corrected = np.full(len(values), math.nan)
    tested = np.flatnonzero(np.isfinite(values))
    order = tested[np.argsort(values[tested], kind="stable")]
    steps = values[order] * (len(order) - np.arange(len(order)))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if len(order) else []
    return corrected


def judge(p: float, corrected: float) -> str:
    """Say what a p-value and its corrected value allow to say."""
    if not math.isfinite(p):
        return UNKNOWN
    if corrected < SIGNIFICANT:
        return YES
    return UNSURE if p < SIGNIFICANT else NO


def verdict_table(neighbours: "pd.DataFrame", pairs: "pd.DataFrame | None" = None) -> "pd.DataFrame":
    """One row a cell, representation and L2, on the whole vectors (space `full`) where they were scored.

    Returns
    -------
    The settings; for `work` and `author_across_works` the Top-1 score, its chance, p, p after Holm's correction over
    all rows, and the judgement; and `sentence`.
    """
    rows = _whole(neighbours)
    table = rows[KEYS].copy()
    for level in LEVELS:
        stem = f"{level}_top1"
        missing = rows.assign(**{c: math.nan for c in (stem, f"{stem}_chance", f"{stem}_p") if c not in rows})
        table[level] = missing[stem].to_numpy(dtype=float)
        table[f"{level}_chance"] = missing[f"{stem}_chance"].to_numpy(dtype=float)
        table[f"{level}_p"] = missing[f"{stem}_p"].to_numpy(dtype=float)
        table[f"{level}_p_holm"] = holm(table[f"{level}_p"].to_numpy())
        table[f"{level}_verdict"] = [
            judge(*both) for both in zip(table[f"{level}_p"], table[f"{level}_p_holm"], strict=True)
        ]
    table["sentence"] = [sentence(row, len(table), pairs) for row in table.to_dict("records")]
    return table


def _whole(neighbours: "pd.DataFrame") -> "pd.DataFrame":
    """Keep one space a setting: the whole vectors before any map of them."""
    spaces = ["full", "pca", "ipca", "umap"]
    place = neighbours["space"].map(lambda space: spaces.index(space) if space in spaces else len(spaces))
    best = place.groupby([neighbours[key] for key in CELL], sort=False).idxmin()
    return neighbours.loc[best.sort_values()].reset_index(drop=True)


def name_setting(row: dict) -> str:
    """Name a row's setting in words, without the cell."""
    weights = NAMES.get(row["representation"], row["representation"])
    return f"{weights}, {row['init']} A, rank {row['rank']}, token {row['token']}, L2 {row['l2']}"


def sentence(row: dict, tests: int, pairs: "pd.DataFrame | None" = None) -> str:
    """Say what one row of the verdict shows: first the work, then the author, then the author's other kits."""
    work, author = (_clause(row, level, tests) for level in LEVELS)
    words = {YES: "yes", UNSURE: "unsure", NO: "no", UNKNOWN: "not tested"}
    text = f"Work: {words[row['work_verdict']]} ({work}). "
    if row["author_across_works_verdict"] == UNKNOWN:
        text += "Author across works: not tested (no author has two works)."
    else:
        text += f"Author across works: {words[row['author_across_works_verdict']]} ({author})."
    return text + (_kits(row, pairs) if pairs is not None else "")


def _clause(row: dict, level: str, tests: int) -> str:
    if row[f"{level}_verdict"] == UNKNOWN:
        return "no value"
    text = f"Top-1 {fixed(row[level])}, chance {fixed(row[f'{level}_chance'])}, p {probability(row[f'{level}_p'])}"
    if row[f"{level}_verdict"] == UNSURE:
        text += f", but {probability(row[f'{level}_p_holm'])} after correction for {tests} settings"
    return text


def _kits(row: dict, pairs: "pd.DataFrame") -> str:
    """Say whether an author's two kits lie nearer than two authors' do."""
    same = np.ones(len(pairs), dtype=bool)
    for key in CELL:
        same &= (pairs[key] == row[key]).to_numpy()
    text = ""
    for found in pairs[same & (pairs["author"] != EVERYONE).to_numpy()].to_dict("records"):
        if not math.isfinite(found["other_kit"]):
            continue
        near = found["other_kit_p"] < SIGNIFICANT
        text += (
            f" {found['author']}'s kits ({found['kits']}) lie {fixed(found['other_kit'])} apart, other authors "
            f"{fixed(found['other_author'])}: {'nearer than' if near else 'not told from'} chance"
            f" (p {probability(found['other_kit_p'])}, least possible {probability(found['other_kit_p_least'])})."
        )
    return text


def layout(table: "pd.DataFrame") -> Layout:
    """Lay the verdict out without the sentences: both levels beside chance, corrected p-values and judgements."""
    head, same = settings(table)
    groups = []
    for level, name in (("work", "the work"), ("author_across_works", "the author, other works only")):
        columns = {
            "Top-1": [fixed(v) for v in table[level]],
            "chance": [fixed(v) for v in table[f"{level}_chance"]],
            "p (Holm)": [probability(v) for v in table[f"{level}_p_holm"]],
            "verdict": table[f"{level}_verdict"].tolist(),
        }
        sure = [row for row, verdict in enumerate(table[f"{level}_verdict"]) if verdict == YES]
        groups.append(Group(name, columns, frozenset((row, column) for row in sure for column in ("Top-1", "verdict"))))
    notes = [same] if same else []
    notes.append(
        f"Top-1: share of LoRAs whose nearest other LoRA has the same label. p after Holm's correction for the "
        f"{len(table)} rows; unsure: below 0.05 before the correction only."
    )
    return Layout("Do the weights carry the work, and the author?", head, groups, notes)


def read_neighbours(path: str) -> "pd.DataFrame":
    """Read the table that `egara.tables.neighbours` writes."""
    return read_tsv(path, KEYS, text=[key for key in KEYS if key in TEXT])


def read_pairs(path: str) -> "pd.DataFrame":
    """Read the table that `egara.tables.pairs` writes."""
    columns = [*CELL, "author", "kits", "same_kit", "other_kit", "other_kit_p", "other_kit_p_least", "other_author"]
    return read_tsv(path, columns, text=["init", "token", "representation", "l2", "author", "kits"])


def main(argv: list[str] | None = None) -> None:
    """Read the tables of neighbours and pairs and write the verdict."""
    arguments = parser(__doc__)
    arguments.add_argument("--neighbours", required=True, help="table of neighbours (.tsv)")
    arguments.add_argument("--pairs", help="table of pairs (.tsv)")
    arguments.add_argument("--output", required=True, nargs="+", help="tables to write (.tsv, .md, .tex)")
    options = arguments.parse_args(argv)
    pairs = read_pairs(options.pairs) if options.pairs else None
    table = verdict_table(read_neighbours(options.neighbours), pairs)
    write_table(options.output, table, layout(table))
    log = logger("tables")
    for row in table.to_dict("records"):
        log.info("%s: %s", name_setting(row), row["sentence"])


if __name__ == "__main__":
    run(main)
