"""The verdict: do the weights carry the work, and the author across works? One sentence per setting, with numbers."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.cells import describe_cell, parse_cell
from egara.io.errors import EgaraError
from egara.io.progress import logger
from egara.scores.multiple_testing import Null, correct, holm, read_nulls
from egara.scores.series import EVERYONE
from egara.tables.layout import Group, Layout, fixed, probability, settings
from egara.tables.pairs import pair_table
from egara.tables.pivot import CELL, KEYS, read_scores, spread, whole
from egara.tables.registry import table
from egara.vocabulary import ACROSS_SERIES, HYPOTHESES, QUESTIONS, SIGNIFICANT
from egara.weights.representations import label_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

LARGEST, HOLM = "largest score", "Holm"
Nulls = dict[tuple, dict[str, Null]]  # by CELL's values, then by hypothesis
YES, UNSURE, NO, UNKNOWN = "above chance", "unsure", "at chance", "not tested"
TOO_FEW = "too few to tell"  # even a perfect score would not be significant
NOTHING = "nothing to tell"  # every score is what it must be, with so few labels or equal LoRAs
WORDS = {YES: "yes", UNSURE: "unsure", NO: "no", TOO_FEW: TOO_FEW, NOTHING: NOTHING, UNKNOWN: UNKNOWN}
SERIES_COLUMNS = [
    "same_series", "other_series", "other_author", "other_series_p", "other_series_p_least", "other_series_top1",
    "other_series_top1_chance",
]  # fmt: skip
TITLE = "Do the weights carry the work, and the author?"
NOTE = (
    "Top-1 (1-NN accuracy): share of LoRAs whose nearest other LoRA has the same label, on whole vectors. p: corrected "
    f"for the number of rows. unsure: below {SIGNIFICANT:g} before the correction only. too few to tell: so few labels "
    "can be permuted that no score would have a small p."
)


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
    """One row per cell, representation and L2, on the whole vectors (space `full`) where they were scored.

    Returns
    -------
    The settings; for `work` and `author_across_works` the Top-1 score, its chance, p, p corrected for the number of
    rows, the least p that any score could have (with `nulls`), why there is no value, and the judgement; the same for
    `other_series` (distances) where `pairs` has it; and `sentence`. The correction is by the largest score under each
    permutation where `nulls` has all rows (`egara.scores.multiple_testing`), else Holm's, as it always is for series;
    `correction` says so.
    """
    rows = whole(neighbours)
    table = rows[KEYS].copy()
    for hypothesis in QUESTIONS:
        stem = f"{hypothesis}_top1"
        missing = rows.assign(**{c: math.nan for c in (stem, f"{stem}_chance", f"{stem}_p") if c not in rows})
        table[hypothesis] = missing[stem].to_numpy(dtype=float)
        table[f"{hypothesis}_chance"] = missing[f"{stem}_chance"].to_numpy(dtype=float)
        table[f"{hypothesis}_p"] = missing[f"{stem}_p"].to_numpy(dtype=float)
        table[f"{hypothesis}_p_corrected"] = _correct(table, hypothesis, nulls)
        table[f"{hypothesis}_p_least"] = [
            (nulls or {})[key][hypothesis].min_attainable_p if hypothesis in (nulls or {}).get(key, {}) else math.nan
            for key in table[CELL].itertuples(index=False, name=None)
        ]
        notes = missing.get(f"{stem}_note", missing[stem] * math.nan)
        table[f"{hypothesis}_note"] = [note if isinstance(note, str) else "" for note in notes]
        table[f"{hypothesis}_verdict"] = _judge(table, hypothesis)
    table["correction"] = HOLM if nulls is None else LARGEST
    if pairs is not None:
        table = _add_series(table, pairs)
    table["sentence"] = [sentence(row, len(table)) for row in table.to_dict("records")]
    return table


def _judge(table: "pd.DataFrame", hypothesis: str) -> list[str]:
    columns = [table[f"{hypothesis}_{name}"] for name in ("p", "p_corrected", "p_least")]
    columns += [table[f"{hypothesis}_note"]] if f"{hypothesis}_note" in table else []
    return [judge(*row) for row in zip(*columns, strict=True)]


def _correct(table: "pd.DataFrame", hypothesis: str, nulls: Nulls | None) -> "np.ndarray":
    p = table[f"{hypothesis}_p"].to_numpy(dtype=float)
    if nulls is None:
        return holm(p)
    keys = list(table[CELL].itertuples(index=False, name=None))
    if lacking := [key for key, value in zip(keys, p, strict=True) if math.isfinite(value) and key not in nulls]:
        raise EgaraError(
            f"no null distributions for {dict(zip(CELL, lacking[0], strict=True))}; expected one file per row"
        )
    tested = [row for row, key in enumerate(keys) if hypothesis in nulls.get(key, {})]
    corrected = np.full(len(table), math.nan)
    corrected[tested] = correct([nulls[keys[row]][hypothesis] for row in tested])
    return corrected


def _add_series(table: "pd.DataFrame", pairs: "pd.DataFrame") -> "pd.DataFrame":
    """Add the comparison of an author's series, over all authors that have several."""
    several = pairs[pairs["author"] != EVERYONE].groupby(CELL)[["author", "series"]].agg("; ".join).reset_index()
    whole = pairs[pairs["author"] == EVERYONE].drop(columns=["author", "series"]).merge(several, on=CELL, how="left")
    table = table.merge(whole[[*CELL, "author", "series", *SERIES_COLUMNS]], on=CELL, how="left")
    table["other_series_p_corrected"] = holm(table["other_series_p"].to_numpy(dtype=float))
    table["other_series_verdict"] = _judge(table, "other_series")
    return table


def name_setting(row: dict) -> str:
    """Name a row's setting in words."""
    return f"{label_of(row['representation'])}, {describe_cell(row, ', ')}, L2 {row['l2']}"


def sentence(row: dict, tests: int) -> str:
    """Say what one row of the verdict shows: first the work, then the author by other works, then by other series."""
    work, author = (_clause(row, hypothesis, tests) for hypothesis in QUESTIONS)
    text = f"Work: {WORDS[row['work_verdict']]} ({work}). "
    text += f"Author across works: {WORDS[row['author_across_works_verdict']]} ({author})."
    return text + (_series(row) if math.isfinite(row.get("other_series", math.nan)) else "")


def _clause(row: dict, hypothesis: str, tests: int) -> str:
    if row[f"{hypothesis}_verdict"] in (NOTHING, UNKNOWN):
        return row.get(f"{hypothesis}_note") or "no value"
    score, chance, p = (row[f"{hypothesis}{kind}"] for kind in ("", "_chance", "_p"))
    text = f"Top-1 {fixed(score)}, chance {fixed(chance)}, p {probability(p)}"
    if row[f"{hypothesis}_verdict"] == UNSURE:
        many = f"{tests} setting{'s' * (tests != 1)}"
        text += f", but {probability(row[f'{hypothesis}_p_corrected'])} after correction for {many}"
    elif row[f"{hypothesis}_verdict"] == TOO_FEW:
        text += f", which cannot fall below {probability(row[f'{hypothesis}_p_least'])}"
    return text


def _series(row: dict) -> str:
    """Say whether an author's series are nearer to each other than to other authors'."""
    text = (
        f" Author across series ({row['author']}: {row['series']}): {row['other_series_verdict']} "
        f"(distance {fixed(row['other_series'], 4)}, to other authors {fixed(row['other_author'], 4)}, "
        f"p {probability(row['other_series_p'])}; Top-1 {fixed(row['other_series_top1'])}, "
        f"chance {fixed(row['other_series_top1_chance'])})."
    )
    if row["other_series_verdict"] == TOO_FEW:
        text += f" With so few series p cannot fall below {probability(row['other_series_p_least'])}."
    return text


def layout(table: "pd.DataFrame") -> Layout:
    """Lay the verdict out without the sentences: scores with chance, corrected p-values and judgements."""
    head, same = settings(table)
    by_holm = (table["correction"] == HOLM).all()
    groups = []
    for hypothesis in QUESTIONS:
        columns = {
            "Top-1": [fixed(v) for v in table[hypothesis]],
            "chance": [fixed(v) for v in table[f"{hypothesis}_chance"]],
            "p": [probability(v) for v in table[f"{hypothesis}_p_corrected"]],
            "verdict": table[f"{hypothesis}_verdict"].tolist(),
        }
        sure = [row for row, verdict in enumerate(table[f"{hypothesis}_verdict"]) if verdict == YES]
        strong = frozenset((row, column) for row in sure for column in ("Top-1", "verdict"))
        groups.append(Group(HYPOTHESES[hypothesis].label, columns, strong))
    if "other_series" in table and table["other_series"].notna().any():
        columns = {
            "distance": [fixed(v, 4) for v in table["other_series"]],
            "to others": [fixed(v, 4) for v in table["other_author"]],
            "p": [probability(v) for v in table["other_series_p"]],
            "verdict": table["other_series_verdict"].tolist(),
        }
        sure = [row for row, verdict in enumerate(table["other_series_verdict"]) if verdict == YES]
        strong = frozenset((row, column) for row in sure for column in ("distance", "verdict"))
        groups.append(Group(ACROSS_SERIES.label, columns, strong, ("to others",)))
    notes = [same] if same else []
    if "other_series" in table:
        notes.append(
            "An author's other works may be of the same series, which share more than an author: “other works only” "
            "may show the series; only “other series only” shows the author."
        )
    for hypothesis in QUESTIONS:
        name = HYPOTHESES[hypothesis].claim
        if why := list(dict.fromkeys(note for note in table[f"{hypothesis}_note"] if isinstance(note, str) and note)):
            notes.append(f"For {name} there is nothing to tell: {', '.join(why)}.")
        if TOO_FEW in set(table[f"{hypothesis}_verdict"]):
            notes.append(
                f"For {name}, with so few permutations of labels, p cannot fall below "
                f"{probability(table[f'{hypothesis}_p_least'].max())}: too few to tell, however high the score."
            )
        least = table[f"{hypothesis}_p"].min()
        if UNSURE in set(table[f"{hypothesis}_verdict"]) and least * len(table) >= SIGNIFICANT and by_holm:
            notes.append(
                f"For {name} the smallest p, {probability(least)}, times {len(table)} rows is not below "
                f"{SIGNIFICANT:g}: with so few works no score may pass a correction for so many rows."
            )
    how = (
        "by Holm's method"
        if by_holm
        else "by the largest standardised score of all rows under each permutation (Westfall and Young)"
    )
    how += ", of series by Holm's method" if "other_series" in table and not by_holm else ""
    notes.append(f"p is corrected {how} for the {len(table)} rows.")
    return Layout(TITLE, head, groups, [*notes, NOTE])


def gather_nulls(paths: "Sequence[str]") -> Nulls:
    """Read files `<cell>/<representation>_l2~<l2>/nulls.npz`."""
    found = {}
    for path in paths:
        representation, _, l2 = Path(path).parent.name.partition("_l2~")
        row = {**parse_cell(Path(path).parent.parent.name), "representation": representation, "l2": l2}
        found[tuple(row[key] for key in CELL)] = read_nulls(path)
    return found


@table(
    "verdict", TITLE, NOTE, layout=layout, inputs=("scores", "nulls", "series"), when="compared", order=4,
    text=(
        "author", "series", *(f"{name}_{kind}" for name in QUESTIONS for kind in ("note", "verdict")),
        "other_series_verdict", "correction", "sentence",
    ),
)  # fmt: skip
def build(scores: list[str], nulls: "Sequence[str]" = (), series: "Sequence[str]" = ()) -> "pd.DataFrame":
    """Read what `verdict_table` needs and log its sentences."""
    neighbours = spread(read_scores(scores), ["top1"])
    table = verdict_table(neighbours, pair_table(series) if series else None, gather_nulls(nulls) if nulls else None)
    for row in table.to_dict("records"):
        logger("tables").info("%s: %s", name_setting(row), row["sentence"])
    return table
