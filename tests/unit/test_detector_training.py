"""Training pictures and targets of the detector show what they say, and the written graph is the trained network."""

import numpy as np
import pytest

from egara.pretraining.characters import Figure, vary
from egara.pretraining.detector import Settings, main, targets, train
from egara.pretraining.examples import SMALLEST, Scene, crop, draw_batch, lay_figures
from egara.pretraining.shapes import add_hair, draw_thing


@pytest.fixture(scope="module")
def figures():
    """Two disks with eyes, one on shoulders that are no head."""
    y, x = np.mgrid[:120, :100]
    disk = np.hypot(y - 50, x - 50) < 45
    eyes = (np.hypot(y - 40, x - 30) < 6) | (np.hypot(y - 40, x - 70) < 6)
    rim = disk & (np.hypot(y - 50, x - 50) > 41)
    grey = np.where(eyes | rim, 10, 230).astype(np.uint8)
    shoulders = disk | (y > 98)
    one = Figure(grey, np.uint8(255) * disk, np.uint8(255) * disk)
    return [one, Figure(grey, np.uint8(255) * shoulders, np.uint8(255) * disk)]


@pytest.fixture(scope="module")
def scenes():
    page = np.full((600, 420), 255, np.uint8)
    page[100:220, 50:150] = 0
    return [Scene(page, np.array([[50.0, 100, 150, 220]]))]


def test_cropped_boxes_stay_on_what_they_frame(scenes):
    draw = np.random.default_rng(0)
    for _ in range(20):
        image, boxes = crop(scenes[0], 320, draw)
        for left, top, right, bottom, _ in boxes.clip(0, 320).round().astype(int):
            if right - left > 12 and bottom - top > 12:
                assert image[top + 4 : bottom - 4, left + 4 : right - 4].max() < 60


def test_varied_heads_have_about_the_wanted_height(figures):
    draw = np.random.default_rng(1)
    heights = [box[3] - box[1] for box in (vary(figures[1], 80, draw).box for _ in range(30))]
    assert 70 < np.median(heights) < 95
    assert min(heights) > 40
    assert max(heights) < 150


def test_laid_figures_frame_ink_and_hide_what_they_cover(figures, monkeypatch):
    monkeypatch.setattr("egara.pretraining.examples.THING", 0.0)
    draw = np.random.default_rng(2)
    paper = np.full((320, 320), 255, np.uint8)
    below = np.array([[100.0, 100, 220, 220, 1.0]])
    shares = []
    for _ in range(12):
        image, boxes = lay_figures(paper, below, figures[:1], draw)
        shares.append(boxes[0, 4])
        assert (boxes[:, 4] >= 0).all()
        assert (boxes[:, 4] <= 1).all()
        outside = np.ones_like(paper, bool)
        for left, top, right, bottom in boxes[1:, :4].clip(0, 320).astype(int):
            outside[max(0, top - 4) : bottom + 4, max(0, left - 4) : right + 4] = False
        assert (image[outside] == 255).all()
    assert min(shares) < 1


def test_hair_makes_the_head_larger_and_things_have_no_head(figures):
    draw = np.random.default_rng(3)
    plain = figures[0].box
    area = (plain[2] - plain[0]) * (plain[3] - plain[1])
    haired = [add_hair(figures[0], draw) for _ in range(20)]
    boxes = np.array([figure.box for figure in haired])
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    assert areas.min() >= 0.95 * area
    assert np.median(areas) > 1.15 * area
    assert all((figure.alpha >= figure.head).all() for figure in haired)
    for _ in range(20):
        thing = draw_thing(60, draw)
        assert thing.head.max() == 0
        assert 0.1 < (thing.alpha > 128).mean() < 0.9


def test_examples_are_the_same_for_the_same_names(scenes, figures):
    first, again, other = (draw_batch(scenes, figures, 128, 3, 5, name) for name in ("a", "a", "b"))
    assert all((x.image == y.image).all() and (x.faces == y.faces).all() for x, y in zip(first, again, strict=True))
    assert any((x.image != y.image).any() for x, y in zip(first, other, strict=True))
    for example in draw_batch(scenes, figures, 128, 40, 5, "c"):
        assert (example.faces >= 0).all()
        assert (example.faces <= 128).all()
        assert example.image.shape == (128, 128)
        assert example.image.dtype == np.uint8
        assert len(example.faces) == 0 or (example.faces[:, 2:] - example.faces[:, :2]).max() >= SMALLEST / 2


def test_targets_decode_to_the_boxes_they_came_from(scenes, figures):
    from egara.faces.backends.embedded import decode

    example = draw_batch(scenes, figures, 128, 1, 5, "c")[0]
    faces = np.array([[10.0, 20, 50, 70], [80, 40, 120, 100]])
    example = type(example)(example.image, faces, np.array([[0.0, 100, 30, 128]]))
    heat, sides, care = targets([example], 128)
    boxes = decode(np.concatenate([heat, np.log(sides[0].clip(1e-3))]), 0.99)
    np.testing.assert_allclose(np.sort(boxes[:, :4], axis=0), faces, atol=1e-3)
    assert care[0, 13:, :3].max() == 0
    assert care[0, :12].min() == 1


def test_graph_agrees_with_the_network_and_training_lowers_the_loss(scenes, figures, tmp_path):
    import logging

    import onnxruntime
    import torch

    from egara.pretraining.network import to_onnx

    torch.set_num_threads(1)
    records = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.args[2])
    log = logging.Logger("training")
    log.addHandler(handler)
    network = train(scenes, figures, Settings(steps=32, batch=4, side=64, warm_up=4), 0, log, every=8)
    assert records[-1] < 0.8 * records[0]
    session = onnxruntime.InferenceSession(to_onnx(network, {"seed": 0}))
    page = np.random.default_rng(0).random((2, 1, 96, 64), np.float32)
    answer = session.run(None, {"pages": page})[0]
    with torch.no_grad():
        expected = network(torch.from_numpy(page)).numpy()
    np.testing.assert_allclose(answer[:, 1:], expected[:, 1:], atol=0.02)  # weights of 16 bits
    np.testing.assert_allclose(answer[:, 0], 1 / (1 + np.exp(-expected[:, 0])), atol=0.005)


def test_evaluated_style_cannot_be_held_out(tmp_path):
    from egara.io.errors import EgaraError

    with pytest.raises(EgaraError, match="lorelei: not a held-out style"):
        main(["--hold-out", "lorelei", "--output", str(tmp_path / "d.onnx")])
    assert not list(tmp_path.iterdir())
