"""The package animeface, called without its Pillow wrapper, which finds no faces with Pillow 12 and later.

Its C extension reads the memory of Pillow's image structure. An older Pillow would need a conda environment of its own,
so the extension is given a ctypes structure of the layout that it expects. With a wrong layout it would read stray
memory and could crash; so it runs in a separate process, which must first find
a drawn face.
"""

import ctypes
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.faces.boxes import best_first, empty
from egara.faces.protocol import Detector
from egara.faces.registry import DEFAULTS, DetectorSettings, detector
from egara.io.errors import EgaraError

if TYPE_CHECKING:
    from egara.faces.protocol import Page

PLACE = "detector animeface"
# The library's folder is an argument: it may have a colon in its name, which PYTHONPATH cannot hold.
WORKER = "import sys; sys.path.insert(0, sys.argv[1]); from egara.faces.backends.anime import serve; serve()"


@detector("animeface", description="the Python package animeface")
class AnimefaceDetector(Detector):
    """animeface, one page at a time (about 4 s per page); the score is its likelihood."""

    def __init__(self, path: str | Path = "", settings: DetectorSettings = DEFAULTS) -> None:
        self.threshold = settings.threshold_or(self.default_threshold)
        self._worker = subprocess.Popen(
            [sys.executable, "-P", "-c", WORKER, str(Path(__file__).resolve().parents[3])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        image, box = known_face()
        middle = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]
        faces = self._ask(image)
        if not any((face[:2] < middle).all() and (face[2:4] > middle).all() for face in faces):
            self.close()
            raise EgaraError(f"{PLACE}: its self-test found {len(faces)} faces; expected the drawn one")

    def detect(self, pages: Sequence["Page"]) -> list[np.ndarray]:
        """See `egara.faces.protocol.Detector`."""
        found = (self._ask(page.grey) for page in pages)
        return [best_first(boxes[boxes[:, 4] >= self.threshold]) for boxes in found]

    def describe(self) -> str:
        """See `egara.faces.protocol.Detector`."""
        return f"animeface, pages at full size; threshold {self.threshold:g}"

    def close(self) -> None:
        """End the process; `detect` is an error from then on."""
        self._worker.stdin.close()
        self._worker.stdout.close()
        self._worker.wait()

    def __del__(self) -> None:
        """End the process with the detector."""
        if hasattr(self, "_worker") and not self._worker.stdin.closed:
            self._worker.kill()
            self.close()

    def _ask(self, grey: np.ndarray) -> np.ndarray:
        try:
            self._worker.stdin.write("{} {}\n".format(*grey.shape).encode() + grey.tobytes())
            self._worker.stdin.flush()
            answer = self._worker.stdout.readline()
        except (BrokenPipeError, ValueError):
            answer = b""
        if not answer:
            raise EgaraError(f"{PLACE}: its process ended ({self._worker.wait()}); expected the package animeface 2.0")
        answer = json.loads(answer)
        if isinstance(answer, str):
            raise EgaraError(f"{PLACE}: {answer}")
        return np.array(answer, float).reshape(-1, 5)


class PillowImage(ctypes.Structure):
    """The first fields of `ImagingMemoryInstance` (Imaging.h), for an 8-bit greyscale image."""

    _fields_ = [
        ("mode", ctypes.c_char * 7),
        ("type", ctypes.c_int),
        ("depth", ctypes.c_int),
        ("bands", ctypes.c_int),
        ("xsize", ctypes.c_int),
        ("ysize", ctypes.c_int),
        ("palette", ctypes.c_void_p),
        ("image8", ctypes.POINTER(ctypes.c_void_p)),
        ("image32", ctypes.c_void_p),
        ("image", ctypes.c_void_p),
    ]


def as_pillow_image(grey: np.ndarray) -> PillowImage:
    """Return a structure that points at the pixels of `grey`, C-ordered uint8 (h, w), and keeps them alive."""
    height, width = grey.shape
    rows = (ctypes.c_void_p * height)(*(grey.ctypes.data + row * grey.strides[0] for row in range(height)))
    image = PillowImage(mode=b"L", type=0, depth=8, bands=1, xsize=width, ysize=height)
    image.image8 = ctypes.cast(rows, ctypes.POINTER(ctypes.c_void_p))
    image.kept = grey, rows
    return image


def find_faces(grey: np.ndarray) -> np.ndarray:
    """Return animeface's boxes on a greyscale page, (n_boxes, 5); called in the separate process only."""
    from animeface import _nvxs

    faces = _nvxs.detect(as_pillow_image(np.ascontiguousarray(grey)))
    boxes = [
        [x, y, x + width, y + height, face["likelihood"]]
        for face in faces
        for x, y, width, height in [face["face_box"]]
    ]
    return np.array(boxes, float) if boxes else empty()


def known_face() -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """Draw a face of ovals, uint8 (192, 192), that animeface reliably finds; return it and its box."""
    import cv2

    page = np.full((192, 192), 255, np.uint8)

    def oval(
        x: float, y: float, width: float, height: float, grey: int, line: int = -1, span: tuple = (0, 360)
    ) -> None:
        middle, axes = ([round(128 * v) + shift for v in pair] for pair, shift in (((x, y), 32), ((width, height), 0)))
        cv2.ellipse(page, middle, axes, 0, *span, grey, line, cv2.LINE_AA if line > 0 else cv2.LINE_8)

    oval(0.5, 0.48, 0.38, 0.42, 60)  # hair
    oval(0.5, 0.56, 0.24, 0.34, 238)
    oval(0.5, 0.56, 0.24, 0.34, 20, 1)
    oval(0.5, 0.30, 0.24, 0.16, 60)  # fringe
    for x in (0.36, 0.64):
        oval(x, 0.63, 0.07, 0.07, 250)
        oval(x, 0.63, 0.0525, 0.07, 70)
        oval(x, 0.63, 0.0245, 0.035, 10)
        oval(x, 0.62, 0.077, 0.077, 10, 2, (200, 340))
        oval(x, 0.50, 0.09, 0.03, 20, 1, (200, 340))  # brow
    oval(0.5, 0.79, 0.06, 0.02, 40, 1, (0, 180))  # mouth
    cv2.line(page, (96, 119), (95, 120), 90, 1)  # nose
    return page, (65, 60, 127, 147)


def serve() -> None:
    """Read pages from standard input (height, width, newline, pixels) and print one line of JSON for each."""
    pages, answers = sys.stdin.buffer, sys.stdout
    while head := pages.readline():
        height, width = map(int, head.split())
        grey = np.frombuffer(pages.read(height * width), np.uint8).reshape(height, width)
        try:
            answer = find_faces(grey).tolist()
        except ImportError:
            answer = "the package animeface is not installed; expected version 2.0"
        except (NotImplementedError, TypeError, KeyError) as error:
            answer = f"its extension does not work ({error}); expected the package animeface 2.0"
        print(json.dumps(answer), file=answers, flush=True)
