"""The detector interface: pages in, boxes with scores out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from egara.io.errors import EgaraError


class PageFailed(EgaraError):
    """Detection failed on this page only; `pages.unreadable` says whether to skip it."""


@dataclass(frozen=True)
class Page:
    """One page, as detectors take it.

    Attributes
    ----------
    volume, page : its names in `pages/{work}.tsv`.
    image : uint8 (h, w) or (h, w, 3), RGB.
    """

    volume: str
    page: str
    image: np.ndarray

    @property
    def grey(self) -> np.ndarray:
        """The page in greyscale, uint8 (h, w), by ITU-R BT.601 luma."""
        if self.image.ndim == 2:
            return self.image
        import cv2

        return cv2.cvtColor(self.image, cv2.COLOR_RGB2GRAY)


class Detector(Protocol):
    """Finds faces on pages.

    Attributes
    ----------
    default_threshold : minimum score of a box where the settings give none.
    layout_known : whether `describe` is complete; the output layout of a network may only show on a page.
    """

    default_threshold: float = 0.5
    layout_known: bool = True

    def detect(self, pages: Sequence[Page]) -> list[np.ndarray]:
        """Return the boxes of each page, (n_boxes, 5): left, top, right, bottom in pixels, score in [0, 1]; best first.

        A box may extend beyond its page. Raises `PageFailed` where detection fails on one page only.
        """

    def describe(self) -> str:
        """Describe the detector in one line: layout, classes, input size, threshold."""
