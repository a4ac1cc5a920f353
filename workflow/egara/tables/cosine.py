"""Table 3: mean cosine distances within and between authors and works, with chance and the published values."""

from typing import TYPE_CHECKING

from egara.scores.distances import noise_distance
from egara.tables.layout import Group, Layout, fixed, probability, settings, significant
from egara.tables.pivot import add_published, read_scores, reasons, spread
from egara.tables.registry import table
from egara.vocabulary import HYPOTHESES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

METRICS = ["cosine_intra", "cosine_inter", "cosine_difference"]
PUBLISHED = {
    "mean_intra": "published_intra", "mean_inter": "published_inter", "difference": "published_difference",
}  # fmt: skip
PUBLISHED_LORAS = 330
TITLE = "Cosine distances within and between labels"
NOTE = (
    "intra: mean distance between LoRAs of one label; inter: of two. chance: mean of all pairs, which both would be if "
    "labels meant nothing. p: of inter − intra, one-sided, from permuted labels. Only “other works only” speaks of the "
    "author: it leaves out pairs of one work."
)


def layout(table: "pd.DataFrame") -> Layout:
    """Lay the table out: hypotheses side by side, p of inter - intra in bold where it is significant."""
    head, same = settings(table)
    groups, notes = [], [same] if same else []
    for name, hypothesis in HYPOTHESES.items():
        stem = f"{name}_cosine"
        if f"{stem}_intra" not in table or not table[f"{stem}_intra"].notna().any():
            continue
        p = table[f"{stem}_difference_p"]
        columns = {
            "intra": [fixed(v, 4) for v in table[f"{stem}_intra"]],
            "inter": [fixed(v, 4) for v in table[f"{stem}_inter"]],
            "chance": [fixed(v, 4) for v in table[f"{stem}_intra_chance"]],
            "p": [probability(v) for v in p],
        }
        label = hypothesis.label.replace("neighbours", "pairs")
        groups.append(Group(label, columns, significant(p, "p") | significant(p, "intra")))
        if name == "author" and table["published_intra"].notna().any():
            columns = {
                "intra": [fixed(v, 4) for v in table["published_intra"]],
                "inter": [fixed(v, 4) for v in table["published_inter"]],
            }
            groups.append(Group("published", columns, muted=("intra", "inter")))
            notes.append(
                f"Published: Shimoide & Ito, table 3 (author, all pairs); for its {PUBLISHED_LORAS} LoRAs independent "
                f"directions give {noise_distance(PUBLISHED_LORAS):.4f} for both."
            )
    notes += reasons(table, "cosine_difference")
    return Layout(TITLE, head, groups, [*notes, NOTE])


@table(
    "cosine", TITLE, NOTE, layout=layout,
    inputs=("scores", "published/cosine"), when="compared", number=3, short=True, order=1, folded=False,
)  # fmt: skip
def cosine_table(scores: list[str], published: "Sequence[str]" = ()) -> "pd.DataFrame":
    """One row per cell, representation, L2 and space: intra, inter, inter - intra per hypothesis, and published."""
    return add_published(spread(read_scores(scores), METRICS), published, PUBLISHED)
