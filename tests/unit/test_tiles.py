"""Tiles cover double pages and long strips; a face on a cut is found once and whole."""

import numpy as np
import pytest
from networks import network, red_page

from egara.faces.boxes import overlap
from egara.faces.detectors import load_detector
from egara.faces.protocol import Page
from egara.faces.registry import DetectorSettings
from egara.faces.tiles import cut_tiles, merge_tiles
from egara.io.errors import EgaraError


def test_pages_stay_whole_and_others_are_cut_into_page_shapes():
    assert cut_tiles(1170, 827, doubles=True) == [(0, 0, 827, 1170)]
    assert cut_tiles(1170, 1654, doubles=False) == [(0, 0, 1654, 1170)]
    whole, left, right = cut_tiles(1170, 1654, doubles=True)
    assert whole == (0, 0, 1654, 1170)
    assert left == (0, 0, 1034, 1170)
    assert right == (620, 0, 1654, 1170)


@pytest.mark.parametrize(("height", "width"), [(20_000, 800), (2001, 800), (700, 9000)])
def test_strips_are_covered_and_neighbours_share_half_a_page(height, width):
    cut = cut_tiles(height, width, doubles=False)
    seen = np.zeros((height, width), np.uint8)
    for left, top, right, bottom in cut:
        seen[top:bottom, left:right] += 1
        assert max(bottom - top, right - left) <= 2.5 * min(height, width)
    assert seen.min() == 1
    assert 1 < len(cut) <= 2 + 1.5 * max(height, width) / min(height, width)
    axis = int(width > height)
    steps = np.diff([window[1 - axis] for window in cut])
    shared = [before[3 - axis] - after[1 - axis] for before, after in zip(cut[:-1], cut[1:], strict=True)]
    assert min(shared) > 0.3 * steps.max()


def test_a_face_on_the_cut_is_found_once():
    windows = [(0, 0, 100, 60), (80, 0, 180, 60)]
    whole = np.array([[5.0, 10, 35, 40, 0.6]])  # on the page: 85 to 115
    cut = np.array([[85.0, 10, 100, 40, 0.9]])
    np.testing.assert_array_equal(merge_tiles([cut, whole], windows, 60, 180), [[85, 10, 115, 40, 0.6]])
    # A part outside every whole face stays, and so does a face at the page's edge.
    edge = np.array([[90.0, 0, 100, 20, 0.7]])
    np.testing.assert_array_equal(
        merge_tiles([cut, edge], windows, 60, 180), [[85, 10, 100, 40, 0.9], [170, 0, 180, 20, 0.7]]
    )
    assert merge_tiles([cut[:0], cut[:0]], windows, 60, 180).shape == (0, 5)


def test_tiles_find_faces_on_strips(tmp_path):
    spec = network(tmp_path / "a.onnx", transposed=True, metadata={"names": "{0: 'face'}"})
    face = (60, 5000, 100, 5050)
    strip = Page("v", "1", red_page(face, 9000, 200))
    detector = load_detector(spec)
    boxes = detector.detect([strip])[0]
    assert len(boxes) == 1
    assert overlap(boxes, np.array([face], float))[0, 0] > 0.8
    assert detector.describe().endswith("long strips in tiles")
    alone = load_detector(spec, DetectorSettings(tiles="no")).detect([strip])[0]
    assert not len(alone) or overlap(alone, np.array([face], float))[0, 0] < 0.5


def test_double_pages_are_cut_with_tiles_yes(tmp_path):
    spec = network(tmp_path / "a.onnx", transposed=True, metadata={"names": "{0: 'face'}"})
    face = (310, 100, 420, 220)  # over the fold of a page of 720
    found = load_detector(spec, DetectorSettings(tiles="yes")).detect([Page("v", "1", red_page(face, 500, 720))])[0]
    assert len(found) == 1
    assert overlap(found, np.array([face], float))[0, 0] > 0.9


@pytest.mark.parametrize("spec", ["whole", "annotations:somewhere"])
def test_detectors_without_pixels_have_no_tiles(spec):
    with pytest.raises(EgaraError, match="does not look at pages, so it has no tiles"):
        load_detector(spec, DetectorSettings(tiles="yes"))
