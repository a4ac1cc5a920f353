"""What a detector gets and gives: pages in, boxes with scores out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from egara.io.errors import EgaraError


class PageFailed(EgaraError):
    """A page on which faces cannot be looked for; the pages beside it can, and `pages.unreadable` decides."""


@dataclass(frozen=True)
class Page:
    """One page as detectors see it.

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
        """The picture as greys, uint8 (h, w); colour by ITU-R BT.601 luma."""
        if self.image.ndim == 2:
            return self.image
        import cv2

        return cv2.cvtColor(self.image, cv2.COLOR_RGB2GRAY)


class Detector(Protocol):
    """Finds faces on pages.

    Attributes
    ----------
    usual : threshold that this detector takes where nobody sets one.
    settled : whether `describe` says all; a network of the user's may need a page before its answers can be told.
    """

    usual: float = 0.5
    settled: bool = True

    def detect(self, pages: Sequence[Page]) -> list[np.ndarray]:
        """Return for each page its boxes (n, 5): left, top, right, bottom in pixels, score in [0, 1]; best first.

        A box may reach beyond its page. Raises `PageFailed` where only this page is at fault.
        """

    def describe(self) -> str:
        """Return in one line what is known of the detector: how it is read, what it looks for, its threshold."""
