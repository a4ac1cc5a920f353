"""What a network's answer means: told by what its file says of it, and else by the numbers themselves.

    yolo       middle x, middle y, width, height, one score per class (YOLOv8, 11, 12; also their masks and poses)
    yolov5     the same with an objectness before the classes (YOLOv5, 6, 7)
    yolox      the same, as offsets in a grid or decoded, of a page in the input's corner, BGR in 0 to 255
    end2end    left, top, right, bottom, score, class (YOLOv10, YOLO26, exports with nms=True)
    rtdetr     shares of a stretched page: middle and size, then score and class, or one score per class

Every layout has a test that an answer passes or not; what the file says chooses between those that pass. None or
several is an error: a box in the wrong place would be cut out like a face.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from egara.io.errors import EgaraError

KEY = "faces.layout"
# Boxes of at least this score tell layouts apart; what lies below is often padding, or noise of a network.
SURE = 0.05
MOST = 0.99  # share of boxes that a layout must make sense of
UNIT = 1.5  # sides up to this are shares of the input: a box of a pixel and a half is no face
QUERIES = 2000  # no network without anchors answers more boxes
# Rows a network of YOLO's kind answers: a box, or three, for each cell of the grids of its strides.
STRIDES = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32))


@dataclass(frozen=True)
class Facts:
    """What is known of a network before it answers.

    Attributes
    ----------
    height, width : of its input.
    classes : how many classes it names, 0 where it names none.
    says : layouts that its file states, empty where it states none.
    extras : whether numbers of masks or joints may follow a box's scores.
    """

    height: int
    width: int
    classes: int = 0
    says: tuple[str, ...] = ()
    extras: bool = False


@dataclass(frozen=True)
class Layout:
    """How an answer is read.

    Attributes
    ----------
    name : as `faces.layout` calls it.
    lying : whether boxes are the answer's columns, not its rows.
    fit : how a page is put into the input, a key of `egara.faces.backends.canvas.FITS`.
    labelled : whether a score and a class follow the box, not one score per class.
    corners : whether a box is two corners, not a middle and a size.
    shares : whether its sides are shares of the input, not pixels.
    objectness : whether an objectness comes before the scores.
    strides : of the grids in which the boxes are offsets; empty where they are decoded.
    """

    name: str
    lying: bool = False
    fit: str = "letterbox"
    labelled: bool = False
    corners: bool = False
    shares: bool = False
    objectness: bool = False
    strides: tuple[int, ...] = ()

    def __str__(self) -> str:
        """Return the layout as a person reads it."""
        box = "corners" if self.corners else "middle and size"
        unit = "grid cells" if self.strides else "shares of the input" if self.shares else "pixels"
        scores = "score and class" if self.labelled else "one score per class"
        scores = f"objectness and {scores}" if self.objectness else scores
        return f"{self.name} ({box} in {unit}, {scores}; {self.fit})"


def decide(answer: np.ndarray, facts: Facts, wanted: str = "auto") -> Layout | None:
    """Tell how an answer is read.

    Parameters
    ----------
    answer : (rows, columns), what a network says of one page, however the page was fitted into its input.
    facts : what its file says.
    wanted : `faces.layout`: only this layout is tried.

    Returns
    -------
    The layout, or None where the answer has no box that tells (all scores below 0.05): then it has no face either.

    Raises
    ------
    EgaraError : no layout fits, or several; the message ends with what to set.
    """
    tests = list(TESTS.values())
    if wanted != "auto":
        tests, facts = [TESTS[wanted]], replace(facts, says=(wanted,))
    evidence = Evidence(answer, facts)
    found = _passing(tests, evidence)
    if len(found) > 1 and evidence.sure:  # the unsure boxes of a network without padding tell more
        found = _passing(tests, Evidence(answer, facts, all_boxes=True)) or found
    if len(found) == 1:
        return found[0]
    if evidence.blank:
        return None
    named = f"{facts.classes or 'no'} named class{'es' if facts.classes != 1 else ''}"
    shape = f"answers {' x '.join(map(str, answer.shape))} for {named}"
    if not found:
        tried = wanted if wanted != "auto" else ", ".join(TESTS)
        raise EgaraError(f"{shape}, which is none of {tried}; expected an export with one of these layouts")
    raise EgaraError(
        f"{shape}, which may be {' or '.join(map(str, found))}; expected {KEY}:"
        f" {' or '.join(dict.fromkeys(layout.name for layout in found))}"
    )


def _passing(tests: list[Callable], evidence: "Evidence") -> list[Layout]:
    found = [layout for test in tests for layout in test(evidence)] if evidence.readable else []
    return [layout for layout in found if layout.name in evidence.facts.says] or found


class Evidence:
    """An answer the right way round, and what several tests ask of it."""

    def __init__(self, answer: np.ndarray, facts: Facts, all_boxes: bool = False) -> None:
        self.facts = facts
        rows, columns = answer.shape
        # Boxes outnumber the numbers of a box, unless a page has few of them and no padding.
        fitting = (4 + facts.classes, 5 + facts.classes, 6) if facts.classes else (6,)
        self.lying = columns not in fitting and (rows in fitting or columns > rows)
        table = answer.T if self.lying else answer
        self.table = table[np.isfinite(table).all(axis=1)]
        self.count, self.columns = table.shape
        score = self.table[:, 4] if self.columns > 4 else np.zeros(len(self.table))
        self.sure = bool((score > SURE).any()) and not all_boxes
        self.told = self.table[score > SURE if self.sure else np.abs(self.table[:, :4]).max(axis=1, initial=0) > 0]
        labelled = self.columns == 6 and self.count <= QUERIES and not self.lying
        scores = score if labelled else self.table[:, 4:].max(axis=1, initial=0)
        self.readable = len(self.told) > 0 and self.columns > 4
        self.blank = not (scores > SURE).any()

    def cells(self, boxes: int) -> tuple[int, ...]:
        """Return the strides of the grids that have a row for every `boxes` boxes of a cell, or nothing."""
        for strides in STRIDES:
            whole = all(side % max(strides) == 0 for side in (self.facts.height, self.facts.width))
            cells = sum((self.facts.height // stride) * (self.facts.width // stride) for stride in strides)
            if whole and self.count == boxes * cells:
                return strides
        return ()

    def classes(self, before: int) -> bool:
        """Tell whether the numbers of a box are `before` and a score for every class."""
        left = self.columns - before
        if not self.facts.classes:
            return left >= 1
        return left == self.facts.classes or (self.facts.extras and left > self.facts.classes)

    def scores(self, before: int) -> bool:
        """Tell whether what follows a box may be scores: all but the numbers after the classes'."""
        scores = self.table[:, 4 : before + self.facts.classes] if self.facts.classes else self.table[:, 4:]
        return bool(len(scores)) and scores.min(initial=0) >= -0.01 and scores.max(initial=0) <= 1.01

    def shares(self) -> bool:
        """Tell whether all sides are shares of the input."""
        return bool(len(self.told)) and np.abs(self.told[:, :4]).max() <= UNIT

    def labelled(self) -> bool:
        """Tell whether a score and the number of a class follow the sides."""
        if self.lying or not len(self.told) or self.count > QUERIES:
            return False
        if self.columns != 6 and not (self.facts.extras and self.columns > 6):
            return False
        score, label = self.told[:, 4], self.told[:, 5]
        most = self.facts.classes or 10_000
        whole = (label == np.rint(label)).all() and (label >= 0).all() and (label < most).all()
        return bool(whole and score.min() >= -0.01 and score.max() <= 1.01)

    def labels(self, name: str) -> bool:
        """Tell whether the sixth number is a class and no score, unless the file states the layout `name`."""
        return self.labelled() and name not in self.facts.says and not (self.cells(1) or self.cells(3))

    def certain(self) -> bool:
        """Tell whether every box has an objectness of 1, as YOLOv6 writes it: one box per cell, else like YOLOv5."""
        return bool((self.table[:, 4] == 1).all())

    def corners(self) -> bool:
        """Tell whether the sides may be left, top, right, bottom."""
        return _mostly((self.told[:, 2:4] > self.told[:, :2]).all(axis=1))

    def sized(self) -> bool:
        """Tell whether the third and fourth number may be a width and a height."""
        return bool(len(self.table)) and _mostly((self.table[:, 2:4] >= 0).all(axis=1))


def _yolo(seen: Evidence) -> list[Layout]:
    if not (seen.classes(4) and seen.scores(4) and seen.sized()) or seen.labels("yolo"):
        return []
    layout = Layout("yolo", lying=seen.lying, shares=bool(np.abs(seen.table[:, :4]).max() <= UNIT))
    stated, cells = "yolo" in seen.facts.says, bool(seen.cells(1) or seen.cells(3))
    if layout.shares:  # RT-DETR's, but where there is a row for every cell
        return [layout] if cells or stated else []
    # Rows of unknown classes, one or three a cell, are YOLOv5's or YOLOX's.
    theirs = cells and not seen.lying and not seen.facts.classes and seen.columns > 5
    return [layout] if stated or not theirs else []


def _yolov5(seen: Evidence) -> list[Layout]:
    if seen.columns < 6 or not (seen.classes(5) and seen.scores(5) and seen.sized()) or seen.labels("yolov5"):
        return []
    layout = Layout("yolov5", lying=seen.lying, objectness=True, shares=seen.shares())
    if "yolov5" in seen.facts.says:
        return [layout]
    if seen.cells(1) and not seen.certain():
        return []
    named = bool(seen.facts.classes)
    return [layout] if not seen.lying and (named or seen.cells(1) or seen.cells(3) or not layout.shares) else []


def _yolox(seen: Evidence) -> list[Layout]:
    if seen.lying or seen.columns < 6 or not (seen.classes(5) and seen.scores(5)):
        return []
    strides, stated = seen.cells(1), "yolox" in seen.facts.says
    if not stated and (not strides or seen.certain()):
        return []
    layout = Layout("yolox", fit="corner", objectness=True)
    # Middles in pixels reach over the input; offsets in a grid stay within a few cells.
    reach = np.percentile(np.abs(seen.table[:, :2]).max(axis=1), 90)
    if strides and reach < min(seen.facts.height, seen.facts.width) / 4:
        return [replace(layout, strides=strides)]
    return [layout] if seen.sized() else []


def _end2end(seen: Evidence) -> list[Layout]:
    if not seen.labelled() or not seen.corners():
        return []
    return [Layout("end2end", labelled=True, corners=True, shares=seen.shares())]


def _rtdetr(seen: Evidence) -> list[Layout]:
    if seen.lying or not seen.shares():
        return []
    if "rtdetr" not in seen.facts.says and (seen.cells(1) or seen.cells(3)):
        return []
    if not _mostly(((seen.told[:, :4] >= -0.01) & (seen.told[:, :4] <= 1.01)).all(axis=1)):
        return []
    layout = Layout("rtdetr", fit="stretch", shares=True)
    if not seen.labelled():
        return [layout] if seen.classes(4) and seen.scores(4) else []
    # Corners, read as middle and size, make boxes that leave the page.
    middle, half = seen.told[:, :2], seen.told[:, 2:4] / 2
    inside = ((middle - half > -0.1) & (middle + half < 1.1)).all(axis=1).mean() > 0.9
    return [replace(layout, labelled=True)] if inside or not seen.corners() else []


def _mostly(holds: np.ndarray) -> bool:
    return bool(len(holds)) and holds.mean() >= MOST


TESTS: dict[str, Callable[[Evidence], list[Layout]]] = {
    "yolo": _yolo,
    "yolov5": _yolov5,
    "yolox": _yolox,
    "end2end": _end2end,
    "rtdetr": _rtdetr,
}
