"""The embedded detector: the artists it was trained on, its accuracy on unseen artists, its errors."""

import json

import numpy as np
import pytest

from egara.demo.artists import EVALUATED, HELD_OUT, attribution
from egara.demo.composition import CastMember, compose_page
from egara.faces.accuracy import measure
from egara.faces.backends.embedded import EmbeddedDetector
from egara.faces.detectors import load_detector
from egara.faces.protocol import Page
from egara.faces.registry import DETECTORS, DetectorSettings
from egara.io.errors import EgaraError

UNSEEN = "notionists"
WEIGHTS = DETECTORS["egara"].weights_file()


@pytest.fixture(scope="module")
def pages():
    """Four composed pages of an artist that the detector never saw, with the true boxes."""
    composed = []
    for number in range(4):
        cast = [CastMember(UNSEEN, f"unseen-{number}-{member}") for member in range(4)]
        page = compose_page(cast, f"unseen-{number}", 1)
        truth = np.array([[f.left, f.top, f.right, f.bottom] for f in page.faces], float)
        composed.append((Page("v", str(number), np.asarray(page.image)), truth))
    return composed


def test_header_names_no_evaluated_artist():
    header = EmbeddedDetector(WEIGHTS).provenance
    assert set(header["styles"]) == {style.name for style in HELD_OUT}
    creators = {artist["creator"] for artist in header["artists"]}
    assert not creators & {attribution(style.name)["creator"] for style in EVALUATED}
    assert not any(style.name in json.dumps(header) for style in EVALUATED)


def test_header_says_how_it_was_trained_and_how_well_it_did():
    header = EmbeddedDetector(WEIGHTS).provenance
    assert {"seed", "pages", "training", "validation", "artists"} <= set(header)
    assert header["validation"]["all"]["recall"] > 0.9


def test_weights_are_small():
    assert WEIGHTS.stat().st_size < 4e6


def test_finds_the_faces_of_an_unseen_artist(pages):
    found = load_detector("egara", DetectorSettings(threshold=0.5)).detect([page for page, _ in pages])
    result = measure(found, [truth for _, truth in pages])
    assert result.faces >= 15
    assert result.recall >= 0.9
    assert result.precision >= 0.9


def test_batches_and_single_pages_agree(pages):
    detector = load_detector("egara", DetectorSettings(threshold=0.3))
    together = detector.detect([page for page, _ in pages])
    for (page, _), boxes in zip(pages, together, strict=True):
        np.testing.assert_allclose(detector.detect([page])[0], boxes, atol=0.05)


def test_boxes_follow_the_page(pages):
    page, _ = pages[0]
    detector = load_detector("egara", DetectorSettings(threshold=0.5))
    moved = np.pad(page.image, ((0, 0), (0, len(page.image) // 3)), constant_values=255)
    before, after = detector.detect([page, Page("v", "spread", moved)])
    assert len(before) == len(after)
    colour = Page("v", "colour", np.dstack([page.image] * 3))
    np.testing.assert_allclose(detector.detect([colour])[0], before, atol=0.05)


def test_blank_and_tiny_pages_have_no_faces():
    sizes = [(1, 1), (40, 2000), (900, 640)]
    pages = [Page("v", str(size), np.full(size, 255, np.uint8)) for size in sizes]
    assert [len(boxes) for boxes in load_detector("egara").detect(pages)] == [0, 0, 0]


def test_missing_weights_are_one_line(tmp_path):
    with pytest.raises(EgaraError, match=r"detector egara: .*gone\.onnx is missing"):
        EmbeddedDetector(tmp_path / "gone.onnx")


def test_truncated_weights_are_one_line(tmp_path):
    path = tmp_path / "short.onnx"
    path.write_bytes(WEIGHTS.read_bytes()[:100_000])
    with pytest.raises(EgaraError, match=r"short\.onnx is truncated, or not an ONNX file that .* opens") as caught:
        EmbeddedDetector(path)
    assert "\n" not in str(caught.value)
