"""Tiles: double pages and long strips are cut into tiles of a page's shape, where faces keep their usual size."""

from collections.abc import Sequence

import numpy as np

from egara.faces.boxes import area, best_first, empty, suppress
from egara.faces.protocol import Detector, Page

PAGE_RATIO = 2**0.5  # height / width of a page
STRIP_RATIO = 2.5  # longer side / shorter side from which an image is a strip
DOUBLE_RATIO = 1.1  # width / height from which an image is a double page
# Overlap of neighbouring tiles as a fraction of the step between them; a face up to this size is whole in one of them.
# A double page is also run as a whole. A strip is not, because its faces would vanish.
DOUBLE_OVERLAP, STRIP_OVERLAP = 0.25, 0.5
NMS_OVERLAP = 0.5  # intersection over union above which the lower-scored box is dropped
PART_SHARE = 0.6  # share of a cut box inside a whole one from which both are the same face
EDGE = 2  # pixels; a box that ends this close to a tile's inner edge counts as cut


def cut_tiles(height: int, width: int, doubles: bool) -> list[tuple[int, int, int, int]]:
    """Return the tiles of a page: left, top, right, bottom.

    Parameters
    ----------
    height, width : of the page.
    doubles : whether to cut double pages; long strips always are.

    Returns
    -------
    The whole page; the tiles of a strip; or a whole double page and its halves.
    """
    whole = (0, 0, width, height)
    strip = max(height, width) > STRIP_RATIO * min(height, width)
    if not strip and not (doubles and width > DOUBLE_RATIO * height):
        return [whole]
    across = width > height
    long, page = (width, height / PAGE_RATIO) if across else (height, width * PAGE_RATIO)
    count = max(2, round(long / page))
    step = long / count
    length = min(long, round(step * (1 + (STRIP_OVERLAP if strip else DOUBLE_OVERLAP))))
    starts = [round((long - length) * number / (count - 1)) for number in range(count)]
    cut = [(start, 0, start + length, height) if across else (0, start, width, start + length) for start in starts]
    return cut if strip else [whole, *cut]


class TiledDetector(Detector):
    """Runs another detector on each tile of a page and merges the boxes."""

    def __init__(self, detector: Detector, doubles: bool) -> None:
        self.detector, self.doubles = detector, doubles

    @property
    def default_threshold(self) -> float:
        """That of the other detector."""
        return self.detector.default_threshold

    @property
    def layout_known(self) -> bool:
        """That of the other detector."""
        return self.detector.layout_known

    def describe(self) -> str:
        """Describe the other detector, and what is cut into tiles."""
        return (
            f"{self.detector.describe()}; {'double pages and long strips' if self.doubles else 'long strips'} in tiles"
        )

    def detect(self, pages: Sequence[Page]) -> list[np.ndarray]:
        """See `egara.faces.protocol.Detector`."""
        return [self._detect(page) for page in pages]

    def _detect(self, page: Page) -> np.ndarray:
        height, width = page.image.shape[:2]
        windows = cut_tiles(height, width, self.doubles)
        parts = [
            Page(page.volume, page.page, page.image[top:bottom, left:right]) for left, top, right, bottom in windows
        ]
        if len(parts) == 1:
            return self.detector.detect(parts)[0]
        found = [self.detector.detect([part])[0] for part in parts]
        return merge_tiles(found, windows, height, width)


def merge_tiles(
    found: Sequence[np.ndarray], windows: Sequence[tuple[int, int, int, int]], height: int, width: int
) -> np.ndarray:
    """Merge the boxes of tiles.

    Parameters
    ----------
    found : boxes per tile, each of shape (n_boxes, 5), in pixels of the tile.
    windows : the tiles on the page.
    height, width : of the page.

    Returns
    -------
    Boxes on the page, of shape (n_boxes, 5), best first. A box that ends at a tile's inner edge is dropped where a
    whole one contains most of it; the others go through non-maximum suppression.
    """
    whole, cut = [empty()], [empty()]
    for boxes, (left, top, right, bottom) in zip(found, windows, strict=True):
        boxes = boxes + [left, top, left, top, 0]
        inner = (
            (boxes[:, 0] <= left + EDGE) & (left > 0)
            | (boxes[:, 1] <= top + EDGE) & (top > 0)
            | (boxes[:, 2] >= right - EDGE) & (right < width)
            | (boxes[:, 3] >= bottom - EDGE) & (bottom < height)
        )
        whole.append(boxes[~inner])
        cut.append(boxes[inner])
    kept = suppress(np.concatenate(whole), NMS_OVERLAP)
    parts = suppress(np.concatenate(cut), NMS_OVERLAP)
    low = np.maximum(parts[:, None, :2], kept[None, :, :2])
    high = np.minimum(parts[:, None, 2:4], kept[None, :, 2:4])
    shared = (high - low).clip(0).prod(axis=2).max(axis=1, initial=0)
    return best_first(np.concatenate([kept, parts[shared < PART_SHARE * area(parts).clip(1e-9)]]))
