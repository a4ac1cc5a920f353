"""Survey a volume without decoding its pages."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from egara.corpus.archives import Source
from egara.corpus.images import measure
from egara.corpus.limits import Limits, Unreadable, check_pixels
from egara.corpus.pdf import Pdf
from egara.corpus.sources import open_volume
from egara.settings import Pages
from egara.skipped import skipped

MEASURED = 3  # pages per volume


@dataclass(frozen=True)
class Survey:
    """A volume's type, number of pages and some of their sizes.

    Attributes
    ----------
    kind : `CBZ`, `CBT`, `CB7`, `CBR`, `EPUB`, `PDF`, `folder of images` or `image`.
    pages : number of files with pages; one with several pages counts as one.
    sizes : width and height in pixels of some pages, spread over the volume; of the first pages where an archive is
        read sequentially.
    skipped : rows of `egara.skipped`, as far as names and headers show.
    """

    path: Path
    name: str
    kind: str
    pages: int
    sizes: tuple[tuple[int, int], ...] = ()
    skipped: tuple[dict[str, str | int], ...] = field(default=())
    warnings: tuple[str, ...] = ()


def _found(source: Source, members: list[str]) -> Iterator[tuple[str, tuple[int, int] | bytes | Unreadable]]:
    """Yield members with their sizes if these are known without reading, otherwise with their bytes."""
    if not isinstance(source, Pdf):
        yield from source.blobs(members)
        return
    for member in members:
        try:
            yield member, source.page_size(member)
        except Unreadable as error:
            yield member, error


def survey_volume(path: Path, limits: Limits | None = None, dpi: float = Pages.dpi, measured: int = MEASURED) -> Survey:
    """Survey a volume.

    Parameters
    ----------
    path : folder, archive, document or image.
    limits : bounds on members and pages.
    dpi : resolution at which a PDF is rendered.
    measured : maximum number of pages to measure.

    Raises
    ------
    EgaraError : the volume cannot be opened.
    """
    path = Path(path)
    with open_volume(path, limits or Limits(), dpi) as source:
        members = source.members
        sizes, rows = [], []
        chosen = members[:measured] if source.one_way else _spread(members, measured)
        for member, found in _found(source, chosen):
            try:
                if isinstance(found, Unreadable):
                    raise found
                size = found if isinstance(found, tuple) else measure(found)
                check_pixels(*size, source.limits)
                sizes.append(size)
            except Unreadable as error:
                rows.append(skipped(path, member, error.cause, str(error)))
        return Survey(
            path, path.name, source.kind, len(members), tuple(sizes), (*rows, *source.skipped), tuple(source.warnings)
        )


def _spread(members: list[str], count: int) -> list[str]:
    """Return at most `count` members at equal distances, from the first to the last."""
    if len(members) <= count or count < 2:
        return members[:count]
    return [members[round(place * (len(members) - 1) / (count - 1))] for place in range(count)]
