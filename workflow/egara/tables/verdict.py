"""The verdict: do the weights carry the work, and the author across works? One sentence a setting, with numbers."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.cells import describe_cell, parse_cell
from egara.io.errors import EgaraError, run
from egara.io.progress import logger, parser
from egara.io.tables import read_tsv
from egara.scores.adjust import holm
from egara.scores.multiple_testing import Null, correct, read_nulls
from egara.tables.layout import SIGNIFICANT, Group, Layout, fixed, probability, settings
from egara.tables.pairs import EVERYONE
from egara.tables.pivot import CELL, KEYS, TEXT, whole
from egara.tables.writing import write_table
from egara.vocabulary import TEXT_AXES
from egara.weights.representations import label_of

if TYPE_CHECKING:
    import pandas as pd

LEVELS = ("work", "author_across_works")
LARGEST, HOLM = "largest score", "Holm"
Nulls = dict[tuple, dict[str, Null]]  # by CELL's values, then by level
YES, UNSURE, NO, UNKNOWN = "above chance", "unsure", "at chance", "not tested"
TOO_FEW = "too few to tell"  # even a perfect score would not reach 0.05
NOTHING = "nothing to tell"  # every score is what it must be, with so few labels or equal LoRAs
WORDS = {YES: "yes", UNSURE: "unsure", NO: "no", TOO_FEW: TOO_FEW, NOTHING: NOTHING, UNKNOWN: UNKNOWN}
KIT_COLUMNS = [
    "same_kit", "other_kit", "other_author", "other_kit_p", "other_kit_p_least", "other_kit_top1",
    "other_kit_top1_chance",
]  # fmt: skip


def judge(p: float, corrected: float, least: float, note: str = "") -> str:
    """Say what a p-value and its corrected value allow to say.

    `least` is the smallest that p could be, NaN unknown; `note` says why there is no p.
    """
    if not math.isfinite(p):
        return NOTHING if note else UNKNOWN
    if least >= SIGNIFICANT:
        return TOO_FEW
    if corrected < SIGNIFICANT:
        return YES
    return UNSURE if p < SIGNIFICANT else NO


def verdict_table(
    neighbours: "pd.DataFrame", pairs: "pd.DataFrame | None" = None, nulls: Nulls | None = None
) -> "pd.DataFrame":
    """One row a cell, representation and L2, on the whole vectors (space `full`) where they were scored.

    Returns
    -------
    The settings; for `work` and `author_across_works` the Top-1 score, its chance, p, p corrected for the number of
    rows, the least p that any score could have (with `nulls`), why there is no value, and the judgement; the same for
    `other_kit` (distances) where `pairs` has it; and `sentence`. The correction is by the largest score under each
    relabelling where `nulls` has all rows (`egara.scores.multiple_testing`), else Holm's, which for kits it always is;
    `correction` says so.
    """
    rows = whole(neighbours)
    table = rows[KEYS].copy()
    for level in LEVELS:
        stem = f"{level}_top1"
        missing = rows.assign(**{c: math.nan for c in (stem, f"{stem}_chance", f"{stem}_p") if c not in rows})
        table[level] = missing[stem].to_numpy(dtype=float)
        table[f"{level}_chance"] = missing[f"{stem}_chance"].to_numpy(dtype=float)
        table[f"{level}_p"] = missing[f"{stem}_p"].to_numpy(dtype=float)
        table[f"{level}_p_corrected"] = _correct(table, level, nulls)
        table[f"{level}_p_least"] = [
            (nulls or {})[key][level].least if level in (nulls or {}).get(key, {}) else math.nan
            for key in table[CELL].itertuples(index=False, name=None)
        ]
        notes = missing.get(f"{stem}_note", missing[stem] * math.nan)
        table[f"{level}_note"] = [note if isinstance(note, str) else "" for note in notes]
        table[f"{level}_verdict"] = _judge(table, level)
    table["correction"] = HOLM if nulls is None else LARGEST
    if pairs is not None:
        table = _add_kits(table, pairs)
    table["sentence"] = [sentence(row, len(table)) for row in table.to_dict("records")]
    return table


def _judge(table: "pd.DataFrame", level: str) -> list[str]:
    columns = [table[f"{level}_{name}"] for name in ("p", "p_corrected", "p_least")]
    columns += [table[f"{level}_note"]] if f"{level}_note" in table else []
    return [judge(*row) for row in zip(*columns, strict=True)]


def _correct(table: "pd.DataFrame", level: str, nulls: Nulls | None) -> "np.ndarray":
    p = table[f"{level}_p"].to_numpy(dtype=float)
    if nulls is None:
        return holm(p)
    keys = list(table[CELL].itertuples(index=False, name=None))
    if lacking := [key for key, value in zip(keys, p, strict=True) if math.isfinite(value) and key not in nulls]:
        raise EgaraError(
            f"no null distributions for {dict(zip(CELL, lacking[0], strict=True))}; expected one file a row"
        )
    tested = [row for row, key in enumerate(keys) if level in nulls.get(key, {})]
    corrected = np.full(len(table), math.nan)
    corrected[tested] = correct([nulls[keys[row]][level] for row in tested])
    return corrected


def _add_kits(table: "pd.DataFrame", pairs: "pd.DataFrame") -> "pd.DataFrame":
    """Put the comparison of an author's kits, over all authors that have several, beside the other levels."""
    several = pairs[pairs["author"] != EVERYONE].groupby(CELL)[["author", "kits"]].agg("; ".join).reset_index()
    whole = pairs[pairs["author"] == EVERYONE].drop(columns=["author", "kits"]).merge(several, on=CELL, how="left")
    table = table.merge(whole[[*CELL, "author", "kits", *KIT_COLUMNS]], on=CELL, how="left")
    table["other_kit_p_corrected"] = holm(table["other_kit_p"].to_numpy(dtype=float))
    table["other_kit_verdict"] = _judge(table, "other_kit")
    return table


def name_setting(row: dict) -> str:
    """Name a row's setting in words."""
    return f"{label_of(row['representation'])}, {describe_cell(row, ', ')}, L2 {row['l2']}"


def sentence(row: dict, tests: int) -> str:
    """Say what one row of the verdict shows: first the work, then the author's other works, then other kits."""
    work, author = (_clause(row, level, tests) for level in LEVELS)
    text = f"Work: {WORDS[row['work_verdict']]} ({work}). "
    text += f"Author across works: {WORDS[row['author_across_works_verdict']]} ({author})."
    return text + (_kits(row) if math.isfinite(row.get("other_kit", math.nan)) else "")


def _clause(row: dict, level: str, tests: int) -> str:
    if row[f"{level}_verdict"] in (NOTHING, UNKNOWN):
        return row.get(f"{level}_note") or "no value"
    text = f"Top-1 {fixed(row[level])}, chance {fixed(row[f'{level}_chance'])}, p {probability(row[f'{level}_p'])}"
    if row[f"{level}_verdict"] == UNSURE:
        many = f"{tests} setting{'s' * (tests != 1)}"
        text += f", but {probability(row[f'{level}_p_corrected'])} after correction for {many}"
    elif row[f"{level}_verdict"] == TOO_FEW:
        text += f", which cannot fall below {probability(row[f'{level}_p_least'])}"
    return text


def _kits(row: dict) -> str:
    """Say whether an author's kits lie nearer to each other than to other authors'."""
    text = (
        f" Author across kits ({row['author']}: {row['kits']}): {row['other_kit_verdict']} "
        f"(distance {fixed(row['other_kit'], 4)}, to other authors {fixed(row['other_author'], 4)}, "
        f"p {probability(row['other_kit_p'])}; Top-1 {fixed(row['other_kit_top1'])}, "
        f"chance {fixed(row['other_kit_top1_chance'])})."
    )
    if row["other_kit_verdict"] == TOO_FEW:
        text += f" With so few kits p cannot fall below {probability(row['other_kit_p_least'])}."
    return text


def layout(table: "pd.DataFrame") -> Layout:
    """Lay the verdict out without the sentences: both levels beside chance, corrected p-values and judgements."""
    head, same = settings(table)
    by_holm = (table["correction"] == HOLM).all()
    groups = []
    for level, name in (("work", "the work"), ("author_across_works", "the author, other works only")):
        columns = {
            "Top-1": [fixed(v) for v in table[level]],
            "chance": [fixed(v) for v in table[f"{level}_chance"]],
            "p": [probability(v) for v in table[f"{level}_p_corrected"]],
            "verdict": table[f"{level}_verdict"].tolist(),
        }
        sure = [row for row, verdict in enumerate(table[f"{level}_verdict"]) if verdict == YES]
        groups.append(Group(name, columns, frozenset((row, column) for row in sure for column in ("Top-1", "verdict"))))
    if "other_kit" in table and table["other_kit"].notna().any():
        columns = {
            "distance": [fixed(v, 4) for v in table["other_kit"]],
            "to others": [fixed(v, 4) for v in table["other_author"]],
            "p": [probability(v) for v in table["other_kit_p"]],
            "verdict": table["other_kit_verdict"].tolist(),
        }
        sure = [row for row, verdict in enumerate(table["other_kit_verdict"]) if verdict == YES]
        strong = frozenset((row, column) for row in sure for column in ("distance", "verdict"))
        groups.append(Group("the author, other kits only", columns, strong, ("to others",)))
    notes = [same] if same else []
    if "other_kit" in table:
        notes.append(
            "Most of an author's other works are other casts of the same drawing kit (constructed): “other works only” "
            "shows the kit. “Other kits only” is the real case; too few to tell: even a perfect score would not reach "
            "p 0.05."
        )
    for level, name in (("work", "the work"), ("author_across_works", "the author")):
        if why := list(dict.fromkeys(note for note in table[f"{level}_note"] if isinstance(note, str) and note)):
            notes.append(f"For {name} there is nothing to tell: {', '.join(why)}.")
        if TOO_FEW in set(table[f"{level}_verdict"]):
            notes.append(
                f"For {name}, with so few exchanges of labels, p cannot fall below "
                f"{probability(table[f'{level}_p_least'].max())}: too few to tell, however high the score."
            )
        least = table[f"{level}_p"].min()
        if UNSURE in set(table[f"{level}_verdict"]) and least * len(table) >= SIGNIFICANT and by_holm:
            notes.append(
                f"For {name} the smallest p, {probability(least)}, times {len(table)} rows is not below 0.05: with so "
                "few works no score may pass a correction for so many rows."
            )
    how = (
        "after Holm's correction"
        if by_holm
        else "against the largest standardised score of all rows under each relabelling (Westfall and Young): corrected"
    )
    notes.append(
        f"Top-1: share of LoRAs whose nearest other LoRA has the same label. p: {how} for the {len(table)} rows"
        f"{', of kits by Holm' if 'other_kit' in table and not by_holm else ''}; unsure: below 0.05 before the "
        "correction only."
    )
    return Layout("Do the weights carry the work, and the author?", head, groups, notes)


def read_neighbours(path: str) -> "pd.DataFrame":
    """Read the table that `egara.tables.neighbours` writes."""
    return read_tsv(path, KEYS, text=[key for key in KEYS if key in TEXT])


def read_pairs(path: str) -> "pd.DataFrame":
    """Read the table that `egara.tables.pairs` writes."""
    columns = [*CELL, "author", "kits", *KIT_COLUMNS]
    return read_tsv(path, columns, text=[*TEXT_AXES, "representation", "l2", "author", "kits"])


def gather_nulls(paths: list[str]) -> Nulls:
    """Read files `<cell>/<representation>_l2~<l2>/nulls.npz`."""
    found = {}
    for path in paths:
        representation, _, l2 = Path(path).parent.name.partition("_l2~")
        row = {**parse_cell(Path(path).parent.parent.name), "representation": representation, "l2": l2}
        found[tuple(row[key] for key in CELL)] = read_nulls(path)
    return found


def main(argv: list[str] | None = None) -> None:
    """Read the tables of neighbours and pairs and write the verdict."""
    arguments = parser(__doc__)
    arguments.add_argument("--neighbours", required=True, help="table of neighbours (.tsv)")
    arguments.add_argument("--pairs", help="table of pairs (.tsv)")
    arguments.add_argument("--nulls", nargs="*", help="<cell>/<representation>_l2~<l2>/nulls.npz of every row")
    arguments.add_argument("--output", required=True, nargs="+", help="tables to write (.tsv, .md, .tex)")
    options = arguments.parse_args(argv)
    pairs = read_pairs(options.pairs) if options.pairs else None
    nulls = gather_nulls(options.nulls) if options.nulls else None
    table = verdict_table(read_neighbours(options.neighbours), pairs, nulls)
    write_table(options.output, table, layout(table))
    log = logger("tables")
    for row in table.to_dict("records"):
        log.info("%s: %s", name_setting(row), row["sentence"])


if __name__ == "__main__":
    run(main)
