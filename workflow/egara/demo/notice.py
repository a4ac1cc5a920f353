"""Write a table of the artists whose drawings are used, their licences and their roles."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from egara.demo.artists import EVALUATED, STYLES, attribution, find_style
from egara.io.errors import EgaraError
from egara.io.progress import logger, parser
from egara.io.tables import write_tsv

if TYPE_CHECKING:
    import pandas as pd


def attributions(styles: Sequence[str]) -> "pd.DataFrame":
    """Return one row per style, from its kit.

    Columns: style, title, creator, licence, licence_url, source_url, role (`evaluated`: volumes under study;
    `held out`: pre-training of the base and the face detector only).

    Raises
    ------
    EgaraError : no style, or an unknown one.
    """
    import pandas as pd

    if not styles:
        raise EgaraError("no style; expected the names of drawing kits")
    evaluated = {style.name for style in EVALUATED}
    rows = []
    for name in dict.fromkeys(styles):
        role = "evaluated" if find_style(name).name in evaluated else "held out"
        rows.append({**attribution(name), "role": role})
    return pd.DataFrame(rows)


def main(argv: list[str] | None = None) -> None:
    """Read the arguments and write the table."""
    arguments = parser(__doc__)
    arguments.add_argument("--styles", nargs="+", default=sorted(STYLES), help="drawing kits")
    arguments.add_argument("--output", required=True, help="table to write")
    options = arguments.parse_args(argv)
    log = logger("notice")
    table = attributions(options.styles)
    write_tsv(options.output, table)
    log.info("%d drawing kits by %d creators (%s)", len(table), table["creator"].nunique(), options.output)
