"""Run a detector on the pages of a work, batch by batch."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.corpus.pages import iterate_pages, read_pages
from egara.faces.boxes import clip
from egara.faces.protocol import Detector, Page, PageFailed
from egara.io.errors import EgaraError
from egara.io.progress import bar, logger
from egara.skipped import skipped

if TYPE_CHECKING:
    import pandas as pd

# The pages of a batch are in memory; a few double pages of 600 dpi would otherwise fill gigabytes.
MAX_BATCH_PIXELS = 60_000_000


def read_work(path: Path, work: str) -> "pd.DataFrame":
    """Read a table of pages and check that all belong to `work`."""
    table = read_pages(path)
    if not len(table):
        raise EgaraError(f"work {work}: no pages in {path}; expected at least one")
    if others := sorted(set(table["work"]) - {work}):
        raise EgaraError(f"work {work}: {path} lists pages of {', '.join(others)}; expected pages of one work")
    return table


def detect_pages(
    table: "pd.DataFrame",
    detector: Detector,
    batch: int,
    left_out: list[dict[str, str | int]] | None = None,
    unreadable: str = "error",
) -> Iterator[tuple[Page, np.ndarray]]:
    """Yield every page of a table with its boxes, in the table's order; up to `batch` pages are in memory.

    Parameters
    ----------
    table : of pages.
    detector : described in the log as soon as its layout is known.
    batch : detector batch size, in pages.
    left_out : gets rows of `egara.skipped` for pages without a face, failed pages and boxes outside their page.
    unreadable : `skip` leaves out a page on which the detector fails; `error` raises.
    """
    left_out = [] if left_out is None else left_out
    waiting: list[Page] = []
    described = False
    with bar(len(table), "page") as watched:
        for number, (row, image) in enumerate(iterate_pages(table), start=1):
            waiting.append(Page(str(row["volume"]), str(row["page"]), np.asarray(image)))
            full = len(waiting) == batch or sum(page.image.size for page in waiting) > MAX_BATCH_PIXELS
            if not full and number < len(table):
                continue
            found = _detect(detector, waiting, left_out, unreadable)
            if not described and (detector.layout_known or number == len(table)):
                logger("faces").info("detector %s", detector.describe())
                described = True
            for page, boxes in found:
                yield page, _clip_to_page(page, boxes, left_out)
            watched.update(len(waiting))
            waiting = []


def _detect(
    detector: Detector, pages: Sequence[Page], left_out: list[dict], unreadable: str
) -> list[tuple[Page, np.ndarray]]:
    """Run the detector on a batch, and page by page where that fails, so that only failing pages are left out."""
    try:
        return list(zip(pages, detector.detect(pages), strict=True))
    except PageFailed:
        if unreadable == "error":
            raise
    found = []
    for page in pages:
        try:
            found.append((page, detector.detect([page])[0]))
        except PageFailed as error:
            left_out.append(skipped(page.volume, page.page, "unseen", str(error)))
    return found


def _clip_to_page(page: Page, boxes: np.ndarray, left_out: list[dict]) -> np.ndarray:
    """Clip boxes to their page and list those that are outside it."""
    height, width = page.image.shape[:2]
    kept = clip(boxes, width, height)
    if lost := len(boxes) - len(kept):
        first = boxes[[not len(clip(box[None], width, height)) for box in boxes]][0, :4]
        reason = f"outside a page of {width} x {height} pixels ({', '.join(f'{side:g}' for side in first)})"
        left_out.append(skipped(page.volume, page.page, "box", reason, lost))
    if not len(kept):
        left_out.append(skipped(page.volume, page.page, "faceless", "no face detected"))
    return kept
