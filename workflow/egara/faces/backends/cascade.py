"""OpenCV cascades that a user brings, such as lbpcascade_animeface.xml."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.faces.boxes import best_first
from egara.faces.protocol import Detector, PageFailed
from egara.faces.registry import DEFAULTS, DetectorSettings, detector
from egara.io.errors import EgaraError

if TYPE_CHECKING:
    from egara.faces.protocol import Page

SMALLEST_FACE = 24  # pixels, the window that these cascades are trained at
# A cascade counts windows instead of giving probabilities. Five windows are a common minimum: they score 0.5.
COMMON_WINDOWS = 5


@detector("cascade", path="file", description="OpenCV cascade")
class CascadeDetector(Detector):
    """A cascade from an XML file; the score of a face is windows / (windows + 5)."""

    def __init__(self, path: str | Path, settings: DetectorSettings = DEFAULTS) -> None:
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
        self.path, self.threshold = path, settings.threshold_or(self.default_threshold)

    def detect(self, pages: Sequence["Page"]) -> list[np.ndarray]:
        """See `egara.faces.protocol.Detector`."""
        return [self._detect(page.grey) for page in pages]

    def describe(self) -> str:
        """See `egara.faces.protocol.Detector`."""
        return (
            f"cascade {self.path}, pages at full size, faces from {SMALLEST_FACE} pixels; threshold {self.threshold:g}"
        )

    def _detect(self, grey: np.ndarray) -> np.ndarray:
        import cv2

        try:
            corners, windows = self._cascade.detectMultiScale2(
                cv2.equalizeHist(grey), scaleFactor=1.1, minNeighbors=1, minSize=(SMALLEST_FACE, SMALLEST_FACE)
            )
        except cv2.error as error:
            raise PageFailed(f"detector cascade: {self.path} failed on a page ({error.err or error})") from error
        left, top, width, height = np.array(corners, float).reshape(-1, 4).T
        windows = np.array(windows, float).reshape(-1)
        boxes = np.column_stack([left, top, left + width, top + height, windows / (windows + COMMON_WINDOWS)])
        return best_first(boxes[boxes[:, 4] >= self.threshold])
