"""Other ways to ask the same question: nearest centroid, linear probe, silhouette, explained variance."""

from typing import TYPE_CHECKING

from egara.io.errors import counted, run
from egara.io.progress import logger, parser
from egara.tables.layout import Group, Layout, fixed, settings, significant
from egara.tables.pivot import LEVELS, read_scores, reasons, spread, whole
from egara.tables.writing import write_table

if TYPE_CHECKING:
    import pandas as pd

METRICS = {"centroid": "centroid", "probe": "probe", "silhouette": "silhouette", "variance": "variance"}


def methods_table(scores: "pd.DataFrame") -> "pd.DataFrame":
    """One row a cell, representation and L2, on the whole vectors: every method at each level, beside its chance."""
    return whole(spread(scores, list(METRICS)))


def layout(table: "pd.DataFrame") -> Layout:
    """Lay the table out: levels side by side, each score before its chance, in bold where p is below 0.05."""
    head, same = settings(table)
    groups, notes = [], [same] if same else []
    majorities = []
    for level, name in LEVELS.items():
        columns, strong, muted = {}, frozenset(), []
        for metric, heading in METRICS.items():
            stem = f"{level}_{metric}"
            if stem not in table or not table[stem].notna().any():
                continue
            columns[heading] = [fixed(v) for v in table[stem]]
            chance = f"chance of {heading}"
            columns[chance] = [fixed(v) for v in table[f"{stem}_chance"]]
            strong |= significant(table[f"{stem}_p"], heading)
            muted.append(chance)
        if columns:
            groups.append(Group(name, columns, strong, tuple(muted)))
        answer = table.get(f"{level}_probe_majority")
        if answer is not None and answer.notna().any():
            majorities.append(f"{name}: {fixed(answer.max())}")
    if majorities:
        notes.append(f"Who always answers the largest label is right for {'; '.join(majorities)} of the LoRAs.")
    notes += reasons(table, "centroid")
    notes.append(
        "centroid: share of LoRAs nearest to the mean of their own label. probe: share that a linear classifier (ridge "
        "regression, labels weighted alike) answers right. Both leave the LoRA out, for “other works only” its whole "
        "work. silhouette: how much nearer the own label is than the next. variance: share of all variance that "
        "authors explain, or works within authors; sets explain the rest. chance: the mean over exchanged labels. "
        "Bold: p below 0.05, before any correction; methods.tsv has p and intervals."
    )
    return Layout("Other ways to ask", head, groups, notes)


def main(argv: list[str] | None = None) -> None:
    """Read score files and write the table."""
    arguments = parser(__doc__)
    arguments.add_argument("--scores", required=True, nargs="+", help="score files (.tsv)")
    arguments.add_argument("--output", required=True, nargs="+", help="tables to write (.tsv, .md, .tex)")
    options = arguments.parse_args(argv)
    table = methods_table(read_scores(options.scores))
    write_table(options.output, table, layout(table))
    logger("tables").info("methods: %s: %s", counted(len(table), "row"), options.output[0])


if __name__ == "__main__":
    run(main)
