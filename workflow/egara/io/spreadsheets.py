"""Tables that a person writes, as editors and spreadsheets save them: works, casts.

Read are UTF-8 and UTF-16 with their marks, any line ends, quoted cells, and tabs, commas or semicolons between cells;
which of these it is, the header alone decides. All cells are text: `001` stays `001`, and `#` starts no comment.
"""

import codecs
import csv
import io
import unicodedata
from pathlib import Path
from typing import NamedTuple

from egara.io.errors import EgaraError

DELIMITERS = {"\t": "tab", ",": "comma", ";": "semicolon"}
MARKS = [(codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")]


class Row(NamedTuple):
    """One row below the header: its number as a spreadsheet counts, the header being 1, and its cells by column."""

    number: int
    cells: dict[str, str]


class Sheet(NamedTuple):
    """A table: its rows, and remarks on how it was read, for a person."""

    rows: list[Row]
    remarks: list[str]


def read_sheet(path: str | Path, columns: tuple[str, ...], optional: tuple[str, ...] = ()) -> Sheet:
    """Read a table with a header; rows without any text are left out, blanks around cells too.

    Parameters
    ----------
    path : file to read.
    columns : columns that must be there, with a value in each row.
    optional : columns that may be there; in tables without them they are empty.

    Raises
    ------
    EgaraError : no such file, another encoding, a quote that does not end, or a row that does not fit the header; the
    message names file, row and column.
    """
    path = Path(path)
    text = _decode(path, ", ".join(columns))
    delimiter, header = _read_header(path, text, columns)
    remarks = [] if delimiter == "\t" else [f"{path}: read as separated by {DELIMITERS[delimiter]}s, as its header is"]
    if unused := [name for name in header if name and name not in (*columns, *optional)]:
        remarks.append(f"{path}: not used: column {', '.join(unused)}")
    rows = []
    for number, cells in enumerate(_records(path, text, delimiter), start=1):
        if number == 1 or not any(cells):
            continue
        if extra := [cell for cell in cells[len(header) :] if cell]:
            raise EgaraError(
                f"{path}, row {number}: {extra[0]!r} is beyond the last column; expected {len(header)} cells, in "
                f'quotes ("…") where one holds a {DELIMITERS[delimiter]}'
            )
        named = dict.fromkeys((*columns, *optional), "") | dict(zip(header, cells, strict=False))
        if empty := [column for column in columns if not named[column]]:
            raise EgaraError(f"{path}, row {number}: {', '.join(empty)} is empty; expected a value in each column")
        rows.append(Row(number, {column: named[column] for column in (*columns, *optional)}))
    return Sheet(rows, remarks)


def _decode(path: Path, columns: str) -> str:
    if not path.is_file():
        found = "a folder, no table" if path.is_dir() else "no such table"
        raise EgaraError(f"{path}: {found}; expected columns {columns}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EgaraError(f"{path}: cannot be read ({error.strerror or error}); expected columns {columns}") from error
    encoding = next((name for mark, name in MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        raise EgaraError(
            f"{path}, row {row}: byte 0x{content[error.start]:02x} is no {encoding[:6].upper()}; expected UTF-8 (a "
            "spreadsheet calls it “CSV UTF-8”), or UTF-16 with its mark (“Unicode text”)"
        ) from error
    if "\0" in text:
        row = text[: text.index("\0")].count("\n") + 1
        raise EgaraError(f"{path}, row {row}: holds a zero byte; expected a text, UTF-16 only with its byte order mark")
    return text


def _read_header(path: Path, text: str, columns: tuple[str, ...]) -> tuple[str, list[str]]:
    """Return the delimiter under which the header has most of the wanted columns, and the header under it."""
    line = next(iter(io.StringIO(text, newline="")), "")
    found = {}
    for delimiter in DELIMITERS:
        try:
            cells = next(csv.reader([line], delimiter=delimiter), [])
        except csv.Error:
            cells = []
        found[delimiter] = [_fold(cell) for cell in cells]
    delimiter = max(found, key=lambda name: sum(column in found[name] for column in columns))
    header = found[delimiter]
    while header and not header[-1]:
        header.pop()
    if missing := [column for column in columns if column not in header]:
        shown = ", ".join(header) or "nothing"
        raise EgaraError(
            f"{path}, row 1: found {shown[:200]}; column {', '.join(missing)} is missing; expected tab-separated "
            f"columns {', '.join(columns)}"
        )
    if twice := [name for name in header if name and header.count(name) > 1]:
        raise EgaraError(f"{path}, row 1: column {twice[0]} is there twice; expected each once")
    return delimiter, header


def _fold(heading: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", heading).casefold().split())


def _records(path: Path, text: str, delimiter: str) -> list[list[str]]:
    """Return all records, the header first, cells without blanks around them."""
    records: list[list[str]] = []
    try:
        for cells in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            records.append([cell.strip() for cell in cells])
    except csv.Error as error:
        raise EgaraError(
            f"{path}, row {len(records) + 1}: a cell in quotes does not end before the next {DELIMITERS[delimiter]} or "
            f'the end of the line ({error}); expected quotes in pairs, a quote inside such a cell doubled ("")'
        ) from error
    return records
