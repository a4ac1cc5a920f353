"""Volumes → pages: list every readable page, and open pages again from their rows."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from egara.corpus.images import Frames, decode, decode_first, pages_within
from egara.corpus.limits import MOST, Limits, Unreadable
from egara.corpus.manga109 import check_book
from egara.corpus.metadata import check_metadata
from egara.corpus.sources import open_volume
from egara.io.errors import EgaraError, counted
from egara.io.tables import read_tsv
from egara.settings import Pages
from egara.skipped import LOST
from egara.skipped import skipped as left_out

if TYPE_CHECKING:
    import pandas as pd
    from PIL import Image

COLUMNS = ["author", "work", "volume", "page", "width", "height", "sha256", "source", "member"]
# Precedes the number of a page in a file with several, from the second on: `a.tif#2`.
_FRAME = "#"


@dataclass
class Volume:
    """The pages of one volume in reading order, rows of what was left out, and warnings."""

    name: str
    pages: list[dict[str, str | int]] = field(default_factory=list)
    skipped: list[dict[str, str | int]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class NoPage(EgaraError):
    """A volume without a readable page; the rows `skipped` say why."""

    def __init__(self, message: str, skipped: list[dict[str, str | int]]) -> None:
        super().__init__(message)
        self.skipped = skipped


def list_volume(
    path: Path,
    name: str,
    author: str,
    work: str,
    *,
    unreadable: str = "skip",
    limits: Limits | None = None,
    dpi: float = Pages.dpi,
) -> Volume:
    """Decode every page of a volume, one at a time, and list the pages.

    Parameters
    ----------
    path : folder, archive, document or image.
    name, author, work : values of the rows.
    unreadable : `skip` adds lost pages to `skipped`; `error` raises.
    limits : bounds on members and pages.
    dpi : resolution at which a PDF is rendered.

    Returns
    -------
    Volume whose `pages` have the keys `COLUMNS` and whose `skipped` those of `egara.skipped`.

    Raises
    ------
    EgaraError : the volume cannot be opened; with `error`, also where a part of it is unreadable.
    NoPage : no page is readable.
    """
    limits = limits or Limits()
    volume = Volume(name)
    with open_volume(path, limits, dpi) as source:
        for member, data in source.blobs(source.members):
            page = source.page_name(member)
            try:
                if isinstance(data, Unreadable):
                    raise data
                pages, frames = _pages_of(data, limits)
            except Unreadable as error:
                if unreadable == "error":
                    raise EgaraError(f"{path}: {page}: {error}; expected a readable page") from error
                reason = str(error) if page in (member, path.name) else f"{page}: {error}"
                volume.skipped.append(left_out(path, member, error.cause, reason))
                continue
            for number, (frame, size) in enumerate(pages, start=1):
                mark = f"{_FRAME}{number}" if number > 1 else ""
                if isinstance(size, Unreadable):
                    if unreadable == "error":
                        raise EgaraError(f"{path}: {page}{mark}: {size}; expected a readable page")
                    volume.skipped.append(left_out(path, f"{member}{mark}", size.cause, str(size)))
                    continue
                row = (author, work, name, f"{page}{mark}", *size, _digest(data, frame), str(path), f"{member}{mark}")
                volume.pages.append(dict(zip(COLUMNS, row, strict=True)))
            if frames.others:
                reason = f"{frames.kind} with {frames.others + len(pages)} pictures; the first is used"
                if len(pages) > 1:
                    copies = counted(frames.others, "smaller copy", "smaller copies")
                    reason = f"TIFF with {copies} of its {len(pages)} pages"
                volume.skipped.append(left_out(path, member, "frames", reason, frames.others))
        volume.warnings = [*check_metadata(source.documents, author, work, path), *source.warnings]
        volume.skipped += source.skipped
    if lost := [row for row in volume.skipped if row["cause"] in LOST and unreadable == "error"]:
        where = f"{path}: {lost[0]['member']}" if lost[0]["member"] else f"{path}"
        raise EgaraError(f"{where}: {lost[0]['reason']}; expected an intact volume (pages.unreadable)")
    if not volume.pages:
        lost = [row for row in volume.skipped if row["cause"] in (*LOST, "link")]
        first = (lost or volume.skipped)[0]
        raise NoPage(
            f"{path}: no readable page, {counted(len(lost), 'image')} cannot be read"
            f" ({first['member'] or path.name}: {first['reason']}); expected at least one",
            volume.skipped,
        )
    if path.is_dir():
        volume.warnings += check_book(
            path, {row["page"]: (row["width"], row["height"]) for row in volume.pages}, limits
        )
    return volume


def _pages_of(data: bytes, limits: Limits) -> tuple[list[tuple[int, tuple[int, int] | Unreadable]], Frames]:
    """Decode the pages of one file; return each page's frame and its size, or why it is unreadable."""
    image, frames = decode_first(data, limits)
    pages: list[tuple[int, tuple[int, int] | Unreadable]] = [(0, image.size)]
    for place in frames.pages[1:]:
        try:
            pages.append((place, decode(data, limits, place).size))
        except Unreadable as error:
            pages.append((place, error))
    return pages, frames


def _digest(data: bytes, frame: int) -> str:
    """Return a page's identity: the SHA-256 of its file, and of its frame in a file with several."""
    digest = hashlib.sha256(data)
    if frame:
        digest.update(f"{_FRAME}{frame}".encode())
    return digest.hexdigest()


def remove_duplicates(volumes: Iterable[Volume]) -> list[dict[str, str | int]]:
    """Empty volumes that have the same pages as an earlier one; return one row per removed volume."""
    seen: dict[tuple, str] = {}
    rows = []
    for volume in volumes:
        source = str(volume.pages[0]["source"])
        pages = tuple(row["sha256"] for row in volume.pages)
        if (other := seen.setdefault(pages, source)) != source:
            rows.append(
                left_out(source, "", "duplicate", f"volume with the same pages as {other}; pages are read once")
            )
            volume.pages = []
    return rows


def read_pages(path: str | Path) -> "pd.DataFrame":
    """Read a table of pages (`COLUMNS`); all columns but width and height are text.

    Raises
    ------
    EgaraError : the table is missing, or a width or height is not a whole number of pixels.
    """
    table = read_tsv(path, COLUMNS, text=[column for column in COLUMNS if column not in ("width", "height")])
    for side in ("width", "height"):
        if len(table) and not (table[side].dtype.kind in "iu" and (table[side] > 0).all()):
            raise EgaraError(f"{path}: a {side} is not a whole number of pixels; expected 1 or more in every row")
    return table


def iterate_pages(table: "pd.DataFrame") -> Iterator[tuple[dict[str, str | int], "Image.Image"]]:
    """Yield each row of a table of pages with its image, in the table's order.

    A volume is opened once for consecutive rows, and one page is in memory at a time.

    Returns
    -------
    Pairs of the row (column → value) and the upright page, completely decoded, in mode L or RGB.

    Raises
    ------
    EgaraError : a volume is missing, or a page has changed since it was listed.
    """
    for rows in _runs(table.to_dict("records")):
        yield from _open_run(rows)


def open_page(row: "Mapping[str, str | int] | pd.Series") -> "Image.Image":
    """Return the image of one row of a table of pages; `iterate_pages` is faster for many."""
    return next(_open_run([dict(row)]))[1]


def _file_and_number(row: Mapping) -> tuple[str, int]:
    """Return the member that contains a row's page, and the page's number in it, from 1."""
    member, mark, number = str(row["member"]).rpartition(_FRAME)
    if mark and number.isascii() and number.isdigit() and str(row["page"]).endswith(f"{_FRAME}{number}"):
        return member, int(number)
    return str(row["member"]), 1


def _runs(rows: Iterable[dict]) -> Iterator[list[dict]]:
    """Split rows where the volume changes, or where a file returns after another one."""
    run: list[dict] = []
    members: set[str] = set()
    for row in rows:
        member = _file_and_number(row)[0]
        again = member in members and member != _file_and_number(run[-1])[0]
        if run and (row["source"] != run[0]["source"] or again):
            yield run
            run, members = [], set()
        run.append(row)
        members.add(member)
    if run:
        yield run


def _open_run(rows: list[dict]) -> Iterator[tuple[dict, "Image.Image"]]:
    """Yield rows of one volume with their images; each file is read once."""
    path = Path(rows[0]["source"])
    sizes = {row["member"]: (int(row["width"]), int(row["height"])) for row in rows}
    # Limits were checked when the pages were listed; their SHA-256 is compared before decoding.
    with open_volume(path, Limits(**MOST), sizes=sizes) as source:
        files = {member: list(group) for member, group in groupby(rows, key=lambda row: _file_and_number(row)[0])}
        for member, data in source.blobs(list(files)):
            for row, frame in zip(files[member], _frames(files[member], data), strict=True):
                yield row, _image_of(row, data, frame, path)


def _frames(rows: list[dict], data: bytes | Unreadable) -> list[int | None]:
    """Return the frame of each row's page in its file, None where it does not exist."""
    numbers = [_file_and_number(row)[1] for row in rows]
    try:
        places = pages_within(data, Limits(**MOST)) if max(numbers) > 1 and not isinstance(data, Unreadable) else (0,)
    except Unreadable:
        places = (0,)
    return [places[number - 1] if 0 < number <= len(places) else None for number in numbers]


def _image_of(row: dict, data: bytes | Unreadable, frame: int | None, path: Path) -> "Image.Image":
    """Decode the page of a row after comparing its SHA-256."""
    where = f"{path}: page {row['page']}"
    if isinstance(data, Unreadable):
        raise EgaraError(f"{where}: {data}; the volume changed since its pages were listed")
    if frame is None:
        raise EgaraError(f"{where}: is not in its file; the volume changed since its pages were listed")
    digest = _digest(data, frame)
    if digest != row["sha256"]:
        raise EgaraError(
            f"{where}: the volume changed since its pages were listed"
            f" (SHA-256 {digest[:12]}…, expected {row['sha256'][:12]}…)"
        )
    try:
        return decode(data, None, frame)
    except Unreadable as error:
        raise EgaraError(f"{where}: {error}; expected the page that was listed") from error
