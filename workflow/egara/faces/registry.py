"""The registry of face detectors. A detector is one decorated class in one file of `egara.faces.backends`:

    @detector("cascade", path="file", description="OpenCV cascade")
    class CascadeDetector(Detector):
        def __init__(self, path: str | Path, settings: DetectorSettings = DEFAULTS) -> None: ...

Its name is then a value of `faces.detector`, and part of the schema, of `--help` and of messages. A file in
`egara.faces.backends` imports heavy packages within functions, because `egara.faces.detectors` imports all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from egara.corpus.limits import Limits
from egara.faces.protocol import Detector
from egara.registry import Registry
from egara.shipped import CHECKOUT

Made = TypeVar("Made", bound=Callable)


@dataclass(frozen=True)
class DetectorSettings:
    """How a detector looks at pages; the values of the configuration's `faces`.

    Attributes
    ----------
    threshold : minimum score of a box; None for the detector's own.
    layout : output layout of a network, `auto` or a key of `egara.faces.backends.layouts.TESTS`.
    classes : names or numbers of a network's classes that are faces; empty for the classes named face.
    side : input side in pixels of a network that leaves it open; None for what its file states.
    tiles : `yes` cuts double pages and long strips into tiles of a page's shape, `no` nothing, `auto` long strips for
        detectors registered with `tiles_strips`.
    annotations : maximum size of an annotation file in MiB (`pages.limits`).
    threads : processor threads that a network may use.
    """

    threshold: float | None = None
    layout: str = "auto"
    classes: tuple[str, ...] = ()
    side: int | None = None
    tiles: str = "auto"
    annotations: int = Limits.annotations
    threads: int = 1

    def threshold_or(self, default: float) -> float:
        """Return the threshold, or a detector's own where none is set."""
        return default if self.threshold is None else self.threshold


DEFAULTS = DetectorSettings()


@dataclass(frozen=True)
class Backend:
    """One registered detector.

    Attributes
    ----------
    name : its name in `faces.detector`.
    make : returns the detector for a path and settings.
    description : what it is, in a few words.
    path : kind of path that follows its name and a colon ("file"); "" where none does.
    settings : fields of `DetectorSettings` that only this detector takes.
    sees_pages : whether it looks at the pages' pixels; one that does not cannot use tiles.
    tiles_strips : whether `faces.tiles: auto` cuts long strips into tiles.
    weights : embedded file that it reads, relative to the checkout; "" for none.
    threshold_files : returns the files that state the threshold of a detector with this path.
    """

    name: str
    make: Callable[[str | Path, DetectorSettings], Detector]
    description: str
    path: str = ""
    settings: tuple[str, ...] = ()
    sees_pages: bool = True
    tiles_strips: bool = False
    weights: str = ""
    threshold_files: Callable[[str], list[str]] = lambda path: []

    @property
    def usage(self) -> str:
        """How a person writes it: `egara`, `onnx:<file>`."""
        return f"{self.name}:<{self.path}>" if self.path else self.name

    def weights_file(self) -> Path | str:
        """Return the embedded file that it reads, "" for none."""
        return CHECKOUT / self.weights if self.weights else ""


DETECTORS: Registry[Backend] = Registry("detector")  # filled by `egara.faces.detectors`


def detector(name: str, **registration: object) -> Callable[[Made], Made]:
    """Register the decorated class as a detector; `registration` are attributes of `Backend`."""

    def register(make: Made) -> Made:
        DETECTORS.add(name, Backend(name, make, **registration))
        return make

    return register
