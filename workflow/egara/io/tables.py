"""Tables of tab-separated values, as the stages write and read them."""

from pathlib import Path
from typing import TYPE_CHECKING

from egara.io.atomic import replacing
from egara.io.errors import EgaraError

if TYPE_CHECKING:
    import pandas as pd


def write_tsv(path: str | Path, table: "pd.DataFrame") -> None:
    """Write a table as tab-separated values without its index; floats keep nine significant digits."""
    with replacing(path) as part:
        table.to_csv(part, sep="\t", index=False, float_format="%.9g", lineterminator="\n")


def read_tsv(path: str | Path, columns: list[str], text: list[str] | None = None) -> "pd.DataFrame":
    """Read a table of tab-separated values.

    Parameters
    ----------
    path : file to read.
    columns : columns that must be there.
    text : columns to keep as text, so that a work called `001` stays `001`.

    Raises
    ------
    EgaraError : the file is missing or empty, or a column is missing.
    """
    import pandas as pd

    path = Path(path)
    if not path.is_file():
        raise EgaraError(f"{path}: no such file; expected a table with the columns {', '.join(columns)}")
    try:
        header = pd.read_csv(path, sep="\t", nrows=0).columns
        blank = {column: ["", "nan"] for column in header if column not in (text or [])}  # an author may be called nan
        table = pd.read_csv(path, sep="\t", dtype={c: str for c in text or []}, keep_default_na=False, na_values=blank)
    except (ValueError, UnicodeDecodeError) as error:
        raise EgaraError(f"{path}: not a table of tab-separated values ({error})") from error
    if missing := [c for c in columns if c not in table.columns]:
        raise EgaraError(f"{path}: column {', '.join(missing)} is missing; found {', '.join(map(str, table.columns))}")
    return table.fillna({c: "" for c in text or [] if c in table.columns})
