"""Print tables to a terminal of 110 columns, each known by its file's name, and where the report lies."""

from pathlib import Path
from typing import TYPE_CHECKING

from egara.io.errors import EgaraError, run
from egara.io.progress import parser
from egara.io.tables import read_tsv
from egara.tables import (
    clusters,
    controls,
    cosine,
    detector,
    environment,
    grid,
    layers,
    methods,
    neighbours,
    overlap,
    pairs,
    verdict,
    works,
)
from egara.tables.layout import Layout
from egara.tables.pivot import principal
from egara.tables.writing import plain

if TYPE_CHECKING:
    import pandas as pd

KINDS = {
    "works": works, "environment": environment, "cosine": cosine, "neighbours": neighbours, "clusters": clusters,
    "overlap": overlap, "detector": detector, "pairs": pairs, "verdict": verdict,
    "grid": grid, "methods": methods, "controls": controls, "layers": layers,
}  # fmt: skip
TEXT = [
    "corpus", "author", "work", "item", "value", "published", "init", "token", "representation", "l2", "space", "map",
    "level", "metric", "detector", "kits", "work_verdict", "author_across_works_verdict", "other_kit_verdict",
    "sentence", "correction", "control", "outcome", "what",
    "name", "position", "kind", "note", "work_note", "author_across_works_note",
]  # fmt: skip
# Columns of numbers whose names are those of text columns elsewhere.
NUMBERS = {"verdict": ["work"], "grid": ["value", "published"], "controls": ["value"], "layers": ["value"]}


def read_table(path: str | Path) -> tuple[str, "pd.DataFrame"]:
    """Read a table of this stage and say which it is.

    Raises
    ------
    EgaraError : no such file, or a name that is no table's.
    """
    kind = Path(path).stem
    if kind not in KINDS:
        raise EgaraError(f"{path}: unknown table; expected one of {', '.join(KINDS)} with the ending .tsv")
    return kind, read_tsv(path, [], text=[name for name in TEXT if name not in NUMBERS.get(kind, [])])


def lay_out(kind: str, table: "pd.DataFrame", whole: bool = True) -> Layout:
    """Lay out a table of a kind; unless `whole`, tables of scores keep one space a setting."""
    shorter = kind in ("cosine", "neighbours") and not whole
    shown = principal(table) if shorter else table
    layout = KINDS[kind].layout(shown)
    if shorter and len(shown) < len(table):
        layout.notes.append(f"{len(shown)} of {len(table)} rows: one space a setting; the others stand in the report.")
    return layout


def main(argv: list[str] | None = None) -> None:
    """Print tables."""
    arguments = parser(__doc__)
    arguments.add_argument("tables", nargs="+", help="tables (.tsv)")
    arguments.add_argument("--whole", action="store_true", help="all spaces, not one a setting")
    arguments.add_argument("--report", help="report to point to")
    options = arguments.parse_args(argv)
    for path in options.tables:
        kind, table = read_table(path)
        print(f"\n{plain(lay_out(kind, table, options.whole))}")
    if options.report:
        print(f"Report: {options.report}")


if __name__ == "__main__":
    run(main)
