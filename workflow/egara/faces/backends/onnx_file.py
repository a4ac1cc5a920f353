"""Detection networks in ONNX files that a user brings: read the file's metadata, run it on pages, return boxes."""

import ast
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.faces.backends.canvas import FITS, Canvas
from egara.faces.backends.class_names import choose_classes, read_names
from egara.faces.backends.graphs import open_graph, run_graph
from egara.faces.backends.layouts import Facts, Layout, recognise_layout
from egara.faces.backends.outputs import read_output
from egara.faces.boxes import suppress
from egara.faces.protocol import Detector
from egara.faces.registry import DEFAULTS, DetectorSettings, detector
from egara.io.errors import EgaraError, one_line
from egara.io.json import read_json

if TYPE_CHECKING:
    from egara.faces.protocol import Page

DEFAULT_SIDE = 640  # pixels; input side of a network that leaves it open and states none, as in its training
SIDE_MULTIPLE = 32  # the stride of the coarsest grid
NMS_OVERLAP = 0.5  # intersection over union above which the lower-scored box is dropped
# Defaults of the networks' own programs: ultralytics' predict, YOLOX's ONNX demo, RT-DETR's demo. Networks of deepghs
# come with a file that states the best threshold.
DEFAULT_THRESHOLDS = {
    "yolo": 0.25,
    "yolov5": 0.25,
    "end2end": 0.25,
    "rtdetr": 0.25,
    "yolox": 0.3,
    "rtdetr-original": 0.6,
}
THRESHOLD_FILE = "threshold.json"
ORIGINAL = "rtdetr-original"


def threshold_files(path: str | Path) -> list[str]:
    """Return the file next to a network that states its threshold, if there is one."""
    file = Path(path).with_name(THRESHOLD_FILE)
    return [str(file)] if file.is_file() else []


@detector(
    "onnx", path="file", description="YOLO of any version, YOLOX or RT-DETR", settings=("layout", "classes", "side"),
    tiles_strips=True, threshold_files=threshold_files,
)  # fmt: skip
class OnnxDetector(Detector):
    """A network whose output has one of the layouts of `egara.faces.backends.layouts`.

    RT-DETR's original export is recognised by its second input, `orig_target_sizes`; all others by the file's metadata
    or by the output for the first page with a box.
    """

    def __init__(self, path: str | Path, settings: DetectorSettings = DEFAULTS) -> None:
        self.path, self.threshold, self.settings = Path(path), settings.threshold, settings
        self._where = f"detector onnx: {path}"
        self._session = open_graph(path, settings.threads, "detector onnx")
        metadata = self._metadata()
        self._inputs = self._check_inputs()
        names = read_names(metadata.get("names", ""))
        self._names, self._faces = names, choose_classes(names, self.settings.classes, self._where)
        if (task := metadata.get("task", "detect")) not in ("detect", "segment", "pose"):
            raise EgaraError(f"{self._where} is a network for the task {task}; expected a detector")
        height, width = self._sides(metadata.get("imgsz", ""))
        self._facts = Facts(
            height, width, max(names, default=-1) + 1, _stated_layouts(metadata), extras=task in ("segment", "pose")
        )
        self._layout: Layout | None = None
        try:
            self._stated_threshold = _read_threshold(self.path)
        except EgaraError:
            if self.threshold is None:
                raise
            self._stated_threshold = None

    @property
    def layout_known(self) -> bool:
        """Whether the output layout is known."""
        return self._original or self._layout is not None

    @property
    def default_threshold(self) -> float:
        """The threshold that threshold.json states, or the default of the layout's own program; 0.25 if unknown."""
        name = ORIGINAL if self._original else self._layout.name if self._layout else "yolo"
        return DEFAULT_THRESHOLDS[name] if self._stated_threshold is None else self._stated_threshold

    def describe(self) -> str:
        """See `egara.faces.protocol.Detector`."""
        layout = f"{'/'.join(self._facts.stated) or self.settings.layout} (shown by the first page with a box)"
        layout = ORIGINAL if self._original else self._layout or layout
        if self._faces is None:
            classes = "without names"
        else:
            classes = ", ".join(self._names.get(number, str(number)) for number in self._faces)
        if self.threshold is not None:
            threshold = f"{self.threshold:g}"
        elif self._stated_threshold is not None:
            threshold = f"{self._stated_threshold:g} ({THRESHOLD_FILE})"
        else:
            threshold = (
                f"{self.default_threshold:g} (default of its layout)" if self.layout_known else "default of its layout"
            )
        size = f"{self._facts.width} x {self._facts.height}"
        line = f"onnx {self.path}, layout {layout}; classes {classes}; input {size} pixels; threshold {threshold}"
        return one_line(line)  # class names come from the file

    def detect(self, pages: Sequence["Page"]) -> list[np.ndarray]:
        """See `egara.faces.protocol.Detector`."""
        return [suppress(self._detect(page.image), NMS_OVERLAP) for page in pages]

    def _detect(self, image: np.ndarray) -> np.ndarray:
        if self._original:
            return self._detect_original(image)
        if self._layout is None and not self._recognise_layout(image):
            return np.zeros((0, 5))
        canvas = self._fit(image, self._layout.fit)
        return canvas.to_page(self._boxes(self._output(canvas), self._layout))

    def _recognise_layout(self, image: np.ndarray) -> bool:
        """Recognise the layout by the output for a page; how the page is fitted into the input does not matter."""
        output = self._output(self._fit(image, "letterbox")).astype(np.float64)
        try:
            self._layout = recognise_layout(output, self._facts, self.settings.layout)
        except EgaraError as error:
            raise EgaraError(f"{self._where} {error}") from error
        return self._layout is not None

    def _boxes(self, output: np.ndarray, layout: Layout) -> np.ndarray:
        threshold = self.settings.threshold_or(self.default_threshold)
        try:
            return read_output(output, layout, self._facts, threshold, self._faces)
        except EgaraError as error:
            raise type(error)(f"{self._where} {error}") from error

    def _fit(self, image: np.ndarray, fit: str) -> Canvas:
        return FITS[fit](image, self._facts.height, self._facts.width)

    def _run(self, canvas: Canvas, **more: np.ndarray) -> list[np.ndarray]:
        dtype = np.float16 if "float16" in self._inputs[0].type else np.float32
        return run_graph(self._session, {self._inputs[0].name: canvas.pixels.astype(dtype), **more}, self._where)

    def _output(self, canvas: Canvas) -> np.ndarray:
        """Return the output with boxes; masks and feature maps may be further outputs."""
        outputs = self._run(canvas)
        shapes = [getattr(output, "shape", ()) for output in outputs]
        tables = [index for index, shape in enumerate(shapes) if len(shape) < 4]
        table = outputs[tables[0]] if len(tables) == 1 else np.zeros(0)
        if table.ndim != 3 or table.shape[0] != 1 or table.dtype.kind != "f":
            shown = ", ".join(str(shape) for shape in shapes)
            raise EgaraError(f"{self._where} returns {shown}; expected one output of shape (1, numbers per box, boxes)")
        return table[0]

    def _detect_original(self, image: np.ndarray) -> np.ndarray:
        """Run RT-DETR as its authors export it: it takes the page's size and returns boxes in the page's pixels."""
        height, width = image.shape[:2]
        canvas = self._fit(image, "stretch")
        outputs = self._run(canvas, **{self._inputs[1].name: np.array([[width, height]], np.int64)})
        found = dict(zip((output.name for output in self._session.get_outputs()), outputs, strict=True))
        shapes = {name: np.shape(value) for name, value in found.items()}
        count = shapes.get("scores", (1, 0))[-1]
        if shapes != {"labels": (1, count), "boxes": (1, count, 4), "scores": (1, count)}:
            raise EgaraError(
                f"{self._where} returns {shapes}; expected labels, boxes and scores, as in RT-DETR's own export"
            )
        table = np.column_stack([found["boxes"][0], found["scores"][0], found["labels"][0]]).astype(np.float64)
        return self._boxes(table, Layout(ORIGINAL, labelled=True, corners=True))

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
            raise EgaraError(f"{self._where} takes {shapes}; expected one input of shape (1, 3, height, width)")
        if isinstance(shape[1], int) and shape[1] != 3:
            last = ", channels last; expected an export with channels first" if shape[3] == 3 else "; expected colour"
            raise EgaraError(f"{self._where} takes {shapes}{last}: (1, 3, height, width)")
        if isinstance(shape[0], int) and shape[0] not in (0, -1, 1):
            raise EgaraError(f"{self._where} has batch size {shape[0]}; expected an export with 1 or any")
        if inputs[0].type not in ("tensor(float)", "tensor(float16)"):
            raise EgaraError(f"{self._where} takes {shapes}; expected float32 or float16")
        if self._original and self.settings.layout not in ("auto", "rtdetr"):
            raise EgaraError(f"{self._where} is RT-DETR's original export; expected faces.layout: auto")
        return inputs

    def _sides(self, stated: str) -> tuple[int, int]:
        """Return the input's height and width: from the graph, else the configuration, else the metadata, else 640."""
        fixed = [side if isinstance(side, int) and side > 0 else None for side in self._inputs[0].shape[2:]]
        wanted = self.settings.side
        if wanted and None not in fixed and fixed != [wanted, wanted]:
            only = f"takes pages of {fixed[1]} x {fixed[0]} pixels only"
            raise EgaraError(f"{self._where} {only}; expected faces.side: auto, not {wanted}")
        open_sides = [wanted, wanted] if wanted else _read_sides(stated)
        return tuple(have or want for have, want in zip(fixed, open_sides, strict=True))


def _read_threshold(path: Path) -> float | None:
    for file in threshold_files(path):
        try:
            value = read_json(file, "a threshold")["threshold"]
        except (EgaraError, KeyError):
            value = None
        if type(value) not in (int, float) or not 0 <= value <= 1:
            raise EgaraError(f"detector onnx: {file} has no threshold from 0 to 1; expected one, or faces.threshold")
        return float(value)
    return None


def _read_sides(stated: str) -> list[int]:
    """Parse `imgsz` of the metadata, `[1280, 1280]` (height, width) or `1280`; 640 where it is not usable."""
    try:
        sides = ast.literal_eval(stated)
        sides = [sides, sides] if isinstance(sides, int) else list(sides)
        usable = len(sides) == 2 and all(isinstance(side, int) and SIDE_MULTIPLE <= side <= 8192 for side in sides)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        usable = False
    return [-(-side // SIDE_MULTIPLE) * SIDE_MULTIPLE for side in sides] if usable else [DEFAULT_SIDE, DEFAULT_SIDE]


def _stated_layouts(metadata: dict[str, str]) -> tuple[str, ...]:
    """Return the layouts that the file's metadata states, by name."""
    if metadata.get("head") == "RTDETRDecoder":
        return ("rtdetr",)
    flags = [metadata.get("end2end"), metadata.get("nms")]
    with contextlib.suppress(ValueError, SyntaxError, TypeError, AttributeError, RecursionError, MemoryError):
        flags.append(str(ast.literal_eval(metadata.get("args", "{}")).get("nms")))
    return ("end2end",) if "True" in flags else ()
