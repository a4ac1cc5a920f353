"""Pages of a work, a batch at a time, with the boxes that a detector finds."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.corpus.pages import iterate_pages, read_pages
from egara.errors import EgaraError
from egara.faces.protocol import Detector, Page
from egara.progress import bar

if TYPE_CHECKING:
    import pandas as pd

# A batch holds its pages decoded: a few spreads of 600 dpi would otherwise fill gigabytes.
BATCH_PIXELS = 60_000_000


def read_work(path: Path, work: str) -> "pd.DataFrame":
    """Read a table of pages and check that they are of `work`."""
    table = read_pages(path)
    if not len(table):
        raise EgaraError(f"work {work}: no pages in {path}; expected at least one")
    if others := sorted(set(table["work"]) - {work}):
        raise EgaraError(f"work {work}: {path} lists pages of {', '.join(others)}; expected pages of one work")
    return table


def detect_pages(table: "pd.DataFrame", detector: Detector, batch: int) -> Iterator[tuple[Page, np.ndarray]]:
    """Yield every page of a table with its boxes, in the table's order; up to `batch` pages are in memory."""
    waiting: list[Page] = []
    with bar(len(table), "page") as watched:
        for row, image in iterate_pages(table):
            waiting.append(Page(str(row["volume"]), str(row["page"]), np.asarray(image)))
            if len(waiting) == batch or sum(page.image.size for page in waiting) > BATCH_PIXELS:
                yield from zip(waiting, detector.detect(waiting), strict=True)
                watched.update(len(waiting))
                waiting = []
        yield from zip(waiting, detector.detect(waiting) if waiting else [], strict=True)
        watched.update(len(waiting))
