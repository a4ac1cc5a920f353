"""Our small detector: a fully convolutional network on grey pages at one working scale, run by onnxruntime."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.faces.backends.graphs import open_graph, run_graph
from egara.faces.boxes import best_first, empty, suppress
from egara.faces.protocol import Detector
from egara.io.errors import EgaraError, counted

if TYPE_CHECKING:
    from egara.faces.protocol import Page

# A page is looked at with at least this many pixels across and down: a spread keeps the scale of its two pages, and a
# long strip that of its width. The detector was trained at this scale.
WORKING_WIDTH, WORKING_HEIGHT = 640, 905
STRIDE, MULTIPLE = 8, 32
# Long strips are looked at in pieces; a face of up to `SHARED` working pixels lies whole in one of them.
PIECE, SHARED = 1536, 480
PEAK = 3  # cells, the window in which only the best cell speaks
AT_ONCE = 3_000_000  # working pixels in one run of the network, about 100 bytes of memory each
LIMIT = 0.4  # overlap above which the lower of two boxes goes


class OwnDetector(Detector):
    """The network in `weights`; `provenance` is its header: who drew what it was trained on, and how."""

    def __init__(self, weights: str | Path, threshold: float = 0.5, threads: int = 1) -> None:
        self._session = open_graph(weights, threads, "detector egara")
        header = self._session.get_modelmeta().custom_metadata_map
        if "egara" not in header:
            raise EgaraError(
                f"detector egara: {weights} has no provenance; expected egara.pretraining.detector to have made it"
            )
        self.provenance: dict = json.loads(header["egara"])
        self.threshold = threshold

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
        for (height, width), alike in pieces.items():
            count = max(1, AT_ONCE // (height * width))
            for first in range(0, len(alike), count):
                together = alike[first : first + count]
                ink = {"pages": np.stack([ink for _, _, ink in together])[:, None]}
                maps = run_graph(self._session, ink, "detector egara")[0]
                for (number, start, _), answer in zip(together, maps, strict=True):
                    boxes = decode(answer, self.threshold)
                    boxes[:, 1:4:2] += start
                    found[number].append(boxes)
        return [
            suppress(np.concatenate(boxes) / [scale, scale, scale, scale, 1], LIMIT)
            for boxes, scale in zip(found, scales, strict=True)
        ]

    def describe(self) -> str:
        """Return the detector's line, see `egara.faces.protocol.Detector`."""
        return (
            f"egara, trained on {counted(len(self.provenance['styles']), 'style')} of drawing; pages at "
            f"{WORKING_WIDTH} x {WORKING_HEIGHT} pixels; threshold {self.threshold:g}"
        )


def working_scale(height: int, width: int) -> float:
    """Return the factor to the working scale; small pictures are not enlarged."""
    return min(1.0, max(WORKING_WIDTH / width, WORKING_HEIGHT / height))


def shrink(grey: np.ndarray, scale: float) -> np.ndarray:
    """Scale a grey page, uint8 (h, w), and return float32 in [0, 1]."""
    import cv2

    height, width = (max(1, round(side * scale)) for side in grey.shape)
    small = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / 255


def cut(page: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Cut a page into pieces that share `SHARED` rows: (first row, piece padded with paper to multiples of 32)."""
    starts = range(0, max(1, len(page) - SHARED), PIECE - SHARED)
    return [(start, pad(page[start : start + PIECE])) for start in starts]


def pad(page: np.ndarray) -> np.ndarray:
    """Pad a page with white paper to the right and below, to multiples of 32."""
    down, across = (-side % MULTIPLE for side in page.shape)
    return np.pad(page, ((0, down), (0, across)), constant_values=1.0)


def decode(answer: np.ndarray, threshold: float) -> np.ndarray:
    """Turn the network's map, (5, rows, columns), into boxes in pixels of its input, best first.

    A cell speaks where its probability reaches the threshold and is the highest of its 3 x 3 neighbours.
    """
    import cv2

    probability = answer[0]
    peaks = cv2.dilate(probability, np.ones((PEAK, PEAK), np.uint8), borderType=cv2.BORDER_REPLICATE)
    rows, columns = np.nonzero((probability >= threshold) & (probability >= peaks))
    x, y = (columns + 0.5) * STRIDE, (rows + 0.5) * STRIDE
    # A side farther than e^6 strides is a network gone astray, not a face: bounded so that it cannot overflow.
    left, top, right, bottom = np.exp(answer[1:, rows, columns].astype(np.float64).clip(-6, 6)) * STRIDE
    boxes = np.stack([x - left, y - top, x + right, y + bottom, probability[rows, columns]], axis=1)
    return best_first(boxes)
