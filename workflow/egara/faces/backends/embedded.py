"""The embedded detector: a small fully convolutional network on greyscale pages at one scale, run by onnxruntime."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.faces.backends.graphs import open_graph, run_graph
from egara.faces.boxes import best_first, empty, suppress
from egara.faces.protocol import Detector
from egara.faces.registry import DEFAULTS, DetectorSettings, detector
from egara.io.errors import EgaraError, counted

if TYPE_CHECKING:
    from egara.faces.protocol import Page

# A page is scaled down while it has at least this many pixels both ways: a double page keeps the scale of its two
# pages, a long strip that of its width. The detector was trained at this scale.
WORKING_WIDTH, WORKING_HEIGHT = 640, 905
STRIDE, MULTIPLE = 8, 32
# Long strips are cut into overlapping pieces; a face of up to `OVERLAP` working pixels is whole in one of them.
PIECE, OVERLAP = 1536, 480
PEAK_WINDOW = 3  # cells; within it only the best cell gives a box
BATCH_PIXELS = 3_000_000  # working pixels in one run of the network, about 100 bytes of memory each
NMS_OVERLAP = 0.4  # intersection over union above which the lower-scored box is dropped


@detector("egara", description="the embedded network", weights="resources/detector/detector.onnx")
class EmbeddedDetector(Detector):
    """The network in the ONNX file `path`; `provenance` is its header: what it was trained on, by whom drawn, how."""

    def __init__(self, path: str | Path, settings: DetectorSettings = DEFAULTS) -> None:
        self._session = open_graph(path, settings.threads, "detector egara")
        header = self._session.get_modelmeta().custom_metadata_map
        if "egara" not in header:
            raise EgaraError(
                f"detector egara: {path} has no provenance; expected a file written by egara.pretraining.detector"
            )
        self.provenance: dict = json.loads(header["egara"])
        self.threshold = settings.threshold_or(self.default_threshold)

    def detect(self, pages: Sequence["Page"]) -> list[np.ndarray]:
        """Return boxes of faces, see `egara.faces.detectors.Detector`; pieces of one size go through together."""
        pieces: dict[tuple[int, int], list[tuple[int, int, np.ndarray]]] = {}
        scales = []
        for number, page in enumerate(pages):
            grey = page.grey
            scales.append(working_scale(*grey.shape))
            for start, piece in cut(shrink(grey, scales[-1])):
                pieces.setdefault(piece.shape, []).append((number, start, piece))
        found: list[list[np.ndarray]] = [[empty()] for _ in pages]
        for (height, width), alike in pieces.items():  # pieces of one size form batches
            count = max(1, BATCH_PIXELS // (height * width))
            for first in range(0, len(alike), count):
                batch = alike[first : first + count]
                pixels = np.stack([piece for _, _, piece in batch])[:, None]
                outputs = run_graph(self._session, {"pages": pixels}, "detector egara")[0]
                for (number, start, _), output in zip(batch, outputs, strict=True):
                    boxes = decode(output, self.threshold)
                    boxes[:, 1:4:2] += start
                    found[number].append(boxes)
        return [
            suppress(np.concatenate(boxes) / [scale, scale, scale, scale, 1], NMS_OVERLAP)
            for boxes, scale in zip(found, scales, strict=True)
        ]

    def describe(self) -> str:
        """See `egara.faces.protocol.Detector`."""
        return (
            f"egara, trained on {counted(len(self.provenance['styles']), 'style')} of drawing; pages at "
            f"{WORKING_WIDTH} x {WORKING_HEIGHT} pixels; threshold {self.threshold:g}"
        )


def working_scale(height: int, width: int) -> float:
    """Return the factor to the working scale; small pages are not enlarged."""
    return min(1.0, max(WORKING_WIDTH / width, WORKING_HEIGHT / height))


def shrink(grey: np.ndarray, scale: float) -> np.ndarray:
    """Scale a greyscale page, uint8 (h, w), to float32 in [0, 1]."""
    import cv2

    height, width = (max(1, round(side * scale)) for side in grey.shape)
    small = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / 255


def cut(page: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Cut a page into pieces that overlap by `OVERLAP` rows; return the first row and the padded pixels of each."""
    starts = range(0, max(1, len(page) - OVERLAP), PIECE - OVERLAP)
    return [(start, pad(page[start : start + PIECE])) for start in starts]


def pad(page: np.ndarray) -> np.ndarray:
    """Pad a page with white on the right and at the bottom, to multiples of 32."""
    down, across = (-side % MULTIPLE for side in page.shape)
    return np.pad(page, ((0, down), (0, across)), constant_values=1.0)


def decode(output: np.ndarray, threshold: float) -> np.ndarray:
    """Turn the network's output of shape (5, n_rows, n_columns) into boxes in pixels of its input, best first.

    A cell gives a box where its probability reaches the threshold and is the maximum of its 3 x 3 neighbourhood.
    """
    import cv2

    probability = output[0]
    peaks = cv2.dilate(probability, np.ones((PEAK_WINDOW, PEAK_WINDOW), np.uint8), borderType=cv2.BORDER_REPLICATE)
    rows, columns = np.nonzero((probability >= threshold) & (probability >= peaks))
    x, y = (columns + 0.5) * STRIDE, (rows + 0.5) * STRIDE
    # Clipped so that a diverged network cannot overflow; no face is e^6 strides wide.
    left, top, right, bottom = np.exp(output[1:, rows, columns].astype(np.float64).clip(-6, 6)) * STRIDE
    boxes = np.stack([x - left, y - top, x + right, y + bottom, probability[rows, columns]], axis=1)
    return best_first(boxes)
