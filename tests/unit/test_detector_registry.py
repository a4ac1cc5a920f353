"""A new detector is one decorated class: settings, messages and files of rules follow from its registration."""

import re

import numpy as np
import pytest

from egara.faces.detectors import (
    detector_description,
    detector_pattern,
    load_detector,
    parse_detector,
    threshold_files,
)
from egara.faces.protocol import Detector, Page
from egara.faces.registry import DETECTORS, DetectorSettings, detector
from egara.faces.tiles import TiledDetector
from egara.io.errors import EgaraError

BUILT_IN = ["animeface", "annotations:boxes.tsv", "cascade:c.xml", "egara", "onnx:a.onnx", "whole"]


@pytest.fixture
def corner(monkeypatch):
    """A detector that is not in the library."""
    monkeypatch.setattr(DETECTORS, "_entries", dict(DETECTORS))

    @detector(
        "corner", path="file", description="a corner", settings=("side",), tiles_strips=True,
        threshold_files=lambda path: [f"{path}.json"],
    )  # fmt: skip
    class Corner(Detector):
        def __init__(self, path, settings):
            self.path, self.side = path, settings.side or 8

        def detect(self, pages):
            return [np.array([[0.0, 0.0, self.side, self.side, 1.0]]) for _ in pages]

        def describe(self):
            return f"corner {self.path}"

    return Corner


def test_decorated_class_is_a_value_of_the_setting(corner):
    pattern = re.compile(detector_pattern())
    assert all(map(pattern.match, [*BUILT_IN, "corner:x"]))
    assert not any(map(pattern.match, ["", "corner", "corner:", "egara:x", "other"]))
    assert "corner:<file> (a corner)" in detector_description()
    assert parse_detector("corner:a:b")[1] == "a:b"
    assert threshold_files("corner:x") == ["x.json"]


def test_decorated_class_is_loaded_with_its_settings(corner):
    found = load_detector("corner:x", DetectorSettings(side=32, tiles="no"))
    assert isinstance(found, corner)
    assert found.detect([Page("v", "1", np.zeros((9, 9), np.uint8))])[0].tolist() == [[0, 0, 32, 32, 1]]
    assert isinstance(load_detector("corner:x"), TiledDetector)
    with pytest.raises(EgaraError, match=r"faces\.side is for detectors corner:<file> and onnx:<file>"):
        load_detector("egara", DetectorSettings(side=32))
    with pytest.raises(EgaraError, match=r"faces\.layout is for detectors onnx:<file>"):
        load_detector("corner:x", DetectorSettings(layout="yolo"))


def test_name_is_registered_once(corner):
    with pytest.raises(ValueError, match="detector egara: registered twice"):
        detector("egara", description="another")(corner)


def test_embedded_weights_exist():
    assert [name for name, backend in DETECTORS.items() if backend.weights] == ["egara"]
    assert DETECTORS["egara"].weights_file().is_file()


def test_rules_depend_on_every_detector():
    from egara.fingerprint import _imports

    assert {"egara.faces.backends.onnx_file", "egara.faces.backends.whole"} <= set(_imports("egara.faces.detectors"))
