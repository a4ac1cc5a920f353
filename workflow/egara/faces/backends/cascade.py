"""OpenCV cascades of the user's, such as lbpcascade_animeface.xml."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.faces.boxes import best_first
from egara.faces.protocol import Detector, PageFailed
from egara.io.errors import EgaraError

if TYPE_CHECKING:
    from egara.faces.protocol import Page

SMALLEST = 24  # pixels, the window that these cascades are trained at
# A cascade answers in windows, not in probabilities. Five windows that agree are the usual demand: they score 0.5.
USUAL = 5


class CascadeDetector(Detector):
    """A cascade from an XML file; a face's score is windows / (windows + 5)."""

    def __init__(self, path: str | Path, threshold: float = 0.5) -> None:
        import cv2

        if not Path(path).is_file():
            raise EgaraError(f"detector cascade: {path} is missing; expected an OpenCV cascade (XML)")
        if not hasattr(cv2, "CascadeClassifier"):
            raise EgaraError(f"detector cascade: OpenCV {cv2.__version__} has no cascades; expected a version below 5")
        try:
            self._cascade = cv2.CascadeClassifier(str(path))
        except (cv2.error, SystemError) as error:
            raise EgaraError(f"detector cascade: {path} is not an OpenCV cascade (XML)") from error
        if self._cascade.empty():
            raise EgaraError(f"detector cascade: {path} is not an OpenCV cascade (XML)")
        self.path, self.threshold = path, threshold

    def detect(self, pages: Sequence["Page"]) -> list[np.ndarray]:
        """Return boxes of faces, see `egara.faces.detectors.Detector`."""
        return [self._detect(page.grey) for page in pages]

    def describe(self) -> str:
        """Return the detector's line, see `egara.faces.protocol.Detector`."""
        return f"cascade {self.path}, pages at full size, faces from {SMALLEST} pixels; threshold {self.threshold:g}"

    def _detect(self, grey: np.ndarray) -> np.ndarray:
        import cv2

        try:
            corners, windows = self._cascade.detectMultiScale2(
                cv2.equalizeHist(grey), scaleFactor=1.1, minNeighbors=1, minSize=(SMALLEST, SMALLEST)
            )
        except cv2.error as error:
            raise PageFailed(f"detector cascade: {self.path} cannot look at a page ({error.err or error})") from error
        left, top, width, height = np.array(corners, float).reshape(-1, 4).T
        windows = np.array(windows, float).reshape(-1)
        boxes = np.column_stack([left, top, left + width, top + height, windows / (windows + USUAL)])
        return best_first(boxes[boxes[:, 4] >= self.threshold])
