"""Table 3: mean cosine distances within and between authors and works, beside chance and the published values."""

from typing import TYPE_CHECKING

from egara.io.errors import counted, run
from egara.io.progress import logger, parser
from egara.scores.chance import noise_distance
from egara.tables.layout import Group, Layout, fixed, probability, settings, significant
from egara.tables.pivot import LEVELS, add_published, read_scores, reasons, spread
from egara.tables.writing import write_table

if TYPE_CHECKING:
    import pandas as pd

METRICS = ["cosine_intra", "cosine_inter", "cosine_difference"]
PUBLISHED = {
    "mean_intra": "published_intra", "mean_inter": "published_inter", "difference": "published_difference",
}  # fmt: skip
PUBLISHED_LORAS = 330


def cosine_table(scores: "pd.DataFrame", published: str | None = None) -> "pd.DataFrame":
    """One row a cell, representation, L2 and space: intra, inter and their difference at each level, and published."""
    return add_published(spread(scores, METRICS), published, PUBLISHED)


def layout(table: "pd.DataFrame") -> Layout:
    """Lay the table out: three levels side by side, p of inter - intra in bold below 0.05."""
    head, same = settings(table)
    groups, notes = [], [same] if same else []
    for level, name in LEVELS.items():
        stem = f"{level}_cosine"
        if f"{stem}_intra" not in table or not table[f"{stem}_intra"].notna().any():
            continue
        p = table[f"{stem}_difference_p"]
        columns = {
            "intra": [fixed(v, 4) for v in table[f"{stem}_intra"]],
            "inter": [fixed(v, 4) for v in table[f"{stem}_inter"]],
            "chance": [fixed(v, 4) for v in table[f"{stem}_intra_chance"]],
            "p": [probability(v) for v in p],
        }
        name = name.replace("neighbours", "pairs")
        groups.append(Group(name, columns, significant(p, "p") | significant(p, "intra")))
        if level == "author" and table["published_intra"].notna().any():
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
    notes.append(
        "intra: mean distance between LoRAs of one label; inter: of two. chance: mean of all pairs, which both would "
        "be if labels meant nothing. p: of inter − intra, one-sided, by exchanging labels. "
        "Only “other works only” speaks of the author: it leaves out pairs of one work."
    )
    return Layout("Cosine distances within and between labels", head, groups, notes)


def main(argv: list[str] | None = None) -> None:
    """Read score files and write the table."""
    arguments = parser(__doc__)
    arguments.add_argument("--scores", required=True, nargs="+", help="score files (.tsv)")
    arguments.add_argument("--published", help="published values: rank, alpha, l2, mean_intra, … (.tsv)")
    arguments.add_argument("--output", required=True, nargs="+", help="tables to write (.tsv, .md, .tex)")
    options = arguments.parse_args(argv)
    table = cosine_table(read_scores(options.scores), options.published)
    write_table(options.output, table, layout(table))
    logger("tables").info("cosine: %s: %s", counted(len(table), "row"), options.output[0])


if __name__ == "__main__":
    run(main)
