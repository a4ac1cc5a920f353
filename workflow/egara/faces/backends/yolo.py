"""YOLO-style networks of the user's as ONNX files: letterboxed RGB in, boxes with class scores out."""

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.errors import EgaraError
from egara.faces.backends.graphs import open_graph, run_graph
from egara.faces.boxes import best_first, clip, suppress

if TYPE_CHECKING:
    from egara.faces.protocol import Page

SIDE = 640  # input side of a network that leaves it open: the side that these networks are trained at
GREY = 114  # what the sides of a letterboxed page are filled with in training these networks
LIMIT = 0.5


class YoloDetector:
    """A network whose output is (1, 4 + classes, n), or (1, n, 5 + classes) with an objectness before the classes.

    Boxes are middle x, middle y, width, height in pixels of the input. Where the file names its classes and one is
    called `face`, only that one counts; else every class does.
    """

    def __init__(self, path: str | Path, threshold: float = 0.5, threads: int = 1) -> None:
        self.path, self.threshold = path, threshold
        self._session = open_graph(path, threads, "detector onnx")
        inputs = self._session.get_inputs()
        shape = inputs[0].shape
        if len(inputs) != 1 or len(shape) != 4 or shape[1] not in (3, "3") and isinstance(shape[1], int):
            raise EgaraError(f"detector onnx: {path} takes {shape}; expected one input (1, 3, height, width)")
        self._name = inputs[0].name
        self._half = "float16" in inputs[0].type
        self._height, self._width = (side if isinstance(side, int) and side > 0 else SIDE for side in shape[2:])
        try:
            names = self._session.get_modelmeta().custom_metadata_map.get("names", "")
        except UnicodeDecodeError:
            names = ""
        self._classes = _face_classes(names)

    def detect(self, pages: Sequence["Page"]) -> list[np.ndarray]:
        """Return boxes of faces, see `egara.faces.detectors.Detector`."""
        return [self._detect(page.image) for page in pages]

    def _detect(self, image: np.ndarray) -> np.ndarray:
        canvas, scale, left, top = letterbox(image, self._height, self._width)
        canvas = canvas.astype(np.float16 if self._half else np.float32)
        answer = run_graph(self._session, {self._name: canvas}, f"detector onnx: {self.path}")[0]
        if getattr(answer, "ndim", 0) != 3 or len(answer) != 1 or answer.dtype.kind not in "fiu":
            raise EgaraError(
                f"detector onnx: {self.path} answers {getattr(answer, 'shape', 'no numbers')};"
                " expected (1, 4 + classes, n) or (1, n, 5 + classes)"
            )
        boxes = read_answer(answer[0].astype(np.float64), self.threshold, self._classes)
        boxes[:, :4] = (boxes[:, :4] - [left, top, left, top]) / scale
        return clip(suppress(boxes, LIMIT), image.shape[1], image.shape[0])


def letterbox(image: np.ndarray, height: int, width: int) -> tuple[np.ndarray, float, int, int]:
    """Fit a page, uint8 (h, w) or (h, w, 3), into (1, 3, height, width) in [0, 1]; also scale, left and top."""
    import cv2

    if image.ndim == 2:
        image = np.dstack([image] * 3)
    scale = min(height / image.shape[0], width / image.shape[1])
    down, across = (max(1, round(side * scale)) for side in image.shape[:2])
    small = cv2.resize(image, (across, down), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    top, left = (height - down) // 2, (width - across) // 2
    canvas = np.full((height, width, 3), GREY, np.uint8)
    canvas[top : top + down, left : left + across] = small
    return canvas.transpose(2, 0, 1)[None] / np.float32(255), scale, left, top


def read_answer(answer: np.ndarray, threshold: float, classes: list[int] | None = None) -> np.ndarray:
    """Turn one page's answer, (4 + classes, n) or (n, 5 + classes), into boxes in pixels of the input, best first."""
    objectness = answer.shape[0] >= answer.shape[1]
    rows = answer if objectness else answer.T
    scores = rows[:, 5:] * rows[:, 4:5] if objectness else rows[:, 4:]
    if objectness and not scores.shape[1]:
        scores = rows[:, 4:5]
    if rows.shape[1] < 5 or classes and max(classes) >= scores.shape[1]:
        raise EgaraError(
            f"detector onnx: an answer of {' x '.join(map(str, answer.shape))} for {len(classes or [])} named classes;"
            " expected 4 + classes, or 5 + classes, numbers a box"
        )
    if classes:
        scores = scores[:, classes]
    score = scores.max(axis=1)
    kept = (score >= threshold) & np.isfinite(rows[:, :4]).all(axis=1)
    rows, score = rows[kept], score[kept]
    middle, half = rows[:, :2], rows[:, 2:4] / 2
    return best_first(np.column_stack([middle - half, middle + half, score]))


def _face_classes(names: str) -> list[int] | None:
    """Read the class names that exporters put into a file, `{0: 'face'}`, and return those that are faces."""
    try:
        listed = dict(ast.literal_eval(names))
        faces = [int(number) for number, name in listed.items() if str(name).lower() == "face"]
    except (ValueError, SyntaxError, TypeError, ArithmeticError, RecursionError, MemoryError):
        return None
    return [number for number in faces if number >= 0] or None
