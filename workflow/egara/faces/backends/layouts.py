"""Output layouts of detection networks, recognised by the file's metadata and by the numbers themselves.

    yolo       centre x, centre y, width, height, one score per class (YOLOv8, 11, 12; also their masks and poses)
    yolov5     the same with an objectness before the classes (YOLOv5, 6, 7)
    yolox      the same, as grid offsets or decoded, for a page in the input's corner, BGR in 0 to 255
    end2end    left, top, right, bottom, score, class (YOLOv10, YOLO26, exports with nms=True)
    rtdetr     fractions of a stretched page: centre and size, then score and class, or one score per class

Every layout has a test that an output passes or fails; of those that pass, the metadata chooses. None or several is an
error, because boxes read in the wrong layout would be cropped like faces.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from egara.io.errors import EgaraError

KEY = "faces.layout"
# Only boxes of at least this score distinguish layouts; lower ones are often padding or noise.
SURE_SCORE = 0.05
VALID_SHARE = 0.99  # of the boxes must be valid in a layout
LARGEST_FRACTION = 1.5  # sides up to this are fractions of the input: no face is a pixel and a half wide
MAX_QUERIES = 2000  # no network without anchors returns more boxes
# A network like YOLO returns one box, or three, for each cell of the grids with these strides.
STRIDES = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32))


@dataclass(frozen=True)
class Facts:
    """What is known of a network before it runs.

    Attributes
    ----------
    height, width : of its input, in pixels.
    classes : number of classes that its metadata names.
    stated : layouts that its metadata states.
    extras : whether numbers of masks or keypoints may follow the scores of a box.
    """

    height: int
    width: int
    classes: int = 0
    stated: tuple[str, ...] = ()
    extras: bool = False


@dataclass(frozen=True)
class Layout:
    """How to read an output.

    Attributes
    ----------
    name : its name in `faces.layout`.
    transposed : whether boxes are the output's columns, not its rows.
    fit : how a page is fitted into the input, a key of `egara.faces.backends.canvas.FITS`.
    labelled : whether one score and a class follow the box, not one score per class.
    corners : whether a box is two corners, not centre and size.
    fractions : whether sides are fractions of the input, not pixels.
    objectness : whether an objectness precedes the scores.
    strides : of the grids in which boxes are offsets; empty where they are decoded.
    """

    name: str
    transposed: bool = False
    fit: str = "letterbox"
    labelled: bool = False
    corners: bool = False
    fractions: bool = False
    objectness: bool = False
    strides: tuple[int, ...] = ()

    def __str__(self) -> str:
        """Describe the layout in words."""
        box = "corners" if self.corners else "centre and size"
        unit = "grid cells" if self.strides else "fractions of the input" if self.fractions else "pixels"
        scores = "score and class" if self.labelled else "one score per class"
        scores = f"objectness and {scores}" if self.objectness else scores
        return f"{self.name} ({box} in {unit}, {scores}; {self.fit})"


def recognise_layout(output: np.ndarray, facts: Facts, wanted: str = "auto") -> Layout | None:
    """Recognise the layout of an output.

    Parameters
    ----------
    output : for one page, of shape (n_rows, n_columns); how the page was fitted into the input does not matter.
    facts : of the network.
    wanted : `faces.layout`; unless it is `auto`, only this layout is tried.

    Returns
    -------
    The layout, or None where all scores are below 0.05: then the page has no face either.

    Raises
    ------
    EgaraError : no layout fits, or several; the message ends with what to set.
    """
    tests = list(TESTS.values())
    if wanted != "auto":
        tests, facts = [TESTS[wanted]], replace(facts, stated=(wanted,))
    evidence = Evidence(output, facts)
    found = _passing(tests, evidence)
    if len(found) > 1 and evidence.sure:  # without padding, boxes of low scores distinguish more
        found = _passing(tests, Evidence(output, facts, all_boxes=True)) or found
    if len(found) == 1:
        return found[0]
    if evidence.blank:
        return None
    named = f"{facts.classes or 'no'} named class{'es' if facts.classes != 1 else ''}"
    shape = f"returns {' x '.join(map(str, output.shape))} for {named}"
    if not found:
        tried = wanted if wanted != "auto" else ", ".join(TESTS)
        raise EgaraError(f"{shape}, which is none of {tried}; expected an export with one of these layouts")
    raise EgaraError(
        f"{shape}, which may be {' or '.join(map(str, found))}; expected {KEY}:"
        f" {' or '.join(dict.fromkeys(layout.name for layout in found))}"
    )


def _passing(tests: list[Callable], evidence: "Evidence") -> list[Layout]:
    found = [layout for test in tests for layout in test(evidence)] if evidence.readable else []
    return [layout for layout in found if layout.name in evidence.facts.stated] or found


class Evidence:
    """An output with one box per row, and properties that several tests need."""

    def __init__(self, output: np.ndarray, facts: Facts, all_boxes: bool = False) -> None:
        self.facts = facts
        rows, columns = output.shape
        # There are more boxes than numbers per box, unless a page has few boxes and there is no padding.
        fitting = (4 + facts.classes, 5 + facts.classes, 6) if facts.classes else (6,)
        self.transposed = columns not in fitting and (rows in fitting or columns > rows)
        table = output.T if self.transposed else output
        self.table = table[np.isfinite(table).all(axis=1)]
        self.count, self.columns = table.shape
        score = self.table[:, 4] if self.columns > 4 else np.zeros(len(self.table))
        self.sure = bool((score > SURE_SCORE).any()) and not all_boxes
        self.telling = self.table[
            score > SURE_SCORE if self.sure else np.abs(self.table[:, :4]).max(axis=1, initial=0) > 0
        ]
        labelled = self.columns == 6 and self.count <= MAX_QUERIES and not self.transposed
        scores = score if labelled else self.table[:, 4:].max(axis=1, initial=0)
        self.readable = len(self.telling) > 0 and self.columns > 4
        self.blank = not (scores > SURE_SCORE).any()

    def cells(self, boxes: int) -> tuple[int, ...]:
        """Return the strides of the grids for which the output has `boxes` boxes per cell, () where there are none."""
        for strides in STRIDES:
            whole = all(side % max(strides) == 0 for side in (self.facts.height, self.facts.width))
            cells = sum((self.facts.height // stride) * (self.facts.width // stride) for stride in strides)
            if whole and self.count == boxes * cells:
                return strides
        return ()

    def classes(self, before: int) -> bool:
        """Tell whether each row has `before` numbers and then one score per class."""
        left = self.columns - before
        if not self.facts.classes:
            return left >= 1
        return left == self.facts.classes or (self.facts.extras and left > self.facts.classes)

    def scores(self, before: int) -> bool:
        """Tell whether the numbers after a box can be scores; extras after those of the classes do not matter."""
        scores = self.table[:, 4 : before + self.facts.classes] if self.facts.classes else self.table[:, 4:]
        return bool(len(scores)) and scores.min(initial=0) >= -0.01 and scores.max(initial=0) <= 1.01

    def fractions(self) -> bool:
        """Tell whether all sides are fractions of the input."""
        return bool(len(self.telling)) and np.abs(self.telling[:, :4]).max() <= LARGEST_FRACTION

    def labelled(self) -> bool:
        """Tell whether one score and the number of a class follow the sides."""
        if self.transposed or not len(self.telling) or self.count > MAX_QUERIES:
            return False
        if self.columns != 6 and not (self.facts.extras and self.columns > 6):
            return False
        score, label = self.telling[:, 4], self.telling[:, 5]
        most = self.facts.classes or 10_000
        whole = (label == np.rint(label)).all() and (label >= 0).all() and (label < most).all()
        return bool(whole and score.min() >= -0.01 and score.max() <= 1.01)

    def labels(self, name: str) -> bool:
        """Tell whether the sixth number is a class, not a score; False where the metadata states the layout `name`."""
        return self.labelled() and name not in self.facts.stated and not (self.cells(1) or self.cells(3))

    def certain(self) -> bool:
        """Tell whether every objectness is 1, as in YOLOv6: one box per cell, otherwise like YOLOv5."""
        return bool((self.table[:, 4] == 1).all())

    def corners(self) -> bool:
        """Tell whether the sides can be left, top, right, bottom."""
        return _mostly((self.telling[:, 2:4] > self.telling[:, :2]).all(axis=1))

    def sized(self) -> bool:
        """Tell whether the third and fourth number can be width and height."""
        return bool(len(self.table)) and _mostly((self.table[:, 2:4] >= 0).all(axis=1))


def _yolo(seen: Evidence) -> list[Layout]:
    if not (seen.classes(4) and seen.scores(4) and seen.sized()) or seen.labels("yolo"):
        return []
    layout = Layout(
        "yolo", transposed=seen.transposed, fractions=bool(np.abs(seen.table[:, :4]).max() <= LARGEST_FRACTION)
    )
    stated, cells = "yolo" in seen.facts.stated, bool(seen.cells(1) or seen.cells(3))
    if layout.fractions:  # an output of RT-DETR, unless there is one row per cell
        return [layout] if cells or stated else []
    # One or three rows per cell of unnamed classes come from YOLOv5 or YOLOX.
    other = cells and not seen.transposed and not seen.facts.classes and seen.columns > 5
    return [layout] if stated or not other else []


def _yolov5(seen: Evidence) -> list[Layout]:
    if seen.columns < 6 or not (seen.classes(5) and seen.scores(5) and seen.sized()) or seen.labels("yolov5"):
        return []
    layout = Layout("yolov5", transposed=seen.transposed, objectness=True, fractions=seen.fractions())
    if "yolov5" in seen.facts.stated:
        return [layout]
    if seen.cells(1) and not seen.certain():
        return []
    named = bool(seen.facts.classes)
    return [layout] if not seen.transposed and (named or seen.cells(1) or seen.cells(3) or not layout.fractions) else []


def _yolox(seen: Evidence) -> list[Layout]:
    if seen.transposed or seen.columns < 6 or not (seen.classes(5) and seen.scores(5)):
        return []
    strides, stated = seen.cells(1), "yolox" in seen.facts.stated
    if not stated and (not strides or seen.certain()):
        return []
    layout = Layout("yolox", fit="corner", objectness=True)
    # Centres in pixels spread over the input; grid offsets stay within a few cells.
    reach = np.percentile(np.abs(seen.table[:, :2]).max(axis=1), 90)
    if strides and reach < min(seen.facts.height, seen.facts.width) / 4:
        return [replace(layout, strides=strides)]
    return [layout] if seen.sized() else []


def _end2end(seen: Evidence) -> list[Layout]:
    if not seen.labelled() or not seen.corners():
        return []
    return [Layout("end2end", labelled=True, corners=True, fractions=seen.fractions())]


def _rtdetr(seen: Evidence) -> list[Layout]:
    if seen.transposed or not seen.fractions():
        return []
    if "rtdetr" not in seen.facts.stated and (seen.cells(1) or seen.cells(3)):
        return []
    if not _mostly(((seen.telling[:, :4] >= -0.01) & (seen.telling[:, :4] <= 1.01)).all(axis=1)):
        return []
    layout = Layout("rtdetr", fit="stretch", fractions=True)
    if not seen.labelled():
        return [layout] if seen.classes(4) and seen.scores(4) else []
    # Corners read as centre and size give boxes beyond the page.
    centre, half = seen.telling[:, :2], seen.telling[:, 2:4] / 2
    inside = ((centre - half > -0.1) & (centre + half < 1.1)).all(axis=1).mean() > 0.9
    return [replace(layout, labelled=True)] if inside or not seen.corners() else []


def _mostly(holds: np.ndarray) -> bool:
    return bool(len(holds)) and holds.mean() >= VALID_SHARE


TESTS: dict[str, Callable[[Evidence], list[Layout]]] = {
    "yolo": _yolo,
    "yolov5": _yolov5,
    "yolox": _yolox,
    "end2end": _end2end,
    "rtdetr": _rtdetr,
}
