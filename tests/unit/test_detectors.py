"""Every detector keeps the protocol: a batch of pages in, boxes (n, 5) out, best first; bad files are one line."""

import os
import subprocess
import sys

import numpy as np
import pytest

from egara.errors import EgaraError
from egara.faces.backends import own, yolo
from egara.faces.backends.anime import as_pillow_image, known_face
from egara.faces.boxes import overlap, suppress
from egara.faces.detectors import load_detector
from egara.faces.protocol import Page

BLANK = np.full((90, 120), 255, np.uint8)


def yolo_file(path, answer, side=64, names=None):
    """Write a graph that answers `answer` to whatever page it is shown."""
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("ReduceMax", ["images"], ["most"], keepdims=0),
        helper.make_node("Sub", ["most", "most"], ["nothing"]),
        helper.make_node("Add", ["boxes", "nothing"], ["output0"]),
    ]
    graph = helper.make_graph(
        nodes,
        "boxes",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, side, side])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, list(answer.shape))],
        [numpy_helper.from_array(answer.astype(np.float32), "boxes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if names:
        helper.set_model_props(model, {"names": names})
    path.write_bytes(model.SerializeToString())
    return f"onnx:{path}"


# Middle x, middle y, width, height in a letterbox of 64; the second nearly repeats the first, the third is unsure.
MIDDLES = np.array([[16, 20, 8, 10], [16.5, 20, 8, 10], [48, 40, 12, 12]], float)


def pad_columns(rows, count=40):
    return np.concatenate([rows, np.zeros((count - len(rows), rows.shape[1]))])


def test_yolo_answers_come_back_in_pixels_of_the_page(tmp_path):
    scores = np.array([[0.9], [0.8], [0.4]])
    spec = yolo_file(tmp_path / "v8.onnx", pad_columns(np.hstack([MIDDLES, scores])).T[None])
    page = np.full((128, 128, 3), 200, np.uint8)  # twice the letterbox's side
    boxes = load_detector(spec, 0.3).detect([Page("v", "1", page)])[0]
    np.testing.assert_allclose(boxes, [[24, 30, 40, 50, 0.9], [84, 68, 108, 92, 0.4]], rtol=1e-5)
    assert len(load_detector(spec, 0.5).detect([Page("v", "1", page)])[0]) == 1


def test_yolo_letterbox_is_taken_off_wide_pages(tmp_path):
    spec = yolo_file(tmp_path / "v8.onnx", pad_columns(np.hstack([MIDDLES[2:], [[0.9]]])).T[None])
    boxes = load_detector(spec, 0.3).detect([Page("v", "1", np.zeros((64, 128), np.uint8))])[0]
    np.testing.assert_allclose(boxes, [[84, 36, 108, 60, 0.9]], rtol=1e-5)  # 16 rows of border above, scale 1/2


def test_yolo_with_objectness_multiplies_scores(tmp_path):
    rows = np.hstack([MIDDLES, [[0.9], [0.8], [0.5]], [[0.5], [0.5], [0.9]]])
    spec = yolo_file(tmp_path / "v5.onnx", pad_columns(rows)[None])
    boxes = load_detector(spec, 0.3).detect([Page("v", "1", np.zeros((64, 64), np.uint8))])[0]
    np.testing.assert_allclose(boxes[:, 4], [0.45, 0.45], rtol=1e-5)


def test_yolo_keeps_only_the_class_that_is_called_face(tmp_path):
    rows = np.hstack([MIDDLES, [[0.9, 0.0], [0.8, 0.0], [0.0, 0.7]]])
    spec = yolo_file(tmp_path / "two.onnx", pad_columns(rows).T[None], names="{0: 'body', 1: 'face'}")
    boxes = load_detector(spec, 0.3).detect([Page("v", "1", np.zeros((64, 64), np.uint8))])[0]
    np.testing.assert_allclose(boxes, [[42, 34, 54, 46, 0.7]], rtol=1e-5)


def test_whole_answers_with_the_page():
    boxes = load_detector("whole").detect([Page("v", "1", BLANK), Page("v", "2", BLANK[:50])])
    assert [b.tolist() for b in boxes] == [[[0, 0, 120, 90, 1]], [[0, 0, 120, 50, 1]]]


def test_annotations_from_a_table(tmp_path):
    table = tmp_path / "boxes.tsv"
    table.write_text(
        "volume\tpage\tleft\ttop\tright\tbottom\tstyle\n001\tp1\t10\t5\t40\t35\tx\n001\tp1\t100\t50\t140\t80\tx\n"
    )
    detector = load_detector(f"annotations:{table}")
    first, second = detector.detect([Page("001", "p1", BLANK), Page("001", "p2", BLANK)])
    assert first.tolist() == [[10, 5, 40, 35, 1], [100, 50, 120, 80, 1]]  # clipped to the page of 120 pixels
    assert second.shape == (0, 5)
    with pytest.raises(EgaraError, match=r"volume 1: no boxes in .*boxes\.tsv"):
        detector.detect([Page("1", "p1", BLANK)])


def test_annotations_from_manga109(tmp_path):
    (tmp_path / "Book.xml").write_text(
        '<book title="Book"><pages><page index="3" width="120" height="90">'
        '<face id="0" xmin="10" ymin="20" xmax="30" ymax="45" character="c"/>'
        '<body id="1" xmin="0" ymin="0" xmax="60" ymax="90" character="c"/></page></pages></book>'
    )
    for path in (tmp_path, tmp_path / "Book.xml"):
        boxes = load_detector(f"annotations:{path}").detect([Page("Book", "003.jpg", BLANK), Page("Book", "4", BLANK)])
        assert [b.tolist() for b in boxes] == [[[10, 20, 30, 45, 1]], []]
        with pytest.raises(EgaraError, match="volume Other: not annotated"):
            load_detector(f"annotations:{path}").detect([Page("Other", "003.jpg", BLANK)])


def test_cascade_finds_nothing_on_a_blank_page_and_scores_by_windows():
    import cv2

    detector = load_detector(f"cascade:{cv2.data.haarcascades}haarcascade_frontalface_default.xml", 0.3)
    assert [b.shape for b in detector.detect([Page("v", "1", BLANK)])] == [(0, 5)]

    class Windows:
        def detectMultiScale2(self, *_, **__):  # noqa: N802 (OpenCV's name)
            return np.array([[10, 20, 30, 40], [1, 2, 30, 30], [5, 5, 20, 20]]), np.array([5, 15, 1])

    detector._cascade = Windows()
    boxes = detector.detect([Page("v", "1", BLANK)])[0]
    assert boxes.tolist() == [[1, 2, 31, 32, 0.75], [10, 20, 40, 60, 0.5]]


def test_animeface_finds_the_drawn_face_and_nothing_on_paper():
    pytest.importorskip("animeface")
    image, box = known_face()
    detector = load_detector("animeface")
    colour = np.dstack([image] * 3)
    found = detector.detect([Page("v", "1", image), Page("v", "2", BLANK), Page("v", "3", colour)])
    assert [b.shape for b in found] == [(1, 5), (0, 5), (1, 5)]
    assert overlap(found[0], np.array([box], float))[0, 0] > 0.4
    detector._worker.kill()
    detector._worker.wait()
    with pytest.raises(EgaraError, match="animeface: its process ended"):
        detector.detect([Page("v", "1", image)])


def test_pillow_image_points_at_the_pixels_of_the_page():
    import ctypes

    page = np.arange(12, dtype=np.uint8).reshape(3, 4)
    image = as_pillow_image(page)
    rows = [ctypes.string_at(image.image8[row], image.xsize) for row in range(image.ysize)]
    assert rows == [bytes(line) for line in page]


@pytest.mark.parametrize("spec", ["", "yolo", "egara:x", "onnx", "onnx:", "whole:x"])
def test_unknown_detector_lists_the_known_ones(spec):
    with pytest.raises(EgaraError, match="expected one of egara, animeface, onnx:<file>"):
        load_detector(spec)


@pytest.mark.parametrize("kind", ["onnx", "cascade", "annotations"])
def test_missing_file_is_one_line(kind, tmp_path):
    with pytest.raises(EgaraError, match=f"detector {kind}: .*gone.xml is missing; expected") as caught:
        load_detector(f"{kind}:{tmp_path / 'gone.xml'}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["onnx", "cascade", "annotations"])
def test_corrupt_file_is_one_line(kind, tmp_path):
    path = tmp_path / ("corrupt.xml" if kind == "cascade" else "corrupt.onnx")
    path.write_bytes(b"\x00\x01nonsense\n\nmore")
    with pytest.raises(EgaraError) as caught:
        load_detector(f"{kind}:{path}")
    assert "corrupt" in str(caught.value) and "\n" not in str(caught.value)


def test_onnx_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "flat.onnx"
    spec = yolo_file(path, np.zeros((1, 7)))
    with pytest.raises(EgaraError, match=r"answers \(1, 7\); expected"):
        load_detector(spec).detect([Page("v", "1", BLANK)])
    from egara.faces.detectors import WEIGHTS

    with pytest.raises(EgaraError, match=r"expected one input \(1, 3, height, width\)"):
        load_detector(f"onnx:{WEIGHTS}")


def test_letterbox_keeps_proportions():
    canvas, scale, left, top = yolo.letterbox(np.zeros((100, 50), np.uint8), 200, 200)
    assert canvas.shape == (1, 3, 200, 200) and (scale, left, top) == (2, 50, 0)
    assert canvas[0, 0, 100, 100] == 0 and canvas[0, 0, 100, 10] == pytest.approx(114 / 255)


def test_suppression_keeps_the_best_of_overlapping_boxes():
    boxes = np.array([[0, 0, 10, 10, 0.5], [1, 0, 11, 10, 0.9], [30, 30, 40, 40, 0.2], [5, 0, 15, 10, 0.4]], float)
    assert suppress(boxes, 0.5)[:, 4].tolist() == [0.9, 0.4, 0.2]


def test_own_map_is_decoded_to_pixels():
    answer = np.zeros((5, 6, 8), np.float32)
    answer[0, 2, 3], answer[0, 2, 4], answer[0, 5, 0] = 0.9, 0.6, 0.3
    answer[1:] = np.log([2, 1, 2, 3])[:, None, None]
    boxes = own.decode(answer, 0.25)
    np.testing.assert_allclose(boxes, [[12, 12, 44, 44, 0.9], [-12, 36, 20, 68, 0.3]], rtol=1e-5)


def test_own_scale_keeps_the_size_of_faces_on_spreads_and_strips():
    single = own.working_scale(1448, 1024)
    assert own.working_scale(1448, 2048) == single == 0.625
    assert own.working_scale(20_000, 1024) == single
    assert own.working_scale(100, 100) == 1


def test_own_pieces_of_a_strip_cover_it_and_share_rows():
    strip = np.arange(4000, dtype=np.float32)[:, None].repeat(33, axis=1)
    pieces = own.cut(strip)
    seen = np.zeros(4000, int)
    for start, piece in pieces:
        rows = min(len(piece), own.PIECE, 4000 - start)
        assert (piece[:rows, 0] == strip[start : start + rows, 0]).all() and piece.shape[0] % 32 == piece.shape[
            1
        ] % 32 == 0
        seen[start : start + rows] += 1
    assert seen.min() == 1 and (seen == 2).sum() == own.SHARED * (len(pieces) - 1)


def test_help_needs_no_heavy_library():
    code = (
        "import sys\n"
        "from egara.faces import __main__, evaluate, train\n"
        "for module in (__main__, evaluate, train):\n"
        "    try: module.main(['--help'])\n"
        "    except SystemExit: pass\n"
        "heavy = {'torch', 'onnx', 'onnxruntime', 'cv2', 'pandas', 'PIL', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
