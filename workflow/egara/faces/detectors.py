"""Detectors behind one small protocol: a batch of pages in, boxes with scores out.

What a detector is called on the command line:

    egara                 our small network (resources/detector/detector.onnx)
    animeface             the package animeface, called through ctypes
    onnx:<file>           a network of the user's: YOLO of any version, YOLOX, RT-DETR
    cascade:<file>        an OpenCV cascade of the user's
    annotations:<path>    true boxes: Manga109 XML (a file or a folder) or a table
    whole                 every picture is one face
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from egara.corpus.limits import Limits
from egara.faces.protocol import Detector
from egara.io.errors import EgaraError
from egara.settings import Faces
from egara.settings import Limits as PageLimits
from egara.settings.arguments import add_setting
from egara.shipped import CHECKOUT

WEIGHTS = CHECKOUT / "resources" / "detector" / "detector.onnx"
KINDS = ("egara", "animeface", "onnx:<file>", "cascade:<file>", "annotations:<file or folder>", "whole")
# A network trained on double pages knows faces of their size, and the papers' least crop is 39 pixels wide in 640 of a
# page of Manga109: so tiles `auto` cuts only what would be lost, and only for networks that see a page at one size.
_TILES = {True: "yes", False: "no"}  # what the configuration calls them
_WITH_PATH = ("onnx", "cascade", "annotations")


@dataclass(frozen=True)
class Looking:
    """How pages are looked at; the values of the configuration's `faces`.

    Attributes
    ----------
    threshold : least score of a box; None for the detector's own. `annotations` and `whole` score 1.
    layout, classes, side : of networks of the user's, see `egara.faces.backends.onnx_file.Settings`.
    tiles : `yes` cuts double pages and long strips into pieces the shape of a page, `no` nothing, `auto` long strips
        for networks of the user's.
    annotations : most MiB of an annotation file (`pages.limits`).
    """

    threshold: float | None = None
    layout: str = "auto"
    classes: tuple[str, ...] = ()
    side: int | None = None
    tiles: str = "auto"
    annotations: int = Limits.annotations


def load_detector(
    spec: str, threshold: float | None = None, threads: int = 1, looking: Looking | None = None
) -> Detector:
    """Return the detector that `spec` names, see the module's list.

    Parameters
    ----------
    spec : kind, or kind and path with a colon between.
    threshold : boxes that score less are left out; None for what `looking` says, and else for the detector's own.
    threads : processor threads that a network may use.
    looking : how pages are looked at.

    Raises
    ------
    EgaraError : unknown kind, a file that is missing or is not what the kind expects, or a setting of another kind.
    """
    looking = looking or Looking()
    threshold = looking.threshold if threshold is None else threshold
    kind, _, path = spec.partition(":")
    if kind not in _MAKERS or (kind in _WITH_PATH) != bool(path):
        raise EgaraError(f"detector {spec}: unknown; expected one of {', '.join(KINDS)}")
    if kind != "onnx" and (looking.layout != "auto" or looking.classes or looking.side):
        key = "layout" if looking.layout != "auto" else "classes" if looking.classes else "side"
        raise EgaraError(f"detector {spec}: faces.{key} is for detectors onnx:<file>; expected its default")
    if kind in ("annotations", "whole") and looking.tiles == "yes":
        raise EgaraError(f"detector {spec}: looks at no page, so it has no tiles; expected faces.tiles: auto or no")
    detector = _MAKERS[kind](path, threshold, threads, looking)
    if looking.tiles == "no" or looking.tiles == "auto" and kind != "onnx":
        return detector
    from egara.faces.tiles import TiledDetector

    return TiledDetector(detector, doubles=looking.tiles == "yes")


def describe_detector(
    spec: str,
    threshold: float | str = "auto",
    side: int | str = "auto",
    layout: str = "auto",
    classes: Sequence[str | int] = (),
    tiles: bool | str = "auto",
) -> str:
    """Return in one line what is known of a detector before it has seen a page; errors are `load_detector`'s.

    Parameters
    ----------
    spec : kind, or kind and path with a colon between.
    threshold, side, layout, classes, tiles : as the configuration's `faces` has them.

    Returns
    -------
    Its layout where the file states it, its classes, the size of its input, its threshold and its tiles.
    """
    looking = Looking(
        None if threshold == "auto" else float(threshold),
        layout,
        tuple(map(str, classes)),
        None if side == "auto" else int(side),
        _TILES.get(tiles, "auto"),
    )
    return load_detector(spec, looking=looking).describe()


def threshold_files(spec: str) -> list[str]:
    """Return the files that state a detector's own threshold, for a rule's input."""
    kind, _, path = spec.partition(":")
    if kind != "onnx":
        return []
    from egara.faces.backends.onnx_file import threshold_files as beside

    return beside(path)


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add what chooses a detector and how it looks at pages to a command's arguments."""
    add_setting(arguments, Faces, "detector", help=f"one of {', '.join(KINDS)}")
    add_setting(arguments, Faces, "threshold")
    add_setting(arguments, Faces, "layout")
    arguments.add_argument(
        "--class", dest="classes", action="append", help="name or number of a class that is a face; may be repeated"
    )
    add_setting(arguments, Faces, "side")
    add_setting(arguments, Faces, "tiles")
    add_setting(arguments, PageLimits, "annotations")
    arguments.add_argument("--threads", type=int, default=1, help="processor threads")
    arguments.add_argument("--batch", type=int, default=4, help="pages that are looked at together")


def list_arguments(settings: dict, limits: dict) -> list[str]:
    """Return the configuration's `faces` and `pages.limits` as arguments of a command, but for the detector's name."""
    arguments = [f"--{key}={settings[key]}" for key in ("threshold", "layout", "side")]
    arguments += [f"--tiles={str(settings['tiles']).lower()}", f"--annotations={limits['annotations']}"]
    return arguments + [f"--class={one}" for one in settings["classes"]]


def read_arguments(options: argparse.Namespace) -> Looking:
    """Return how pages are looked at by a command's arguments; a value out of range is an `EgaraError`."""
    if min(options.batch, options.threads) < 1:
        raise EgaraError("--batch, --threads; expected at least 1")
    return Looking(
        None if options.threshold == "auto" else options.threshold,
        options.layout,
        tuple(options.classes or ()),
        None if options.side == "auto" else options.side,
        _TILES.get(options.tiles, "auto"),
        options.annotations,
    )


def _egara(_: str, threshold: float | None, threads: int, looking: Looking) -> Detector:
    from egara.faces.backends.own import OwnDetector

    return OwnDetector(WEIGHTS, OwnDetector.usual if threshold is None else threshold, threads)


def _animeface(_: str, threshold: float | None, threads: int, looking: Looking) -> Detector:
    from egara.faces.backends.anime import AnimefaceDetector

    return AnimefaceDetector(AnimefaceDetector.usual if threshold is None else threshold)


def _onnx(path: str, threshold: float | None, threads: int, looking: Looking) -> Detector:
    from egara.faces.backends.onnx_file import OnnxDetector, Settings

    return OnnxDetector(path, threshold, threads, Settings(looking.layout, looking.classes, looking.side))


def _cascade(path: str, threshold: float | None, threads: int, looking: Looking) -> Detector:
    from egara.faces.backends.cascade import CascadeDetector

    return CascadeDetector(path, CascadeDetector.usual if threshold is None else threshold)


def _annotations(path: str, threshold: float | None, threads: int, looking: Looking) -> Detector:
    from egara.faces.backends.annotations import AnnotationDetector

    return AnnotationDetector(path, Limits(annotations=looking.annotations))


def _whole(_: str, threshold: float | None, threads: int, looking: Looking) -> Detector:
    from egara.faces.backends.whole import WholeDetector

    return WholeDetector()


_MAKERS = {
    "egara": _egara,
    "animeface": _animeface,
    "onnx": _onnx,
    "cascade": _cascade,
    "annotations": _annotations,
    "whole": _whole,
}
