"""Write a table of the artists whose drawings are used, their licences and their roles."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from egara.demo.artists import EVALUATED, attribution, find_style
from egara.io.errors import EgaraError

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
