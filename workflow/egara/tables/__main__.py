"""Make one table of the study, as .tsv, .md and .tex."""

import importlib
from pathlib import Path

from egara.io.errors import EgaraError, counted
from egara.io.progress import logger, parser


def main(argv: list[str] | None = None) -> None:
    """Import the module of one table, which registers it, and make it."""
    from egara.tables.registry import KINDS, TABLES

    arguments = parser(__doc__)
    arguments.add_argument("name", help="table to make, a module of egara.tables: cosine, grid, …")
    for kind, text in KINDS.items():
        arguments.add_argument(f"--{kind}", nargs="*", default=[], metavar="FILE", help=text)
    arguments.add_argument("--output", required=True, nargs="+", help="tables to write (.tsv, .md, .tex)")
    options = vars(arguments.parse_args(argv))
    name, output = options.pop("name"), options.pop("output")
    names = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))
    if name in names:  # one module only: its fingerprint does not hold the other tables
        importlib.import_module(f"egara.tables.{name}")
    if name not in TABLES:
        raise EgaraError(f"table {name}: unknown; expected one of {', '.join(_all_names())}")
    table = TABLES[name].make(options, output)
    logger("tables").info("%s: %s: %s", name, counted(len(table), "row"), output[0])


def _all_names() -> list[str]:
    from egara.tables import show  # registers all

    return sorted(show.TABLES)
