"""Pages that a network would see too small, looked at in pieces the shape of a page: double pages and long strips."""

from collections.abc import Sequence

import numpy as np

from egara.faces.boxes import area, best_first, empty, suppress
from egara.faces.protocol import Detector, Page

PAGE = 2**0.5  # height of a page as a multiple of its width
STRIP = 2.5  # a picture this many times longer than wide is a strip
DOUBLE = 1.1  # and one wider than its height by this is a double page
# What neighbours share, in steps from one to the next: a face up to this size lies whole in one of them. A double page
# is also looked at as a whole, a strip is not: of that nothing would be left.
SHARED_OF_DOUBLE, SHARED_OF_STRIP = 0.25, 0.5
LIMIT = 0.5  # overlap above which the lower of two boxes goes
INSIDE = 0.6  # share of a cut box that lies in a whole one, from which it is a part of that face
EDGE = 2  # pixels from a piece's inner edge, up to which a box counts as cut


def pieces(height: int, width: int, doubles: bool) -> list[tuple[int, int, int, int]]:
    """Return the windows that a page is looked at in: left, top, right, bottom.

    Parameters
    ----------
    height, width : of the page.
    doubles : whether double pages are cut; long strips always are.

    Returns
    -------
    The whole page alone, the pieces of a strip, or a double page's halves after its whole.
    """
    whole = (0, 0, width, height)
    strip = max(height, width) > STRIP * min(height, width)
    if not strip and not (doubles and width > DOUBLE * height):
        return [whole]
    across = width > height
    long, page = (width, height / PAGE) if across else (height, width * PAGE)
    count = max(2, round(long / page))
    step = long / count
    length = min(long, round(step * (1 + (SHARED_OF_STRIP if strip else SHARED_OF_DOUBLE))))
    starts = [round((long - length) * number / (count - 1)) for number in range(count)]
    cut = [(start, 0, start + length, height) if across else (0, start, width, start + length) for start in starts]
    return cut if strip else [whole, *cut]


class TiledDetector(Detector):
    """Another detector, asked for each piece of a page; its boxes are put together."""

    def __init__(self, detector: Detector, doubles: bool) -> None:
        self.detector, self.doubles = detector, doubles

    @property
    def usual(self) -> float:
        """The other detector's threshold."""
        return self.detector.usual

    @property
    def settled(self) -> bool:
        """Whether the other detector's line says all."""
        return self.detector.settled

    def describe(self) -> str:
        """Return the other detector's line and what is cut."""
        return (
            f"{self.detector.describe()}; {'double pages and long strips' if self.doubles else 'long strips'} in tiles"
        )

    def detect(self, pages: Sequence[Page]) -> list[np.ndarray]:
        """Return boxes of faces, see `egara.faces.protocol.Detector`."""
        return [self._detect(page) for page in pages]

    def _detect(self, page: Page) -> np.ndarray:
        height, width = page.image.shape[:2]
        windows = pieces(height, width, self.doubles)
        parts = [
            Page(page.volume, page.page, page.image[top:bottom, left:right]) for left, top, right, bottom in windows
        ]
        if len(parts) == 1:
            return self.detector.detect(parts)[0]
        found = [self.detector.detect([part])[0] for part in parts]
        return merge(found, windows, height, width)


def merge(
    found: Sequence[np.ndarray], windows: Sequence[tuple[int, int, int, int]], height: int, width: int
) -> np.ndarray:
    """Put the boxes of pieces together.

    Parameters
    ----------
    found : for each piece its boxes, (n, 5), in pixels of the piece.
    windows : where the pieces lie on the page.
    height, width : of the page.

    Returns
    -------
    Boxes on the page, (n, 5), best first. A box that ends at a piece's inner edge goes where a whole one holds most of
    it; of others that overlap by half the better stays.
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
    kept = suppress(np.concatenate(whole), LIMIT)
    parts = suppress(np.concatenate(cut), LIMIT)
    low = np.maximum(parts[:, None, :2], kept[None, :, :2])
    high = np.minimum(parts[:, None, 2:4], kept[None, :, 2:4])
    shared = (high - low).clip(0).prod(axis=2).max(axis=1, initial=0)
    return best_first(np.concatenate([kept, parts[shared < INSIDE * area(parts).clip(1e-9)]]))
