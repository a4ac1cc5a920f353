"""The works table: the one file that a user writes, one row per work."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from egara.io.errors import EgaraError
from egara.io.spreadsheets import read_sheet
from egara.labels import find_similar, normalise_label

COLUMNS = ("author", "work", "volumes")
OPTIONAL = ("series",)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")
LONGEST = 100
# Endings of files next to a work's own: `x.tsv` and `x.skipped.tsv` of a work x, its boxes, sheets and logs.
ENDINGS = ("skipped", "boxes", "detector", "tsv", "png", "log", "safetensors")


@dataclass(frozen=True)
class Work:
    """One work of the corpus; labels are as `egara.labels.normalise_label` leaves them.

    Attributes
    ----------
    author : the artist who drew it, in any script.
    work : short name for files and figures: letters, digits, dot and hyphen.
    volumes : files, folders or globs, in the order given.
    series : works of one story or style share it; empty where the table has none.
    row : its row in the table, the header being 1; 0 where it comes from no table.
    """

    author: str
    work: str
    volumes: tuple[str, ...]
    series: str = ""
    row: int = field(default=0, compare=False)


def read_works(path: str | Path, remarks: list[str] | None = None, mistakes: list[str] | None = None) -> list[Work]:
    """Read a works table: `author`, `work`, `volumes` and, if wanted, `series`; several volumes are separated by `;`.

    Parameters
    ----------
    path : a table as `egara.io.spreadsheets` reads it.
    remarks : if given, takes lines on how the table was read.
    mistakes : if given, takes a line for each row at fault, and the others are returned.

    Raises
    ------
    EgaraError : the file is missing, a column or cell is missing, a name is unfit, or two works share one name.
    """
    sheet = read_sheet(path, COLUMNS, OPTIONAL)
    works, seen = [], {}
    for number, cells in sheet.rows:
        try:
            works.append(_read_row(cells, number, f"{path}, row {number}", seen))
        except EgaraError as error:
            if mistakes is None:
                raise
            mistakes.append(str(error))
    if not works and not mistakes:
        raise EgaraError(f"{path}: no work in the table; expected at least one row below the header")
    if remarks is not None:
        remarks += sheet.remarks
    return works


def _read_row(cells: dict[str, str], number: int, where: str, seen: dict[str, int]) -> Work:
    author, name, series = (
        normalise_label(cells[column], f"{where}, {column}") for column in ("author", "work", "series")
    )
    if empty := [column for column, label in (("author", author), ("work", name)) if not label]:
        raise EgaraError(f"{where}: {empty[0]} holds only invisible characters; expected a name")
    _check_name(name, where)
    if name.lower() in seen:
        raise EgaraError(f"{where}: work {name} is in row {seen[name.lower()]}, too; names must differ")
    seen[name.lower()] = number
    volumes = split_volumes(cells["volumes"])
    if not volumes:
        raise EgaraError(f"{where}: volumes names no path; expected files, folders or globs, separated by ;")
    return Work(author, name, volumes, series, number)


def _check_name(name: str, where: str) -> None:
    if not NAME.fullmatch(name):
        raise EgaraError(f"{where}: work {name!r} is not a valid file name; expected letters, digits, . and -")
    if len(name) > LONGEST:
        raise EgaraError(f"{where}: work {name} has {len(name)} letters; expected at most {LONGEST}")
    if (ending := name.rpartition(".")[2].lower()) in ENDINGS and "." in name:
        raise EgaraError(
            f"{where}: work {name!r} ends as files of the project do; expected a name that does not end in .{ending}"
        )


def split_volumes(cell: str) -> tuple[str, ...]:
    """Split the places of a work at `;`, except where pieces together are a path that exists: `A;B.cbz`."""
    pieces, places = cell.split(";"), []
    while pieces:
        joined = (";".join(pieces[:count]).strip() for count in range(len(pieces), 1, -1))
        place = next((path for path in joined if _exists(path)), pieces[0].strip())
        pieces = pieces[place.count(";") + 1 :]
        if place:
            places.append(place)
    return tuple(places)


def _exists(place: str) -> bool:
    try:
        return bool(place.strip("; ")) and Path(place).exists()
    except (OSError, ValueError):  # too long for a path, or no path at all
        return False


def look_alikes(works: list[Work]) -> list[str]:
    """Return one line for each two authors, works or series that a person may take for one, or have meant as one.

    They count as two. Both spellings and their rows are named; `egara.labels` says what makes labels look alike.
    """
    lines = []
    for kind in ("author", "series", "work"):
        rows: dict[str, list[int]] = {}
        for work in works:
            if label := getattr(work, kind):
                rows.setdefault(label, []).append(work.row)
        for one, other, difference in find_similar(list(rows), reorder=kind != "work"):
            plural = {"author": "two authors", "work": "two works", "series": "two series"}[kind]
            lines.append(
                f"{kind} {one!r} ({_in_rows(rows[one])}) and {other!r} ({_in_rows(rows[other])}) differ only in "
                f"{difference}; they count as {plural}"
            )
    return lines


def series_of(works: list[Work]) -> dict[str, str]:
    """Return the series of each work; a work without one is a series of its own, named as the work.

    Works of two authors are never of one series here, though a name may say so: then the author's follows it.

    Raises
    ------
    EgaraError : a work without a series has the name of another's series, and may be meant as part of it.
    """
    authors: dict[str, set[str]] = {}
    for work in works:
        authors.setdefault(work.series, set()).add(work.author)
    if odd := next((work for work in works if not work.series and work.work in authors), None):
        raise EgaraError(
            f"work {odd.work} (row {odd.row}): no series, but {odd.work} is the series of another work; expected "
            f"{odd.work} as its series, too, or another name"
        )
    return {
        work.work: (f"{work.series} ({work.author})" if len(authors[work.series]) > 1 else work.series)
        if work.series
        else work.work
        for work in works
    }


def _in_rows(rows: list[int]) -> str:
    shown = ", ".join(map(str, rows[:5])) + (", …" if len(rows) > 5 else "")
    return f"row {shown}" if len(rows) == 1 else f"rows {shown}"
