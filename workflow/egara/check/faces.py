"""How many faces each work will have, as far as can be told before detection, and how many its sets need."""

import math
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from egara.check.shelf import Shelf
from egara.check.study import Study
from egara.config import find_file
from egara.corpus import Survey
from egara.corpus.limits import Limits
from egara.corpus.manga109 import Book, annotation_file, read_annotations
from egara.faces.detectors import describe_detector
from egara.io.errors import EgaraError, counted

OPEN = 10**6  # side in pixels of a page of unknown size


@dataclass(frozen=True)
class Faces:
    """Faces of a work.

    Attributes
    ----------
    found : faces, None if unknown.
    kept : those with enough pixels for a crop, None if unknown.
    source : where the numbers come from.
    fault : why the detector cannot process these volumes, "" if it can.
    """

    found: int | None = None
    kept: int | None = None
    source: str = ""
    fault: str = ""


def describe(study: Study) -> str:
    """Return the detector's description; a detector that cannot be used stops the study."""
    faces = study.settings["faces"]
    kind, _, path = faces["detector"].partition(":")
    spec = f"{kind}:{find_file(path)}" if path else kind
    try:
        looking = {key: faces[key] for key in ("threshold", "side", "layout", "classes", "tiles")}
        return describe_detector(spec, **looking)
    except EgaraError as error:
        study.stops.append(str(error))
        return ""


def needed(study: Study) -> int:
    """Return the faces that the sets of a work need: those of one set, or of all disjoint sets of a control."""
    size, controls = study.settings["sets"]["size"], study.settings["controls"]
    return size * (controls["sets"] if "disjoint" in study.controls else 1)


def expect_faces(study: Study, shelves: list[Shelf], pool: Executor) -> dict[str, Faces]:
    """Return the faces of each work, from annotations, an earlier run or, for the detector `whole`, its pages.

    Parameters
    ----------
    pool : processes that read annotations; those of Manga109 take seconds.
    """
    known = {shelf.work: _from_earlier_run(study, shelf) for shelf in shelves}
    asked = [shelf for shelf in shelves if shelf.volumes and known[shelf.work] == Faces()]
    found = pool.map(partial(_of_annotations, study.settings), asked, chunksize=4) if asked else []
    return known | {shelf.work: faces for shelf, faces in zip(asked, found, strict=True)}


def _from_earlier_run(study: Study, shelf: Shelf) -> Faces:
    detector = study.settings["faces"]["detector"]
    earlier = study.results / "faces" / f"{shelf.work}.tsv"
    if detector == "whole":
        return _of_pages(shelf, study.settings["faces"]["min_pixels"])
    if detector.startswith("annotations:") or not earlier.is_file():
        return Faces()
    with earlier.open(encoding="utf-8") as file:
        return Faces(None, max(0, sum(1 for _ in file) - 1), "an earlier run")


def _of_pages(shelf: Shelf, least: int) -> Faces:
    """Return the faces of a work whose pages are its faces; measured pages show how many are large enough."""
    large = [width * height >= least for width, height in shelf.sizes]
    kept = round(shelf.pages * sum(large) / len(large)) if large else None
    return Faces(shelf.pages, kept, "one face per page")


def _of_annotations(settings: dict, shelf: Shelf) -> Faces:
    """Return the annotated faces of a work; unknown if a volume has no annotations."""
    faces, limits = settings["faces"], Limits(annotations=settings["pages"]["limits"]["annotations"])
    kind, _, path = faces["detector"].partition(":")
    found = kept = 0
    for name, volume in zip(shelf.names, shelf.volumes, strict=True):
        try:
            windows = _annotated(kind, find_file(path), name, volume, limits)
        except EgaraError as error:
            return Faces(fault=f"work {shelf.work}: {error}" if kind == "annotations" else "")
        if windows is None:
            return Faces()
        found += len(windows)
        kept += sum(_is_large_enough(window, faces["margin"], faces["min_pixels"]) for window in windows)
    return Faces(found, kept, "annotations")


def _annotated(
    kind: str, path: str, name: str, volume: Survey, limits: Limits
) -> list[tuple[list[float], int, int]] | None:
    """Return box, width and height of the page of every annotated face, in the volume's own pixels."""
    if kind != "annotations":
        file = annotation_file(volume.path)
        return None if file is None else _of_book(read_annotations(file, limits, ("face",)), volume.sizes)
    place = Path(path)
    if place.is_dir() or place.suffix.lower() == ".xml":
        return _of_book(_book(place, name, limits), volume.sizes)
    from egara.faces.backends.annotations import read_boxes

    boxes = [box for (of, _), rows in read_boxes(place).items() if of == name for box in rows]
    return [(list(box[:4]), OPEN, OPEN) for box in boxes]


def _book(place: Path, name: str, limits: Limits) -> Book:
    from egara.faces.backends.annotations import AnnotationDetector

    folder = AnnotationDetector(place).path
    file = folder / f"{Path(name).name}.xml" if folder.is_dir() else folder
    if file.stem != Path(name).name or not file.is_file():
        raise EgaraError(f"volume {name}: not annotated in {folder}; expected {Path(name).name}.xml")
    return read_annotations(file, limits, ("face",))


def _of_book(book: Book, sizes: Sequence[tuple[int, int]]) -> list[tuple[list[float], int, int]]:
    stated = sorted(book.sizes.values())
    scale = sorted(sizes)[len(sizes) // 2][0] / stated[len(stated) // 2][0] if sizes and stated else 1.0
    return [
        (
            [side * scale for side in (box.left, box.top, box.right, box.bottom)],
            *(round(side * scale) for side in book.sizes[box.page]),
        )
        for box in book.boxes
    ]


def _is_large_enough(window: tuple[list[float], int, int], margin: float, least: int) -> bool:
    """Tell whether a crop has enough pixels; exact rounding, which is slow, is done near the limit only."""
    from egara.faces.crops import crop_window

    (left, top, right, bottom), width, height = window
    half = max(right - left, bottom - top) / 2 * (1 + 2 * margin)
    if not math.isfinite(half + left + top):
        return False
    x, y = (left + right) / 2, (top + bottom) / 2
    across = max(0.0, min(width, x + half) - max(0.0, x - half))
    down = max(0.0, min(height, y + half) - max(0.0, y - half))
    if abs(across * down - least) > 2 * (across + down + 2):
        return across * down > least
    left, top, right, bottom = crop_window(window[0], width, height, margin)
    return bool(max(0, right - left) * max(0, bottom - top) >= least)


def check_faces(study: Study, faces: dict[str, Faces]) -> None:
    """Let works with fewer faces than their sets need, or on which the detector fails, stop the study."""
    least = needed(study)
    study.stops += [known.fault for known in faces.values() if known.fault]
    for work, known in faces.items():
        count = known.kept if known.kept is not None else known.found
        if count is not None and count < least:
            of = f"{known.found:,} faces, of which {count:,} large enough" if known.found else counted(count, "face")
            study.stops.append(
                f"work {work}: {of} ({known.source}); its sets need {least:,} (sets.size, faces.min_pixels)"
            )
