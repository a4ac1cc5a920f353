"""True boxes instead of a detector: Manga109's annotations, or a table."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.corpus.limits import Limits
from egara.corpus.manga109 import Book, annotation_folders, as_number, page_index, read_annotations, scale_to
from egara.faces.boxes import empty
from egara.faces.protocol import Detector, PageFailed
from egara.faces.registry import DEFAULTS, DetectorSettings, detector
from egara.io.errors import EgaraError
from egara.io.tables import read_tsv

if TYPE_CHECKING:
    from egara.faces.protocol import Page

SIDES = ("left", "top", "right", "bottom")
PLACE = "detector annotations"


@detector("annotations", path="file or folder", description="true boxes: Manga109 XML or a table", sees_pages=False)
class AnnotationDetector(Detector):
    """Returns annotated boxes.

    `path` is a Manga109 file `<book>.xml`, a folder of such files (`annotations/` or its parent), or a table with the
    columns volume, page, left, top, right, bottom. A page without boxes has no faces; a volume without annotations is
    an error. Manga109's boxes are scaled to the page where its size differs from the annotated one.
    """

    def __init__(self, path: str | Path, settings: DetectorSettings = DEFAULTS) -> None:
        self.path, self._limits = Path(path), Limits(annotations=settings.annotations)
        if not self.path.exists():
            raise EgaraError(f"{PLACE}: {path} is missing; expected Manga109 XML, its folder, or a table")
        self._books: dict[str, tuple[Book, dict[int, np.ndarray]]] = {}
        self._pages: dict[tuple[str, int], str] = {}  # volume and index → page
        self._scaled: set[str] = set()
        self._table = None
        if self.path.is_dir():
            if next(self.path.glob("*.xml"), None) is None and (inside := annotation_folders(self.path)):
                self.path = inside[0]
        elif self.path.suffix.lower() != ".xml":
            self._table = read_boxes(self.path)
            self._volumes = {volume for volume, _ in self._table}

    def detect(self, pages: Sequence["Page"]) -> list[np.ndarray]:
        """Return the annotated faces of each page with score 1, those outside the page included."""
        return [self._find(page) for page in pages]

    def describe(self) -> str:
        """See `egara.faces.protocol.Detector`."""
        return f"annotations of {self.path}, {'a table of boxes' if self._table is not None else 'boxes of faces'}"

    def _find(self, page: "Page") -> np.ndarray:
        if self._table is not None:
            if page.volume not in self._volumes:
                raise EgaraError(f"volume {page.volume}: no boxes in {self.path}; expected its name in column volume")
            return self._table.get((page.volume, page.page), empty())
        book, faces = self._book(page.volume)
        index = page_index(page.page, Path(page.volume).name)
        where = f"volume {page.volume}: page {page.page}"
        if index is None:
            raise PageFailed(f"{where}: its name has no index, or several; expected names like Manga109's 007.jpg")
        if (other := self._pages.setdefault((page.volume, index), page.page)) != page.page:
            raise PageFailed(f"{where} has the same index as {other}; expected one page with the index {index}")
        if index not in book.sizes:
            raise PageFailed(f"{where} is not annotated in {self.path}; expected a page with the index {index}")
        height, width = page.image.shape[:2]
        scale = scale_to((width, height), book.sizes[index])
        stated = "{} x {}".format(*book.sizes[index])
        if scale is None:
            raise PageFailed(
                f"{where} has {width} x {height} pixels, its annotations {stated}; expected the same aspect ratio"
            )
        if scale != (1, 1) and page.volume not in self._scaled:
            self._scaled.add(page.volume)
            logging.getLogger("egara.faces").info(
                "volume %s: boxes are scaled to pages of another size than annotated (page %s: %d x %d, not %s)",
                page.volume, page.page, width, height, stated,
            )  # fmt: skip
        return faces.get(index, empty()) * [*scale, *scale, 1]

    def _book(self, volume: str) -> tuple[Book, dict[int, np.ndarray]]:
        if volume not in self._books:
            name = Path(volume).name
            file = self.path / f"{name}.xml" if self.path.is_dir() else self.path
            if file.stem != name or not file.is_file():
                raise EgaraError(f"volume {volume}: not annotated in {self.path}; expected {name}.xml")
            book, faces = read_annotations(file, self._limits), {}
            for box in book.boxes:
                if box.kind == "face":
                    faces.setdefault(box.page, []).append([box.left, box.top, box.right, box.bottom, 1.0])
            self._books[volume] = book, {index: np.array(rows) for index, rows in faces.items()}
        return self._books[volume]


def read_boxes(path: str | Path) -> dict[tuple[str, str], np.ndarray]:
    """Read a table of true boxes: volume and page → (n_boxes, 5) with score 1; a side that is not a number is NaN.

    Raises
    ------
    EgaraError : the table or one of its columns is missing.
    """
    table = read_tsv(path, ["volume", "page", *SIDES], text=["volume", "page"])
    for side in SIDES:
        table[side] = [as_number(value) for value in table[side]]
    return {
        names: np.column_stack([rows[list(SIDES)].to_numpy(float), np.ones(len(rows))])
        for names, rows in table.groupby(["volume", "page"], sort=False)
    }
