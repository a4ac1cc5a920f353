"""Volumes → pages: list every page that can be read, and open it again from its row."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from egara.corpus.images import PIXELS, decode
from egara.corpus.limits import MEBIBYTE, MEMBER_MEBIBYTES, MEMBERS, RATIO, Limits, Unreadable
from egara.corpus.manga109 import check_book
from egara.corpus.metadata import cross_check
from egara.corpus.sources import open_volume
from egara.errors import EgaraError
from egara.files import read_tsv

if TYPE_CHECKING:
    import pandas as pd
    from PIL import Image

COLUMNS = ["author", "work", "volume", "page", "width", "height", "sha256", "source", "member"]
SKIPPED_COLUMNS = ["source", "member", "reason"]


@dataclass
class Volume:
    """The pages of one volume in reading order, what was skipped, and what its owner should look at."""

    name: str
    pages: list[dict[str, str | int]] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def list_volume(
    path: Path,
    name: str,
    author: str,
    work: str,
    *,
    unreadable: str = "skip",
    limits: Limits | None = None,
    dpi: float = 150,
) -> Volume:
    """Decode every page of a volume, one at a time, and list it.

    Parameters
    ----------
    path : folder, archive, document or image.
    name, author, work : what the rows say.
    unreadable : `skip` lists an image that cannot be read among `skipped`; `error` raises.
    limits : bounds on members and pages.
    dpi : resolution at which a PDF is rendered.

    Returns
    -------
    Volume whose `pages` have the keys `COLUMNS` and whose `skipped` have the keys `SKIPPED_COLUMNS`.

    Raises
    ------
    EgaraError : the volume cannot be read, breaks a limit, or has no page left.
    """
    limits = limits or Limits()
    volume = Volume(name)
    with open_volume(path, limits, dpi) as source:
        volume.warnings += cross_check(source.documents, author, work, path)
        for member, data in source.blobs(source.members):
            page = source.page_name(member)
            try:
                if isinstance(data, Unreadable):
                    raise data
                width, height = decode(data, f"{path}: {page}", limits).size
            except Unreadable as error:
                if unreadable == "error":
                    raise EgaraError(f"{path}: {page}: {error}; expected an image that can be read") from error
                volume.skipped.append({"source": str(path), "member": member, "reason": str(error)})
                continue
            digest = hashlib.sha256(data).hexdigest()
            row = (author, work, name, page, width, height, digest, str(path), member)
            volume.pages.append(dict(zip(COLUMNS, row, strict=True)))
    if not volume.pages:
        first = volume.skipped[0]
        raise EgaraError(
            f"{path}: no page left, none of {len(volume.skipped)} images can be read"
            f" ({first['member'] or path.name}: {first['reason']}); expected at least one"
        )
    if path.is_dir():
        volume.warnings += check_book(path, {row["page"]: (row["width"], row["height"]) for row in volume.pages})
    return volume


def check_distinct(volumes: Iterable[Volume]) -> None:
    """Raise `EgaraError` where two volumes hold the same pages: one volume under two names would count twice."""
    seen: dict[tuple, Volume] = {}
    for volume in volumes:
        pages = tuple(row["sha256"] for row in volume.pages)
        if (other := seen.setdefault(pages, volume)) is not volume:
            raise EgaraError(
                f"{volume.pages[0]['source']}: same pages as {other.pages[0]['source']}; expected each volume once"
            )


def read_pages(path: str | Path) -> "pd.DataFrame":
    """Read a table of pages (`COLUMNS`); all but width and height is text.

    Raises
    ------
    EgaraError : no such table, or a page's width or height is no whole number of pixels.
    """
    table = read_tsv(path, COLUMNS, text=[column for column in COLUMNS if column not in ("width", "height")])
    for side in ("width", "height"):
        if len(table) and not (table[side].dtype.kind in "iu" and (table[side] > 0).all()):
            raise EgaraError(f"{path}: a {side} is no whole number of pixels; expected 1 or more in every row")
    return table


def iterate_pages(table: "pd.DataFrame") -> Iterator[tuple[dict[str, str | int], "Image.Image"]]:
    """Yield each row of a table of pages with its image, in the table's order.

    A volume is opened once for all its rows that follow each other, and one page is in memory at a time.

    Returns
    -------
    Pairs of the row (column → value) and the upright page, completely decoded, in mode L or RGB.

    Raises
    ------
    EgaraError : a volume is gone, or a page is no longer the one that was listed.
    """
    for rows in _runs(table.to_dict("records")):
        yield from _open_run(rows)


def open_page(row: "Mapping[str, str | int] | pd.Series") -> "Image.Image":
    """Return the image of one row of a table of pages; see `iterate_pages`, which is faster for many."""
    return next(_open_run([dict(row)]))[1]


def _runs(rows: Iterable[dict]) -> Iterator[list[dict]]:
    """Split rows where the volume changes, or where a page comes again."""
    run: list[dict] = []
    members: set[str] = set()
    for row in rows:
        if run and (row["source"] != run[0]["source"] or row["member"] in members):
            yield run
            run, members = [], set()
        run.append(row)
        members.add(row["member"])
    if run:
        yield run


def _open_run(rows: list[dict]) -> Iterator[tuple[dict, "Image.Image"]]:
    """Yield rows of one volume, each page once, with their images."""
    path = Path(rows[0]["source"])
    sizes = {row["member"]: (int(row["width"]), int(row["height"])) for row in rows}
    # The pages were within their limits when they were listed, and their bytes are compared before they are decoded.
    limits = Limits(pixels=PIXELS, member_bytes=MEMBER_MEBIBYTES * MEBIBYTE, members=MEMBERS, ratio=RATIO)
    with open_volume(path, limits, sizes=sizes) as source:
        blobs = source.blobs([row["member"] for row in rows])
        for row, (_, data) in zip(rows, blobs, strict=True):
            where = f"{path}: page {row['page']}"
            if isinstance(data, Unreadable):
                raise EgaraError(f"{where}: {data}; the volume changed since its pages were listed")
            digest = hashlib.sha256(data).hexdigest()
            if digest != row["sha256"]:
                raise EgaraError(
                    f"{where}: the volume changed since its pages were listed"
                    f" (SHA-256 {digest[:12]}…, expected {row['sha256'][:12]}…)"
                )
            yield row, decode(data, where)
