"""Other measures of the same hypotheses: nearest centroid, linear probe, silhouette, explained variance."""

from typing import TYPE_CHECKING

from egara.tables.layout import Group, Layout, fixed, settings, significant
from egara.tables.pivot import read_scores, reasons, spread, whole
from egara.tables.registry import table
from egara.vocabulary import HYPOTHESES, SIGNIFICANT

if TYPE_CHECKING:
    import pandas as pd

METRICS = ("centroid", "probe", "silhouette", "variance")
TITLE = "Other measures"
NOTE = (
    "centroid: share of LoRAs nearest to the mean of their own label. probe: share that a linear classifier (ridge "
    "regression, labels weighted alike) gets right. Both hold out the LoRA, for “other works only” its whole work. "
    "silhouette: how much nearer the own label is than the next. variance: share of all variance that authors explain, "
    "or works within authors; sets explain the rest. chance: the mean under permuted labels. "
    f"Bold: p below {SIGNIFICANT:g}, before any correction; methods.tsv has p and intervals."
)


def layout(table: "pd.DataFrame") -> Layout:
    """Lay the table out: hypotheses side by side, each score before its chance, in bold where p is significant."""
    head, same = settings(table)
    groups, notes = [], [same] if same else []
    majorities = []
    for name, hypothesis in HYPOTHESES.items():
        columns, strong, muted = {}, frozenset(), []
        for metric in METRICS:
            stem = f"{name}_{metric}"
            if stem not in table or not table[stem].notna().any():
                continue
            columns[metric] = [fixed(v) for v in table[stem]]
            chance = f"chance of {metric}"
            columns[chance] = [fixed(v) for v in table[f"{stem}_chance"]]
            strong |= significant(table[f"{stem}_p"], metric)
            muted.append(chance)
        if columns:
            groups.append(Group(hypothesis.label, columns, strong, tuple(muted)))
        share = table.get(f"{name}_probe_majority")
        if share is not None and share.notna().any():
            majorities.append(f"{hypothesis.label} {fixed(share.max())}")
    if majorities:
        notes.append(f"Majority-class baseline: {'; '.join(majorities)}.")
    notes += reasons(table, "centroid")
    return Layout(TITLE, head, groups, [*notes, NOTE])


@table("methods", TITLE, NOTE, layout=layout, inputs=("scores",), when="compared", order=3, folded=False)
def methods_table(scores: list[str]) -> "pd.DataFrame":
    """One row per cell, representation and L2, on whole vectors: every measure under each hypothesis, with chance."""
    return whole(spread(read_scores(scores), list(METRICS)))
