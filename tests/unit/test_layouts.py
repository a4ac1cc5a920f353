"""ONNX detectors of every common layout find the red rectangle, or are refused in one line."""

import json

import numpy as np
import onnx
import pytest
from networks import FACE, SCORE, SIDE, SURE, cells, network, original_rtdetr, red_page
from onnx import TensorProto

from egara.faces.backends.class_names import choose_classes, read_names
from egara.faces.backends.layouts import Facts, recognise_layout
from egara.faces.boxes import clip, overlap
from egara.faces.detectors import describe_detector, load_detector
from egara.faces.protocol import Page
from egara.faces.registry import DetectorSettings
from egara.io.errors import EgaraError

FACES = {"names": "{0: 'face'}", "author": "Ultralytics"}
MANGA109 = {"names": "{0: 'body', 1: 'face', 2: 'frame', 3: 'text'}"}
END2END = {"box": "corners", "tail": "label", "rows": 300}
RTDETR = {"unit": "fractions", "rows": 300, "fit": "stretch"}
OPEN = ("batch", 3, "height", "width")
STRETCHED = (1, 3, SIDE, 2 * SIDE)  # a shape that no letterbox of the page fills

CASES = {
    "YOLOv8": ("yolo", {"transposed": True}, FACES),
    "YOLOv8 without metadata": ("yolo", {"transposed": True}, None),
    "YOLOv8 of Manga109": ("yolo", {"transposed": True, "classes": 4, "face": 1}, MANGA109),
    "YOLOv8 in half precision": ("yolo", {"transposed": True, "half": True}, FACES),
    "YOLOv8 of any batch": ("yolo", {"transposed": True, "shape": ("batch", 3, SIDE, SIDE)}, FACES),
    "YOLOv8 of open sides": ("yolo", {"transposed": True, "shape": OPEN, "rows": 84}, FACES | {"imgsz": "[256, 256]"}),
    "YOLOv8 with fractions": ("yolo", {"transposed": True, "unit": "fractions"}, FACES),
    "YOLOv8 with masks": (
        "yolo", {"transposed": True, "extras": 32, "beside": (1, 32, 8, 8)}, FACES | {"task": "segment"},
    ),
    "YOLOv8 with joints": ("yolo", {"transposed": True, "extras": 15}, FACES | {"task": "pose"}),
    "YOLOv8 in rows": ("yolo", {"classes": 2, "face": 1}, {"names": "['body', '顔']"}),
    "YOLOv5": ("yolov5", {"tail": "objectness", "rows": "anchors"}, None),
    "YOLOv5 of Manga109": ("yolov5", {"tail": "objectness", "rows": "anchors", "classes": 4, "face": 1}, MANGA109),
    "YOLOv6": ("yolov5", {"tail": "objectness", "objectness": 1}, None),
    "YOLOv10": ("end2end", END2END, FACES | {"end2end": "True"}),
    "YOLO26 without metadata": ("end2end", END2END, None),
    "YOLO26 of Manga109": ("end2end", END2END | {"face": 1}, MANGA109),
    "export with nms": ("end2end", END2END, FACES | {"args": "{'batch': 1, 'nms': True}"}),
    "export with nms of fractions": ("end2end", END2END | {"unit": "fractions"}, FACES | {"args": "{'nms': True}"}),
    "RT-DETR": ("rtdetr", RTDETR | {"tail": "label"}, FACES | {"head": "RTDETRDecoder"}),
    "RT-DETR, wide": ("rtdetr", RTDETR | {"tail": "label", "shape": STRETCHED}, FACES | {"head": "RTDETRDecoder"}),
    "RT-DETR without metadata": ("rtdetr", RTDETR | {"tail": "label", "face": 3}, {"names": "['a', 'b', 'c', 'Face']"}),
    "older RT-DETR": ("rtdetr", RTDETR, FACES),
    "older RT-DETR of Manga109": ("rtdetr", RTDETR | {"classes": 4, "face": 1}, MANGA109),
    "YOLOX": ("yolox", {"box": "grid", "tail": "objectness", "fit": "corner"}, None),
    "YOLOX, decoded": ("yolox", {"tail": "objectness", "fit": "corner"}, None),
}  # fmt: skip


def found(spec, page=None, **settings):
    """Return the detector and its boxes on a page, clipped to it."""
    page = red_page() if page is None else page
    detector = load_detector(spec, DetectorSettings(**settings))
    boxes = detector.detect([Page("v", "1", page)])[0]
    return detector, clip(boxes, page.shape[1], page.shape[0])


def is_face(boxes, face=FACE):
    return len(boxes) == 1 and overlap(boxes, np.array([face], float))[0, 0] > 0.85


@pytest.mark.parametrize("case", CASES)
def test_layout_is_recognised_and_read(case, tmp_path):
    layout, options, metadata = CASES[case]
    detector, boxes = found(network(tmp_path / "a.onnx", **options, metadata=metadata))
    assert is_face(boxes), boxes
    assert f"layout {layout} (" in detector.describe()
    objectness = 1 if options.get("tail") != "objectness" or options.get("objectness") == 1 else SURE
    assert boxes[0, 4] == pytest.approx(SCORE * objectness, abs=1e-3)
    # The layout of one page holds for others, even for one without a face.
    wide, blank = red_page((10, 5, 60, 35), 60, 180), np.full((90, 40), 255, np.uint8)
    boxes, none = detector.detect([Page("v", "2", wide), Page("v", "3", blank)])
    assert is_face(boxes, (10, 5, 60, 35))
    assert len(none) == 0


@pytest.mark.parametrize("case", ["YOLOv10", "RT-DETR without metadata", "YOLOX"])
def test_layout_is_recognised_after_a_blank_page(case, tmp_path):
    _, options, metadata = CASES[case]
    spec = network(tmp_path / "a.onnx", **options, metadata=metadata)
    blank = Page("v", "1", np.full((120, 200), 255, np.uint8))
    assert [is_face(boxes) for boxes in load_detector(spec).detect([blank, Page("v", "2", red_page())])] == [
        False,
        True,
    ]


def test_original_rtdetr_is_recognised_by_its_inputs(tmp_path):
    detector, boxes = found(original_rtdetr(tmp_path / "a.onnx"))
    assert is_face(boxes)
    assert "rtdetr-original" in detector.describe()
    assert "0.6" in detector.describe()
    with pytest.raises(EgaraError, match=r"returns class 2 without names; expected the numbers .* in faces\.classes"):
        found(original_rtdetr(tmp_path / "a.onnx", label=2))
    assert is_face(found(original_rtdetr(tmp_path / "a.onnx", label=2), classes=("2",))[1])


REFUSED = {
    "channels last": ({"shape": (1, SIDE, SIDE, 3)}, None, "channels last"),
    "Transformers' RT-DETR": ({"rows": 300, "beside": (1, 300, 4)}, None, "returns .*; expected one output of shape"),
    "numbers of bytes": ({"taken": TensorProto.UINT8}, None, "expected float32 or float16"),
    "one grey channel": ({"shape": (1, 1, SIDE, SIDE)}, None, "expected colour"),
    "batch of four": ({"shape": (4, 3, SIDE, SIDE)}, None, "has batch size 4"),
    "turned boxes": ({"transposed": True, "extras": 1}, FACES | {"task": "obb"}, "for the task obb"),
    "classes without names": ({"transposed": True, "classes": 3}, None, "scores of 3 classes without names"),
    "no class a face": (
        {"transposed": True, "classes": 2}, {"names": "{0: 'body', 1: 'head'}"},
        r"has the classes body \(0\), head \(1\), none named face; choose with faces\.classes",
    ),
    "more scores than names": ({"transposed": True, "classes": 9}, FACES, "returns 13 x 336 for 1 named class, which"),
    "numbers of nothing": ({"extras": 2, "rows": 50}, FACES, "returns 50 x 7 for 1 named class, which is none"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_unrecognised_layouts_are_refused(case, tmp_path):
    options, metadata, says = REFUSED[case]
    with pytest.raises(EgaraError, match=f"detector onnx: .*{says}") as caught:
        found(network(tmp_path / "a.onnx", **options, metadata=metadata))
    assert "\n" not in str(caught.value)


def test_classes_are_chosen_by_name_or_number(tmp_path):
    spec = network(
        tmp_path / "a.onnx", transposed=True, classes=2, face=1, metadata={"names": "{0: 'body', 1: 'Head_Front'}"}
    )
    for chosen in ("head front", "1"):
        assert is_face(found(spec, classes=(chosen,))[1])
    assert len(found(spec, classes=("0",))[1]) == 0
    with pytest.raises(
        EgaraError, match=r"no class nose \(faces\.classes\); expected one of body \(0\), Head_Front \(1\)"
    ):
        load_detector(spec, DetectorSettings(classes=("nose",)))
    labelled = network(tmp_path / "c.onnx", **END2END, metadata=MANGA109)  # a body of high score
    assert len(found(labelled)[1]) == 0
    assert is_face(found(labelled, classes=("body",))[1])
    alone = network(tmp_path / "b.onnx", transposed=True, metadata={"names": "{0: 'head'}"})
    detector, boxes = found(alone)
    assert is_face(boxes)
    assert "classes head" in detector.describe()


@pytest.mark.parametrize(
    ("names", "faces"),
    [
        ("{0: 'FACE_FEMALE', 1: 'hand', 2: 'FACE_MALE'}", [0, 2]),
        ("['human face', 'Human eye']", [0]),
        ("{0: 'ｆａｃｅ', 1: '顔', 2: 'surface', 3: 'face mask'}", [0, 1]),
        ("{3: 'anime-face', 0: 'x'}", [3]),
        ("{0: '体', 1: 'キャラクターの顔', 2: '顔領域', 3: '猫の顔'}", [1, 2]),
        ("{0: 'person'}", [0]),
        ("'face'", None), ("{-1: 'face'}", None), ("{0:", None),
    ],
)  # fmt: skip
def test_classes_of_faces_are_recognised_by_their_names(names, faces):
    assert choose_classes(read_names(names), (), "a.onnx") == faces


def test_ambiguous_layout_is_decided_by_the_configuration(tmp_path):
    """Fractions whose only box can be corners or centre and size; without padding, boxes of low scores decide."""
    output = np.zeros((300, 6))
    output[0] = [0.3, 0.3, 0.5, 0.6, 0.9, 0]
    facts = Facts(SIDE, SIDE, classes=1)
    with pytest.raises(EgaraError, match=r"may be end2end .* or rtdetr .*; expected faces\.layout: end2end or rtdetr"):
        recognise_layout(output, facts)
    assert recognise_layout(output, facts, "rtdetr").fit == "stretch"
    assert recognise_layout(output, facts, "end2end").corners
    assert recognise_layout(output, Facts(SIDE, SIDE, 1, stated=("rtdetr",))).name == "rtdetr"
    output[1:, :4] = [0.8, 0.2, 0.1, 0.1]
    assert recognise_layout(output, facts).name == "rtdetr"


def test_configured_layout_must_fit(tmp_path):
    spec = network(tmp_path / "a.onnx", transposed=True, metadata=FACES)
    with pytest.raises(EgaraError, match="which is none of end2end"):
        found(spec, layout="end2end")


def test_output_without_a_box_has_no_layout():
    assert recognise_layout(np.zeros((300, 6)), Facts(SIDE, SIDE, 1)) is None
    assert recognise_layout(np.zeros((0, 6)), Facts(SIDE, SIDE, 1)) is None


def test_side_comes_from_graph_configuration_or_metadata(tmp_path):
    spec = network(tmp_path / "a.onnx", transposed=True, shape=OPEN, rows=84, metadata=FACES | {"imgsz": "[96, 160]"})
    assert "input 160 x 96 pixels" in describe_detector(spec)
    assert "input 320 x 320 pixels" in describe_detector(spec, side=320)
    assert "input 640 x 640" in describe_detector(network(tmp_path / "b.onnx", transposed=True, shape=OPEN, rows=84))
    assert is_face(found(spec, side=320)[1])
    fixed = network(tmp_path / "c.onnx", transposed=True)
    with pytest.raises(EgaraError, match=r"pages of 128 x 128 pixels only; expected faces\.side: auto, not 320"):
        load_detector(fixed, DetectorSettings(side=320))


def test_threshold_comes_from_configuration_file_or_layout(tmp_path):
    spec = network(tmp_path / "a.onnx", transposed=True, metadata=FACES)
    assert found(spec)[0].default_threshold == 0.25
    stated = tmp_path / "threshold.json"
    stated.write_text(json.dumps({"f1_score": 0.94, "threshold": 0.91}))
    assert len(found(spec)[1]) == 0
    assert "threshold 0.91 (threshold.json)" in describe_detector(spec)
    assert is_face(found(spec, threshold=0.3)[1])
    stated.write_text('{"threshold": "much"}')
    with pytest.raises(EgaraError, match="threshold.json has no threshold from 0 to 1"):
        load_detector(spec)


def test_grids_have_one_row_per_cell():
    """The grid of the graphs above is YOLOX's: 8,400 cells at 640."""
    assert len(cells(640)) == 8400


@pytest.mark.parametrize("setting", [{"layout": "yolo"}, {"classes": ("face",)}, {"side": 640}])
def test_settings_of_onnx_files_are_refused_for_other_detectors(setting):
    with pytest.raises(EgaraError, match=rf"detector egara: faces\.{next(iter(setting))} is for detectors onnx"):
        load_detector("egara", DetectorSettings(**setting))


def test_boxes_of_rtdetr_may_extend_beyond_the_page():
    """Three boxes of high scores, the last one a fifth beyond the right edge: only RT-DETR's layout fits."""
    output = np.zeros((300, 6))
    output[:3] = [[0.3, 0.3, 0.1, 0.2, 0.9, 0], [0.5, 0.7, 0.1, 0.2, 0.6, 0], [0.95, 0.5, 0.5, 0.3, 0.5, 0]]
    output[3:, :5] = [0.9, 0.9, 0.8, 0.8, 0.001]
    assert recognise_layout(output, Facts(SIDE, SIDE, 1)).name == "rtdetr"


def test_more_scores_than_named_classes_are_refused(tmp_path):
    """The face's score is where another layout has a class, so the page is not taken for blank."""
    spec = network(tmp_path / "a.onnx", transposed=True, classes=2, face=1, metadata=FACES)
    with pytest.raises(EgaraError, match="returns 6 x 336 for 1 named class, which is none of yolo"):
        found(spec)


OTHER_FILES = {
    "a PyTorch file": b"PK\x03\x04",
    "a Python pickle": b"\x80\x02}q",
    "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    "a web page": b"<!doctype html>",
}


@pytest.mark.parametrize("kind", OTHER_FILES)
def test_other_file_types_are_named(tmp_path, kind):
    (tmp_path / "a.onnx").write_bytes(OTHER_FILES[kind])
    with pytest.raises(EgaraError, match=rf"a\.onnx is {kind}.*; expected"):
        load_detector(f"onnx:{tmp_path / 'a.onnx'}")


def test_networks_that_onnxruntime_cannot_open_are_explained(tmp_path):
    path = tmp_path / "a.onnx"
    spec = network(path, transposed=True)
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="a.onnx.data", size_threshold=0)
    with pytest.raises(EgaraError, match=r"keeps its weights in a separate file; expected an export to a single file"):
        load_detector(spec)
    network(path, transposed=True)
    model = onnx.load(path)
    model.ir_version = 99
    onnx.save(model, path)
    with pytest.raises(EgaraError, match=r"an ONNX file that onnxruntime [\d.]+ opens \(Unsupported model IR version"):
        load_detector(spec)


def test_outputs_may_be_in_any_order(tmp_path):
    spec = network(tmp_path / "a.onnx", transposed=True, beside=(1, 32, 8, 8), metadata=FACES)
    model = onnx.load(tmp_path / "a.onnx")
    outputs = list(model.graph.output)[::-1]
    del model.graph.output[:]
    model.graph.output.extend(outputs)
    onnx.save(model, tmp_path / "a.onnx")
    assert is_face(found(spec)[1])
