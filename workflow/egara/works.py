"""The works table: the one file that a user writes, a row a work."""

import re
from dataclasses import dataclass
from pathlib import Path

from egara.errors import EgaraError
from egara.files import read_text

COLUMNS = ("author", "work", "volumes")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")


@dataclass(frozen=True)
class Work:
    """One work of the corpus.

    Attributes
    ----------
    author : the artist who drew it, in any script.
    work : short name for files and figures: letters, digits, dot and hyphen.
    volumes : files, folders or globs, in the order given.
    """

    author: str
    work: str
    volumes: tuple[str, ...]


def read_works(path: str | Path) -> list[Work]:
    """Read a works table: tab-separated `author`, `work`, `volumes`; several volumes are parted by `;`.

    Raises
    ------
    EgaraError : the file is missing, a column or cell is missing, a name is unfit, or two works share one name.
    """
    path = Path(path)
    if not path.is_file():
        raise EgaraError(f"{path}: no such works table; expected tab-separated columns {', '.join(COLUMNS)}")
    lines = [line.split("\t") for line in read_text(path).splitlines() if line.strip()]
    if not lines or missing_columns(lines[0]):
        found = ", ".join(lines[0]) if lines else "nothing"
        raise EgaraError(f"{path}, line 1: found {found}; expected tab-separated columns {', '.join(COLUMNS)}")
    header, works, seen = lines[0], [], {}
    for number, cells in enumerate(lines[1:], start=2):
        row = dict(zip(header, (cell.strip() for cell in cells), strict=False))
        if empty := [column for column in COLUMNS if not row.get(column)]:
            raise EgaraError(f"{path}, row {number}: {', '.join(empty)} is empty; expected a value in each column")
        name = row["work"]
        if not NAME.fullmatch(name):
            raise EgaraError(f"{path}, row {number}: work {name!r} is no file name; expected letters, digits, . and -")
        if name.lower() in seen:
            raise EgaraError(
                f"{path}, row {number}: work {name} stands in row {seen[name.lower()]} too; names must differ"
            )
        seen[name.lower()] = number
        volumes = tuple(part.strip() for part in row["volumes"].split(";") if part.strip())
        works.append(Work(row["author"], name, volumes))
    if not works:
        raise EgaraError(f"{path}: no work in the table; expected at least one row below the header")
    return works


def missing_columns(header: list[str]) -> list[str]:
    """Return the expected columns that a header lacks."""
    return [column for column in COLUMNS if column not in header]
