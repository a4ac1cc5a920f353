"""The detector for folders of faces: every image is one face."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.faces.protocol import Detector
from egara.faces.registry import DetectorSettings, detector

if TYPE_CHECKING:
    from egara.faces.protocol import Page


@detector("whole", description="every image is one face", sees_pages=False)
class WholeDetector(Detector):
    """Returns one box per page that covers it."""

    def __init__(self, path: str | Path = "", settings: DetectorSettings | None = None) -> None:
        """Take no path and no settings."""

    def detect(self, pages: Sequence["Page"]) -> list[np.ndarray]:
        """Return one box of score 1 per page."""
        return [np.array([[0.0, 0.0, page.image.shape[1], page.image.shape[0], 1.0]]) for page in pages]

    def describe(self) -> str:
        """See `egara.faces.protocol.Detector`."""
        return "whole, every image is one face"
