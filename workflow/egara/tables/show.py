"""Print tables of a study, each recognised by its file name, for 110 columns."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from egara.io.errors import EgaraError
from egara.io.progress import parser
from egara.registry import discover
from egara.tables.layout import Layout
from egara.tables.pivot import principal
from egara.tables.registry import TABLES
from egara.tables.writing import plain

if TYPE_CHECKING:
    import pandas as pd

discover("egara.tables")


def read_table(path: str | Path) -> tuple[str, "pd.DataFrame"]:
    """Read a table of this stage and say which it is.

    Raises
    ------
    EgaraError : no such file, or a name that is not a table's.
    """
    name = Path(path).stem
    if name not in TABLES:
        raise EgaraError(f"{path}: unknown table; expected one of {', '.join(sorted(TABLES))} with the ending .tsv")
    return name, TABLES[name].read(path)


def lay_out(name: str, table: "pd.DataFrame", whole: bool = True) -> Layout:
    """Lay out a table; unless `whole`, long tables of scores keep one space per setting."""
    shorter = TABLES[name].short and not whole
    shown = principal(table) if shorter else table
    layout = TABLES[name].layout(shown)
    if shorter and len(shown) < len(table):
        note = f"{len(shown)} of {len(table)} rows: one space per setting; the report has the others."
        return replace(layout, notes=[*layout.notes, note])
    return layout


def main(argv: list[str] | None = None) -> None:
    """Print tables."""
    arguments = parser(__doc__)
    arguments.add_argument("tables", nargs="+", help="tables (.tsv)")
    arguments.add_argument("--whole", action="store_true", help="all spaces, not one per setting")
    arguments.add_argument("--report", help="report to point to")
    options = arguments.parse_args(argv)
    for path in options.tables:
        name, table = read_table(path)
        print(f"\n{plain(lay_out(name, table, options.whole))}")
    if options.report:
        print(f"Report: {options.report}")
