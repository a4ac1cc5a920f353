"""Networks of the user's as ONNX files: what the file says of itself, a page in, boxes of faces out."""

import ast
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.faces.backends.answers import read_answer
from egara.faces.backends.canvas import FITS, Canvas
from egara.faces.backends.classes import choose, read_names
from egara.faces.backends.graphs import open_graph, run_graph
from egara.faces.backends.layouts import Facts, Layout, decide
from egara.faces.boxes import suppress
from egara.faces.protocol import Detector
from egara.io.errors import EgaraError, one_line
from egara.io.json import read_json

if TYPE_CHECKING:
    from egara.faces.protocol import Page

SIDE = 640  # input side of a network that leaves it open and names none: the side that these networks are trained at
MULTIPLE = 32  # the input's sides are multiples of the coarsest grid's stride
LIMIT = 0.5  # overlap above which the lower of two boxes goes
# What the networks' own programs take: ultralytics' predict, YOLOX's ONNX demo, RT-DETR's demo. A file of deepghs has
# its best threshold beside it.
USUAL = {"yolo": 0.25, "yolov5": 0.25, "end2end": 0.25, "rtdetr": 0.25, "yolox": 0.3, "rtdetr-original": 0.6}
BESIDE = "threshold.json"
ORIGINAL = "rtdetr-original"


@dataclass(frozen=True)
class Settings:
    """What the configuration says of a network.

    Attributes
    ----------
    layout : `auto`, or a key of `egara.faces.backends.layouts.TESTS`.
    classes : names or numbers of the classes that are faces; empty for those that are called so.
    side : input side of a network that leaves it open, in pixels; None for what the file says.
    """

    layout: str = "auto"
    classes: tuple[str, ...] = ()
    side: int | None = None


class OnnxDetector(Detector):
    """A network that answers boxes and scores in one of the layouts of `egara.faces.backends.layouts`.

    RT-DETR's original export is told by its second input, `orig_target_sizes`; all others by the file's metadata or by
    the first page on which there is a box.
    """

    def __init__(
        self, path: str | Path, threshold: float | None = None, threads: int = 1, settings: Settings | None = None
    ) -> None:
        self.path, self.threshold, self.settings = Path(path), threshold, settings or Settings()
        self._where = f"detector onnx: {path}"
        self._session = open_graph(path, threads, "detector onnx")
        says = self._metadata()
        self._inputs = self._check_inputs()
        names = read_names(says.get("names", ""))
        self._names, self._faces = names, choose(names, self.settings.classes, self._where)
        if (task := says.get("task", "detect")) not in ("detect", "segment", "pose"):
            raise EgaraError(f"{self._where} is a network for the task {task}; expected a detector")
        height, width = self._sides(says.get("imgsz", ""))
        self._facts = Facts(
            height, width, max(names, default=-1) + 1, _stated(says), extras=task in ("segment", "pose")
        )
        self._layout: Layout | None = None
        try:
            self._beside = _threshold_beside(self.path)
        except EgaraError:
            if threshold is None:
                raise
            self._beside = None

    @property
    def settled(self) -> bool:
        """Whether the layout is told."""
        return self._original or self._layout is not None

    @property
    def usual(self) -> float:
        """The threshold beside the file, or the one of its layout's own program; 0.25 until that is told."""
        name = ORIGINAL if self._original else self._layout.name if self._layout else "yolo"
        return USUAL[name] if self._beside is None else self._beside

    def describe(self) -> str:
        """Return the detector's line, see `egara.faces.protocol.Detector`."""
        told_later = f"{'/'.join(self._facts.says) or self.settings.layout} (told by the first page with a box)"
        layout = ORIGINAL if self._original else self._layout or told_later
        if self._faces is None:
            classes = "not named"
        else:
            classes = ", ".join(self._names.get(number, str(number)) for number in self._faces)
        if self.threshold is not None:
            threshold = f"{self.threshold:g}"
        elif self._beside is not None:
            threshold = f"{self._beside:g} ({BESIDE} beside it)"
        else:
            threshold = f"{self.usual:g} (usual for its layout)" if self.settled else "usual for its layout"
        size = f"{self._facts.width} x {self._facts.height}"
        line = f"onnx {self.path}, layout {layout}; classes {classes}; input {size} pixels; threshold {threshold}"
        return one_line(line)  # the file chooses what its classes are called

    def detect(self, pages: Sequence["Page"]) -> list[np.ndarray]:
        """Return boxes of faces, see `egara.faces.protocol.Detector`."""
        return [suppress(self._detect(page.image), LIMIT) for page in pages]

    def _detect(self, image: np.ndarray) -> np.ndarray:
        if self._original:
            return self._detect_original(image)
        if self._layout is None and not self._tell(image):
            return np.zeros((0, 5))
        canvas = self._fit(image, self._layout.fit)
        return canvas.to_page(self._read(self._answer(canvas), self._layout))

    def _tell(self, image: np.ndarray) -> bool:
        """Tell the layout by a page, however it lies in the input: boxes look alike wherever they are."""
        answer = self._answer(self._fit(image, "letterbox")).astype(np.float64)
        try:
            self._layout = decide(answer, self._facts, self.settings.layout)
        except EgaraError as error:
            raise EgaraError(f"{self._where} {error}") from error
        return self._layout is not None

    def _read(self, answer: np.ndarray, layout: Layout) -> np.ndarray:
        threshold = self.usual if self.threshold is None else self.threshold
        try:
            return read_answer(answer, layout, self._facts, threshold, self._faces)
        except EgaraError as error:
            raise type(error)(f"{self._where} {error}") from error

    def _fit(self, image: np.ndarray, fit: str) -> Canvas:
        return FITS[fit](image, self._facts.height, self._facts.width)

    def _run(self, canvas: Canvas, **more: np.ndarray) -> list[np.ndarray]:
        kind = np.float16 if "float16" in self._inputs[0].type else np.float32
        return run_graph(self._session, {self._inputs[0].name: canvas.pixels.astype(kind), **more}, self._where)

    def _answer(self, canvas: Canvas) -> np.ndarray:
        """Return the one table of boxes of an answer; masks and the maps that it was made of may stand beside it."""
        answers = self._run(canvas)
        shapes = [getattr(answer, "shape", ()) for answer in answers]
        tables = [place for place, shape in enumerate(shapes) if len(shape) < 4]
        table = answers[tables[0]] if len(tables) == 1 else np.zeros(0)
        if table.ndim != 3 or table.shape[0] != 1 or table.dtype.kind != "f":
            shown = ", ".join(str(shape) for shape in shapes)
            raise EgaraError(f"{self._where} answers {shown}; expected one table, (1, numbers of a box, boxes)")
        return table[0]

    def _detect_original(self, image: np.ndarray) -> np.ndarray:
        """Ask RT-DETR as its authors export it: it takes the page's size and answers in the page's pixels."""
        height, width = image.shape[:2]
        canvas = self._fit(image, "stretch")
        answers = self._run(canvas, **{self._inputs[1].name: np.array([[width, height]], np.int64)})
        found = dict(zip((output.name for output in self._session.get_outputs()), answers, strict=True))
        shapes = {name: np.shape(value) for name, value in found.items()}
        count = shapes.get("scores", (1, 0))[-1]
        if shapes != {"labels": (1, count), "boxes": (1, count, 4), "scores": (1, count)}:
            raise EgaraError(
                f"{self._where} answers {shapes}; expected labels, boxes and scores as RT-DETR's authors do"
            )
        table = np.column_stack([found["boxes"][0], found["scores"][0], found["labels"][0]]).astype(np.float64)
        return self._read(table, Layout(ORIGINAL, labelled=True, corners=True))

    def _metadata(self) -> dict[str, str]:
        try:
            return dict(self._session.get_modelmeta().custom_metadata_map)
        except UnicodeDecodeError:
            return {}

    def _check_inputs(self) -> list:
        inputs = sorted(self._session.get_inputs(), key=lambda one: one.name == "orig_target_sizes")
        shapes = ", ".join(f"{one.name} {one.shape} {one.type}" for one in inputs)
        self._original = [one.name for one in inputs[1:]] == ["orig_target_sizes"] and "int64" in inputs[1].type
        shape = inputs[0].shape if inputs else []
        if not inputs or len(inputs) > 1 and not self._original or len(shape) != 4:
            raise EgaraError(f"{self._where} takes {shapes}; expected one input, (1, 3, height, width)")
        if isinstance(shape[1], int) and shape[1] != 3:
            last = ", channels last; expected an export with channels first" if shape[3] == 3 else "; expected colour"
            raise EgaraError(f"{self._where} takes {shapes}{last}: (1, 3, height, width)")
        if isinstance(shape[0], int) and shape[0] not in (0, -1, 1):
            raise EgaraError(f"{self._where} takes {shape[0]} pages at once; expected an export with batch 1 or any")
        if inputs[0].type not in ("tensor(float)", "tensor(float16)"):
            raise EgaraError(f"{self._where} takes {shapes}; expected numbers of float32 or float16")
        if self._original and self.settings.layout not in ("auto", "rtdetr"):
            raise EgaraError(f"{self._where} is RT-DETR's original export; expected faces.layout: auto")
        return inputs

    def _sides(self, stated: str) -> tuple[int, int]:
        """Return the input's height and width: the graph's, else the configuration's, else the file's, else 640."""
        fixed = [side if isinstance(side, int) and side > 0 else None for side in self._inputs[0].shape[2:]]
        wanted = self.settings.side
        if wanted and None not in fixed and fixed != [wanted, wanted]:
            only = f"takes pages of {fixed[1]} x {fixed[0]} pixels only"
            raise EgaraError(f"{self._where} {only}; expected faces.side: auto, not {wanted}")
        open_sides = [wanted, wanted] if wanted else _read_sides(stated)
        return tuple(have or want for have, want in zip(fixed, open_sides, strict=True))


def threshold_files(path: str | Path) -> list[str]:
    """Return the file beside a network that states its threshold, where there is one."""
    beside = Path(path).with_name(BESIDE)
    return [str(beside)] if beside.is_file() else []


def _threshold_beside(path: Path) -> float | None:
    for beside in threshold_files(path):
        try:
            value = read_json(beside, "a threshold")["threshold"]
        except (EgaraError, KeyError):
            value = None
        if type(value) not in (int, float) or not 0 <= value <= 1:
            raise EgaraError(
                f"detector onnx: {beside} states no threshold from 0 to 1; expected one, or faces.threshold"
            )
        return float(value)
    return None


def _read_sides(stated: str) -> list[int]:
    """Read `imgsz` of a file, `[1280, 1280]` (height, width) or `1280`; 640 where it states nothing usable."""
    try:
        sides = ast.literal_eval(stated)
        sides = [sides, sides] if isinstance(sides, int) else list(sides)
        usable = len(sides) == 2 and all(isinstance(side, int) and MULTIPLE <= side <= 8192 for side in sides)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        usable = False
    return [-(-side // MULTIPLE) * MULTIPLE for side in sides] if usable else [SIDE, SIDE]


def _stated(says: dict[str, str]) -> tuple[str, ...]:
    """Return the layouts that a file's metadata states."""
    if says.get("head") == "RTDETRDecoder":
        return ("rtdetr",)
    flags = [says.get("end2end"), says.get("nms")]
    with contextlib.suppress(ValueError, SyntaxError, TypeError, AttributeError, RecursionError, MemoryError):
        flags.append(str(ast.literal_eval(says.get("args", "{}")).get("nms")))
    return ("end2end",) if "True" in flags else ()
