"""Table 4: how often the nearest LoRAs share the label, with chance and the published values."""

from typing import TYPE_CHECKING

from egara.scores.neighbours import expected_topk_accuracy
from egara.tables.layout import Group, Layout, fixed, probability, settings, significant
from egara.tables.pivot import add_published, read_scores, reasons, spread
from egara.tables.registry import table
from egara.vocabulary import HYPOTHESES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

METRICS = ["top1", "top5"]
PUBLISHED = {"top1": "published_top1", "top5": "published_top5"}
# LoRAs of the paper's two authors: 3 and 8 works of 30 sets (section 4.3).
PUBLISHED_SIZES = (90, 240)
TITLE = "Nearest neighbours that share the label"
NOTE = (
    "Top-1 (1-NN accuracy), Top-5: share of LoRAs with one of their label among the nearest one or five. chance: "
    "exact, from class sizes. p: one-sided, from permuted labels; for “other works only” whole works are permuted. "
    "“Author, all neighbours” is the paper's score; most of its hits are the same work."
)


def published_chance(neighbours: int) -> float:
    """Chance that the nearest `neighbours` of the paper's LoRAs include the same author: 0.602 for 1, 0.943 for 5."""
    total = sum(PUBLISHED_SIZES)
    return (
        sum(size * float(expected_topk_accuracy(size - 1, total - 1, neighbours)) for size in PUBLISHED_SIZES) / total
    )


def layout(table: "pd.DataFrame") -> Layout:
    """Lay the table out: hypotheses side by side, each score next to its chance."""
    head, same = settings(table)
    groups, notes = [], [same] if same else []
    for name, hypothesis in HYPOTHESES.items():
        if f"{name}_top1" not in table or not table[f"{name}_top1"].notna().any():
            continue
        groups.append(_group(table, name, hypothesis.label))
        if name == "author" and table["published_top1"].notna().any():
            columns = {
                "Top-1": [fixed(v) for v in table["published_top1"]],
                "Top-5": [fixed(v) for v in table["published_top5"]],
            }
            groups.append(Group("published", columns, muted=("Top-1", "Top-5")))
            notes.append(
                "Published: Shimoide & Ito, table 4 (author, all neighbours); chance for its "
                f"{' and '.join(map(str, PUBLISHED_SIZES))} LoRAs is {published_chance(1):.3f} (Top-1) and "
                f"{published_chance(5):.3f} (Top-5)."
            )
    notes += dict.fromkeys(reasons(table, "top1") + reasons(table, "top5"))
    return Layout(TITLE, head, groups, [*notes, NOTE])


def _group(table: "pd.DataFrame", hypothesis: str, label: str) -> Group:
    """Top-1 and Top-5 under a hypothesis, each followed by its chance and p."""
    columns, strong = {}, frozenset()
    for metric, heading, mark in (("top1", "Top-1", "1"), ("top5", "Top-5", "5")):
        stem = f"{hypothesis}_{metric}"
        columns[heading] = [fixed(v) for v in table[stem]]
        columns[f"chance {mark}"] = [fixed(v) for v in table[f"{stem}_chance"]]
        columns[f"p {mark}"] = [probability(v) for v in table[f"{stem}_p"]]
        strong |= significant(table[f"{stem}_p"], heading) | significant(table[f"{stem}_p"], f"p {mark}")
    return Group(label, columns, strong, ("chance 1", "chance 5"))


@table(
    "neighbours", TITLE, NOTE, layout=layout, inputs=("scores", "published/neighbours"), when="compared", number=4,
    short=True, order=2, folded=False,
)  # fmt: skip
def neighbour_table(scores: list[str], published: "Sequence[str]" = ()) -> "pd.DataFrame":
    """One row per cell, representation, L2 and space: Top-1 and Top-5 under each hypothesis, and published."""
    return add_published(spread(read_scores(scores), METRICS), published, PUBLISHED)
