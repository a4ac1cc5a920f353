"""True boxes instead of a detector: Manga109's annotations, or a table."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.corpus.manga109 import page_index, read_annotations
from egara.errors import EgaraError
from egara.faces.boxes import clip, empty
from egara.files import read_tsv

if TYPE_CHECKING:
    from egara.faces.protocol import Page

SIDES = ("left", "top", "right", "bottom")


class AnnotationDetector:
    """Answers with the boxes that somebody drew.

    `path` is a Manga109 file `<book>.xml`, a folder of such files (`annotations/`), or a table with the columns volume,
    page, left, top, right, bottom. A page without boxes has no faces; a volume that is not annotated is an error.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise EgaraError(f"detector annotations: {path} is missing; expected Manga109 XML, its folder, or a table")
        if self.path.is_dir() or self.path.suffix.lower() == ".xml":
            self._books: dict[str, dict[int, np.ndarray]] = {}
            self._table = None
        else:
            self._table = read_boxes(self.path)
            self._volumes = {volume for volume, _ in self._table}

    def detect(self, pages: Sequence["Page"]) -> list[np.ndarray]:
        """Return the annotated faces of each page with score 1."""
        return [clip(self._find(page), page.image.shape[1], page.image.shape[0]) for page in pages]

    def _find(self, page: "Page") -> np.ndarray:
        if self._table is not None:
            if page.volume not in self._volumes:
                raise EgaraError(f"volume {page.volume}: no boxes in {self.path}; expected its name in column volume")
            return self._table.get((page.volume, page.page), empty())
        index = page_index(page.page)
        if index is None:
            raise EgaraError(
                f"volume {page.volume}: page {page.page} has no index; expected names like Manga109's 007.jpg"
            )
        return self._book(page.volume).get(index, empty())

    def _book(self, volume: str) -> dict[int, np.ndarray]:
        if volume not in self._books:
            file = self.path / f"{volume}.xml" if self.path.is_dir() else self.path
            if file.stem != volume or not file.is_file():
                raise EgaraError(f"volume {volume}: not annotated in {self.path}; expected {volume}.xml")
            self._books[volume] = {}
            for box in read_annotations(file).boxes:
                if box.kind == "face":
                    row = [[box.left, box.top, box.right, box.bottom, 1.0]]
                    faces = self._books[volume].get(box.page, empty())
                    self._books[volume][box.page] = np.concatenate([faces, row])
        return self._books[volume]


def read_boxes(path: str | Path) -> dict[tuple[str, str], np.ndarray]:
    """Read a table of true boxes: volume and page → (n, 5) with score 1.

    Raises
    ------
    EgaraError : the table is missing or lacks a column, or a box has no size.
    """
    table = read_tsv(path, ["volume", "page", *SIDES], text=["volume", "page"])
    boxes = {}
    for names, rows in table.groupby(["volume", "page"], sort=False):
        try:
            sides = rows[list(SIDES)].to_numpy(float)
        except (ValueError, TypeError) as error:
            raise EgaraError(f"{path}: page {names[1]} of {names[0]}: a box is not of numbers ({error})") from error
        if not ((sides[:, 2:] - sides[:, :2]) > 0).all():
            raise EgaraError(
                f"{path}: page {names[1]} of {names[0]}: a box has no size; expected left < right, top < bottom"
            )
        boxes[names] = np.column_stack([sides, np.ones(len(sides))])
    return boxes
