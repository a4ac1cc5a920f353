"""Detectors behind one small protocol: a batch of pages in, boxes with scores out.

What a detector is called on the command line:

    egara                 our small network (resources/detector/detector.onnx)
    animeface             the package animeface, called through ctypes
    onnx:<file>           a YOLO-style network of the user's
    cascade:<file>        an OpenCV cascade of the user's
    annotations:<path>    true boxes: Manga109 XML (a file or a folder) or a table
    whole                 every picture is one face
"""

from collections.abc import Callable
from pathlib import Path

from egara.errors import EgaraError
from egara.faces.protocol import Detector

WEIGHTS = Path(__file__).resolve().parents[3] / "resources" / "detector" / "detector.onnx"
KINDS = ("egara", "animeface", "onnx:<file>", "cascade:<file>", "annotations:<file or folder>", "whole")


def load_detector(spec: str, threshold: float = 0.5, threads: int = 1) -> Detector:
    """Return the detector that `spec` names, see the module's list.

    Parameters
    ----------
    spec : kind, or kind and path with a colon between.
    threshold : boxes that score less are left out; `annotations` and `whole` score 1.
    threads : processor threads that a network may use.

    Raises
    ------
    EgaraError : unknown kind, or a file that is missing or is not what the kind expects.
    """
    kind, _, path = spec.partition(":")
    maker = _MAKERS.get(kind)
    if maker is None or (kind in _WITH_PATH) != bool(path):
        raise EgaraError(f"detector {spec}: unknown; expected one of {', '.join(KINDS)}")
    return maker(path, threshold, threads)


def _egara(_: str, threshold: float, threads: int) -> Detector:
    from egara.faces.backends.own import OwnDetector

    return OwnDetector(WEIGHTS, threshold, threads)


def _animeface(_: str, threshold: float, threads: int) -> Detector:
    from egara.faces.backends.anime import AnimefaceDetector

    return AnimefaceDetector(threshold)


def _onnx(path: str, threshold: float, threads: int) -> Detector:
    from egara.faces.backends.yolo import YoloDetector

    return YoloDetector(path, threshold, threads)


def _cascade(path: str, threshold: float, threads: int) -> Detector:
    from egara.faces.backends.cascade import CascadeDetector

    return CascadeDetector(path, threshold)


def _annotations(path: str, threshold: float, threads: int) -> Detector:
    from egara.faces.backends.annotations import AnnotationDetector

    return AnnotationDetector(path)


def _whole(_: str, threshold: float, threads: int) -> Detector:
    from egara.faces.backends.whole import WholeDetector

    return WholeDetector()


_WITH_PATH = ("onnx", "cascade", "annotations")
_MAKERS: dict[str, Callable[[str, float, int], Detector]] = {
    "egara": _egara,
    "animeface": _animeface,
    "onnx": _onnx,
    "cascade": _cascade,
    "annotations": _annotations,
    "whole": _whole,
}
