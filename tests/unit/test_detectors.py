"""Every detector takes a batch of pages and returns boxes (n_boxes, 5), best first; bad files are one line."""

import argparse
import os
import subprocess
import sys

import numpy as np
import pytest

from egara.config import complete_config
from egara.faces.backends import embedded
from egara.faces.backends.anime import as_pillow_image, known_face
from egara.faces.backends.canvas import corner, letterbox, stretch
from egara.faces.boxes import clip, overlap, suppress
from egara.faces.detectors import (
    add_arguments,
    describe_detector,
    list_arguments,
    load_detector,
    read_arguments,
)
from egara.faces.protocol import Page, PageFailed
from egara.faces.registry import DETECTORS, DetectorSettings
from egara.io.errors import EgaraError

BLANK = np.full((90, 120), 255, np.uint8)


def test_whole_returns_the_page():
    boxes = load_detector("whole").detect([Page("v", "1", BLANK), Page("v", "2", BLANK[:50])])
    assert [b.tolist() for b in boxes] == [[[0, 0, 120, 90, 1]], [[0, 0, 120, 50, 1]]]


def test_annotations_from_a_table(tmp_path):
    table = tmp_path / "boxes.tsv"
    table.write_text(
        "volume\tpage\tleft\ttop\tright\tbottom\tstyle\n001\tp1\t10\t5\t40\t35\tx\n001\tp1\t100\t50\t140\t80\tx\n"
    )
    detector = load_detector(f"annotations:{table}")
    first, second = detector.detect([Page("001", "p1", BLANK), Page("001", "p2", BLANK)])
    assert first.tolist() == [[10, 5, 40, 35, 1], [100, 50, 140, 80, 1]]
    assert clip(first, 120, 90)[1].tolist() == [100, 50, 120, 80, 1]
    assert second.shape == (0, 5)
    with pytest.raises(EgaraError, match=r"volume 1: no boxes in .*boxes\.tsv"):
        detector.detect([Page("1", "p1", BLANK)])


def test_invalid_boxes_of_a_table_are_dropped(tmp_path):
    table = tmp_path / "boxes.tsv"
    table.write_text(
        "volume\tpage\tleft\ttop\tright\tbottom\n001\tp1\t10\t5\t40\t35\n001\tp1\t9\t5\tx\t35\n"
        f"001\tp1\t9\t5\t9\t35\n001\tp1\t1\t1\t1{'0' * 400}\t9\n"
    )
    boxes = load_detector(f"annotations:{table}").detect([Page("001", "p1", BLANK)])[0]
    assert len(boxes) == 4
    assert clip(boxes, 120, 90).tolist() == [[10, 5, 40, 35, 1]]


BOOK = (
    '<book title="Book"><pages><page index="3" width="120" height="90">'
    '<face id="0" xmin="10" ymin="20" xmax="30" ymax="45" character="c"/>'
    '<face id="1" xmin="200" ymin="20" xmax="230" ymax="45"/><face id="2" xmin="x" ymin="2" xmax="3" ymax="4"/>'
    '<body id="3" xmin="0" ymin="0" xmax="60" ymax="90" character="c"/></page>'
    '<page index="4" width="120" height="90"/></pages></book>'
)


def test_annotations_from_manga109(tmp_path):
    (tmp_path / "annotations.v2020.12.18").mkdir()
    (tmp_path / "annotations.v2018.05.31").mkdir()  # an older one, and empty
    file = tmp_path / "annotations.v2020.12.18" / "Book.xml"
    file.write_text(BOOK)
    for path in (tmp_path, file.parent, file):
        detector = load_detector(f"annotations:{path}")
        boxes = detector.detect([Page("Book", "003.jpg", BLANK), Page("Book", "Book_004.png", BLANK)])
        assert [clip(b, 120, 90).tolist() for b in boxes] == [[[10, 20, 30, 45, 1]], []]
        with pytest.raises(EgaraError, match="volume Other: not annotated"):
            detector.detect([Page("Other", "003.jpg", BLANK)])


def test_boxes_of_manga109_are_scaled_to_resized_pages(tmp_path):
    (tmp_path / "Book.xml").write_text(BOOK)
    detector = load_detector(f"annotations:{tmp_path}")
    for height, width in ((45, 60), (180, 240), (31, 40)):
        face = detector.detect([Page("Book", "p003.png", np.zeros((height, width), np.uint8))])[0][0]
        np.testing.assert_allclose(face[:4] / [width, height, width, height], [10 / 120, 20 / 90, 30 / 120, 45 / 90])


@pytest.mark.parametrize(
    ("page", "shape", "says"),
    [
        ("003.jpg", (90, 60), "has 60 x 90 pixels, its annotations 120 x 90; expected the same aspect ratio"),
        ("cover.jpg", (90, 120), ": its name has no index, or several; expected names like Manga109's 007.jpg"),
        ("v01_003.jpg", (90, 120), ": its name has no index, or several"),
        ("005.jpg", (90, 120), "is not annotated in .*; expected a page with the index 5"),
        ("0003.jpg", (90, 120), "has the same index as 003.png; expected one page with the index 3"),
    ],
)
def test_page_without_annotations_fails_alone(page, shape, says, tmp_path):
    (tmp_path / "Book.xml").write_text(BOOK)
    detector = load_detector(f"annotations:{tmp_path}")
    if "as 003.png" in says:
        detector.detect([Page("Book", "003.png", BLANK)])
    with pytest.raises(PageFailed, match=f"volume Book: page {page} ?{says}"):
        detector.detect([Page("Book", page, np.zeros(shape, np.uint8))])


def test_cascade_finds_nothing_on_a_blank_page_and_scores_by_windows():
    import cv2

    detector = load_detector(
        f"cascade:{cv2.data.haarcascades}haarcascade_frontalface_default.xml", DetectorSettings(threshold=0.3)
    )
    assert [b.shape for b in detector.detect([Page("v", "1", BLANK)])] == [(0, 5)]

    class Windows:
        def detectMultiScale2(self, *_, **__):  # noqa: N802 (OpenCV's name)
            return np.array([[10, 20, 30, 40], [1, 2, 30, 30], [5, 5, 20, 20]]), np.array([5, 15, 1])

    detector._cascade = Windows()
    boxes = detector.detect([Page("v", "1", BLANK)])[0]
    assert boxes.tolist() == [[1, 2, 31, 32, 0.75], [10, 20, 40, 60, 0.5]]


def test_animeface_finds_the_drawn_face_and_nothing_on_a_blank_page():
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
    with pytest.raises(
        EgaraError, match="expected one of animeface, annotations:<file or folder>, cascade:<file>, egara"
    ):
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
    assert "corrupt" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_greyscale_onnx_is_refused():
    with pytest.raises(EgaraError, match=r"takes pages .*; expected colour: \(1, 3, height, width\)"):
        load_detector(f"onnx:{DETECTORS['egara'].weights_file()}")


def test_canvases_map_boxes_back_to_the_page():
    page = np.full((100, 50, 3), 255, np.uint8)
    page[20:60, 10:30] = (200, 0, 0)
    for fit, sides, middle in (
        (letterbox, [70, 40, 110, 120], (200 / 255, 0)),
        (stretch, [40, 40, 120, 120], (200 / 255, 0)),
        (corner, [20, 40, 60, 120], (0, 200)),
    ):
        canvas = fit(page, 200, 200)
        assert canvas.pixels.shape == (1, 3, 200, 200)
        assert canvas.pixels.dtype == np.float32
        left, top, right, bottom = sides
        inside = canvas.pixels[0, ::2, top + 3 : bottom - 3, left + 3 : right - 3]
        np.testing.assert_allclose(inside.mean(axis=(1, 2)), middle, rtol=1e-4)
        np.testing.assert_allclose(canvas.to_page(np.array([[*sides, 0.5]])), [[10, 20, 30, 60, 0.5]])
    assert letterbox(page, 200, 200).pixels[0, 0, 100, 10] == pytest.approx(114 / 255)


def test_suppression_keeps_the_best_of_overlapping_boxes():
    boxes = np.array([[0, 0, 10, 10, 0.5], [1, 0, 11, 10, 0.9], [30, 30, 40, 40, 0.2], [5, 0, 15, 10, 0.4]], float)
    assert suppress(boxes, 0.5)[:, 4].tolist() == [0.9, 0.4, 0.2]


def test_output_of_the_embedded_detector_is_decoded():
    output = np.zeros((5, 6, 8), np.float32)
    output[0, 2, 3], output[0, 2, 4], output[0, 5, 0] = 0.9, 0.6, 0.3
    output[1:] = np.log([2, 1, 2, 3])[:, None, None]
    boxes = embedded.decode(output, 0.25)
    np.testing.assert_allclose(boxes, [[12, 12, 44, 44, 0.9], [-12, 36, 20, 68, 0.3]], rtol=1e-5)


def test_working_scale_keeps_the_size_of_faces_on_double_pages_and_strips():
    single = embedded.working_scale(1448, 1024)
    assert embedded.working_scale(1448, 2048) == single == 0.625
    assert embedded.working_scale(20_000, 1024) == single
    assert embedded.working_scale(100, 100) == 1


def test_pieces_of_a_strip_cover_it_and_overlap():
    strip = np.arange(4000, dtype=np.float32)[:, None].repeat(33, axis=1)
    pieces = embedded.cut(strip)
    seen = np.zeros(4000, int)
    for start, piece in pieces:
        rows = min(len(piece), embedded.PIECE, 4000 - start)
        assert (piece[:rows, 0] == strip[start : start + rows, 0]).all() and piece.shape[0] % 32 == piece.shape[
            1
        ] % 32 == 0
        seen[start : start + rows] += 1
    assert seen.min() == 1
    assert (seen == 2).sum() == embedded.OVERLAP * (len(pieces) - 1)


def test_every_detector_is_described_in_a_line(tmp_path):
    import cv2

    cascade = f"cascade:{cv2.data.haarcascades}haarcascade_frontalface_default.xml"
    (tmp_path / "b.tsv").write_text("volume\tpage\tleft\ttop\tright\tbottom\n")
    for spec, says in (
        ("egara", "640 x 905 pixels; threshold 0.5"),
        (cascade, "faces from 24 pixels; threshold 0.5"),
        (f"annotations:{tmp_path / 'b.tsv'}", "a table of boxes"),
        ("whole", "every image"),
    ):
        assert says in describe_detector(spec)
    assert "threshold 0.7" in describe_detector("egara", threshold=0.7)
    assert "threshold 0.7; double pages" in describe_detector("egara", 0.7, tiles=True)


def test_the_configuration_reaches_the_commands():
    config = complete_config({"corpus": "c", "works": "w.tsv"})
    settings, limits = config["faces"], config["pages"]["limits"]
    parsed = argparse.ArgumentParser()
    add_arguments(parsed)
    assert read_arguments(parsed.parse_args(list_arguments(settings, limits))) == DetectorSettings()
    settings |= {"threshold": 0.3, "layout": "yolox", "classes": ["--x {y}", 3], "side": 320, "tiles": True}
    read = read_arguments(parsed.parse_args(list_arguments(settings, {"annotations": 40})))
    assert read == DetectorSettings(0.3, "yolox", ("--x {y}", "3"), 320, "yes", 40)


def test_annotation_limit_comes_from_the_configuration(tmp_path):
    box = '<face id="1" xmin="2" ymin="3" xmax="20" ymax="25" character="1"/>'
    text = f'<book title="v"><pages><page index="0" width="40" height="30">{box}</page></pages></book>'
    (tmp_path / "v.xml").write_text(text + " " * 2**20)
    page = Page("v", "000.png", np.zeros((30, 40), np.uint8))
    spec = f"annotations:{tmp_path / 'v.xml'}"
    with pytest.raises(EgaraError, match=r"more than 1 MiB, pages\.limits\.annotations"):
        load_detector(spec, DetectorSettings(annotations=1)).detect([page])
    assert load_detector(spec, DetectorSettings(annotations=2)).detect([page])[0].tolist() == [[2, 3, 20, 25, 1]]


@pytest.mark.parametrize(
    ("key", "value"), [("threshold", 2), ("threshold", "much"), ("side", 100), ("tiles", "some"), ("layout", "v8")]
)
def test_faces_of_the_configuration_are_checked(key, value):
    with pytest.raises(EgaraError, match=rf"config: faces\.{key} is {value!r}; expected "):
        complete_config({"corpus": "c", "works": "w.tsv", "faces": {key: value}})


def test_help_needs_no_heavy_library():
    code = (
        "import sys\n"
        "from egara.faces import __main__, evaluate\nfrom egara.pretraining import detector as train\n"
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
