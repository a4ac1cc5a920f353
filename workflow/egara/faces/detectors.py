"""`faces.detector` and its settings → a detector; the command-line arguments that choose one.

`egara.faces.registry` says how a detector is added.
"""

import argparse
from collections.abc import Sequence
from dataclasses import fields

from egara.faces.protocol import Detector
from egara.faces.registry import DETECTORS, Backend, DetectorSettings
from egara.io.errors import EgaraError
from egara.registry import discover
from egara.settings import Faces, Limits
from egara.settings.arguments import add_setting

discover("egara.faces.backends")

# Networks trained on double pages expect the small faces of double pages, and the papers' smallest crop still has 39
# pixels of a page of Manga109 scaled to 640. So tiles `auto` cuts only what would be lost: long strips.
_TILES = {True: "yes", False: "no"}  # values of the configuration


def parse_detector(spec: str) -> tuple[Backend, str]:
    """Split `faces.detector` into the registered detector and its path, "" where it has none.

    Raises
    ------
    EgaraError : an unknown name, a path that is missing or not expected.
    """
    name, _, path = spec.partition(":")
    if name not in DETECTORS or bool(DETECTORS[name].path) != bool(path):
        raise EgaraError(
            f"detector {spec}: unknown; expected one of {', '.join(backend.usage for backend in _backends())}"
        )
    return DETECTORS[name], path


def load_detector(spec: str, settings: DetectorSettings | None = None) -> Detector:
    """Return the detector that `spec`, a value of `faces.detector`, names.

    Raises
    ------
    EgaraError : unknown detector, a file that is missing or of another kind, or a setting of another detector.
    """
    settings = settings or DetectorSettings()
    backend, path = parse_detector(spec)
    for field in fields(settings):
        owners = [other.usage for other in _backends() if field.name in other.settings]
        if owners and field.name not in backend.settings and getattr(settings, field.name) != field.default:
            raise EgaraError(
                f"detector {spec}: faces.{field.name} is for detectors {' and '.join(owners)}; expected its default"
            )
    if settings.tiles == "yes" and not backend.sees_pages:
        raise EgaraError(
            f"detector {spec}: does not look at pages, so it has no tiles; expected faces.tiles: auto or no"
        )
    detector = backend.make(path or backend.weights_file(), settings)
    if settings.tiles == "no" or settings.tiles == "auto" and not backend.tiles_strips:
        return detector
    from egara.faces.tiles import TiledDetector

    return TiledDetector(detector, doubles=settings.tiles == "yes")


def describe_detector(
    spec: str,
    threshold: float | str = "auto",
    side: int | str = "auto",
    layout: str = "auto",
    classes: Sequence[str | int] = (),
    tiles: bool | str = "auto",
) -> str:
    """Describe a detector in one line, before it has seen a page; errors are those of `load_detector`.

    Parameters
    ----------
    spec, threshold, side, layout, classes, tiles : values of the configuration's `faces`.

    Returns
    -------
    Its layout where the file states it, its classes, input size, threshold and tiles.
    """
    settings = DetectorSettings(
        None if threshold == "auto" else float(threshold),
        layout,
        tuple(map(str, classes)),
        None if side == "auto" else int(side),
        _TILES.get(tiles, "auto"),
    )
    return load_detector(spec, settings).describe()


def threshold_files(spec: str) -> list[str]:
    """Return the files that state a detector's own threshold, for a rule's input."""
    backend, path = parse_detector(spec)
    return backend.threshold_files(path)


def detector_pattern() -> str:
    """Return the regular expression of values of `faces.detector`."""
    return f"^({'|'.join(f'{one.name}:.+' if one.path else one.name for one in _backends())})$"


def detector_description() -> str:
    """Return what each value of `faces.detector` means, as one sentence."""
    return f"{'; '.join(f'{one.usage} ({one.description})' for one in _backends())}."


def _backends() -> list[Backend]:
    """Return all detectors by name; they are registered in the order of their imports, which is not always the same."""
    return sorted(DETECTORS.values(), key=lambda backend: backend.name)


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments that choose a detector and its settings to a command."""
    add_setting(arguments, Faces, "detector", help=detector_description().rstrip("."))
    add_setting(arguments, Faces, "threshold")
    add_setting(arguments, Faces, "layout")
    arguments.add_argument(
        "--class", dest="classes", action="append", help="name or number of a class that is a face; may be repeated"
    )
    add_setting(arguments, Faces, "side")
    add_setting(arguments, Faces, "tiles")
    add_setting(arguments, Limits, "annotations")
    arguments.add_argument("--threads", type=int, default=1, help="processor threads")
    arguments.add_argument("--batch", type=int, default=4, help="detector batch size, in pages")


def list_arguments(faces: dict, limits: dict) -> list[str]:
    """Return the configuration's `faces` and `pages.limits` as command-line arguments, `--detector` excepted."""
    arguments = [f"--{key}={faces[key]}" for key in ("threshold", "layout", "side")]
    arguments += [f"--tiles={str(faces['tiles']).lower()}", f"--annotations={limits['annotations']}"]
    return arguments + [f"--class={one}" for one in faces["classes"]]


def read_arguments(options: argparse.Namespace) -> DetectorSettings:
    """Return the settings that a command's arguments give; a value out of range is an `EgaraError`."""
    if min(options.batch, options.threads) < 1:
        raise EgaraError("--batch, --threads; expected at least 1")
    return DetectorSettings(
        None if options.threshold == "auto" else options.threshold,
        options.layout,
        tuple(options.classes or ()),
        None if options.side == "auto" else options.side,
        _TILES.get(options.tiles, "auto"),
        options.annotations,
        options.threads,
    )
