"""The grid of samples: what differs between two pictures is the LoRA's doing, and its labels can be read."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from egara.figures.style import set_theme
from egara.io.errors import EgaraError
from egara.loras.encoding.inputs import describe_transform
from egara.loras.files.writing import save_lora
from egara.samples import grid
from egara.samples import loras as samples

CELL = "rank~2_alpha~2_resolution~64_init~independent_token~none"
CAPTION = "solo, manga style, face"
STEPS, GUIDANCE = 2, 2.0


@pytest.fixture(scope="module")
def pipeline(small_base):
    from egara.samples.sampling import load_pipeline

    return load_pipeline(small_base, "cpu")


@pytest.fixture(scope="module")
def noise(pipeline):
    from egara.samples.sampling import draw_noise

    return draw_noise(pipeline, 2, 64, 0)


def make_lora(path, unet, size, alpha=2, prefix="", **header):
    """A LoRA with random factors on all attention inputs."""
    draw = np.random.default_rng(0)
    tensors = {}
    for name, module in unet.named_modules():
        if name.endswith("attn1.to_q"):
            tensors[f"unet.{prefix}{name}.lora_A.weight"] = draw.normal(size=(2, module.in_features)).astype(np.float32)
            tensors[f"unet.{prefix}{name}.lora_B.weight"] = size * draw.normal(size=(module.out_features, 2)).astype(
                np.float32
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    save_lora(path, tensors, 2, alpha, {"author": "x", "work": "w", "set": "00"} | header, np.ones(2))
    return path


def test_strength_nought_is_lora_off_and_a_strong_lora_shows(pipeline, noise, tmp_path):
    from egara.samples.sampling import sample_images

    how = (CAPTION, noise, STEPS, GUIDANCE)
    off = sample_images(pipeline, *how)
    path = make_lora(tmp_path / "00.safetensors", pipeline.unet, 20.0)
    drawn = samples.sample_strengths(pipeline, path, [0.0, 1.0], *how)
    assert drawn.shape == (2, 2, 64, 64, 3) and drawn.dtype == np.uint8
    assert np.abs(drawn[0].astype(int) - off).max() <= 1
    assert np.abs(drawn[1].astype(int) - off).mean() > 1
    # The pipeline leaves as it came, so the next row starts from the base alone.
    np.testing.assert_array_equal(sample_images(pipeline, *how), off)


def test_strength_multiplies_the_update(pipeline, noise, tmp_path):
    how = (CAPTION, noise[:1], STEPS, GUIDANCE)
    half = make_lora(tmp_path / "a.safetensors", pipeline.unet, 20.0, alpha=1)
    whole = make_lora(tmp_path / "b.safetensors", pipeline.unet, 20.0, alpha=2)
    one = samples.sample_strengths(pipeline, half, [1.0], *how)
    other = samples.sample_strengths(pipeline, whole, [0.5], *how)
    assert np.abs(one.astype(int) - other).max() <= 1


def test_noise_is_the_same_in_all_columns_and_for_more_pictures(pipeline, noise):
    from egara.samples.sampling import draw_noise, sample_images

    np.testing.assert_array_equal(draw_noise(pipeline, 3, 64, 0)[:2], noise)
    assert np.abs(noise[0] - noise[1]).mean() > 0.5
    assert np.abs(draw_noise(pipeline, 1, 64, 1) - noise[:1]).mean() > 0.5
    together = sample_images(pipeline, CAPTION, noise, STEPS, GUIDANCE)
    alone = sample_images(pipeline, CAPTION, noise[1:], STEPS, GUIDANCE)
    assert np.abs(together[1].astype(int) - alone[0]).max() <= 1
    assert np.abs(together[0].astype(int) - together[1]).mean() > 1


def test_a_lora_of_another_model_is_refused(pipeline, noise, tmp_path):
    path = make_lora(tmp_path / "other.safetensors", pipeline.unet, 1.0, prefix="somewhere.else.")
    with pytest.raises(EgaraError, match="other.safetensors: "):
        samples.sample_strengths(pipeline, path, [1.0], CAPTION, noise, STEPS, GUIDANCE)
    with pytest.raises(EgaraError, match="no.safetensors: cannot be loaded"):
        samples.sample_strengths(pipeline, tmp_path / "no.safetensors", [1.0], CAPTION, noise, STEPS, GUIDANCE)
    assert not pipeline.get_list_adapters()


def shown_texts(figure):
    return [text.get_text() for text in figure.texts]


@pytest.mark.parametrize("crops", [True, False])
def test_grid_holds_each_picture_where_its_labels_say(crops):
    set_theme()
    pictures = np.random.default_rng(0).integers(0, 255, (3, 2, 2, 64, 64, 3), np.uint8)
    shown = [np.full((2, 64, 64, 3), 10, np.uint8)] * 3 if crops else None
    labels = [("pen-a", "横槍 メンゴ"), ("pen-b", "横槍 メンゴ"), ("007", "Jörg")]
    figure = grid.draw_grid(pictures, shown, labels, ["LoRA off", "strength 1"], ("What", "how"))
    assert {"LoRA off", "strength 1", "pen-a", "007", "Jörg", "What", "how"} <= set(shown_texts(figure))
    assert (grid.CROPS in shown_texts(figure)) == crops
    image = figure.images[0].get_array()
    width, height = (round(inches * grid.DPI) for inches in figure.get_size_inches())
    assert image.shape == (height, width, 3)
    for row, (work, _) in enumerate(labels):
        for place, head in enumerate(("LoRA off", "strength 1")):
            left, top = corner(image, grid.enlarge(pictures[row, place, 0], 128))
            assert left == round(spot(figure, head)[0] * width)
            assert top < height * (1 - spot(figure, work)[1]) < top + 128


def spot(figure, name):
    """Where a text stands, in shares of the figure from its lower left corner."""
    return next(text.get_position() for text in figure.texts if text.get_text() == name)


def corner(image, picture):
    """Left and top of the one place where a picture stands in an image."""
    height, width, _ = picture.shape
    found = [
        (x, y)
        for y, x in np.argwhere((image == picture[0, 0]).all(axis=2))
        if np.array_equal(image[y : y + height, x : x + width], picture)
    ]
    assert len(found) == 1
    return found[0]


def test_labels_stay_on_the_page_and_off_the_pictures():
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    set_theme()
    pictures = np.zeros((2, 2, 1, 64, 64, 3), np.uint8)
    labels = [("a-work-with-a-long-name", "An Author Whose Name Is Even Longer"), ("b", "c")]
    figure = grid.draw_grid(pictures, None, labels, ["LoRA off", "strength 1"], ("t" * 60, "h" * 90))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = figure.images[0].get_array()
    ink = np.flatnonzero((np.asarray(image) == 0).all(axis=(0, 2)) | (np.asarray(image) == 0).all(axis=2).any(axis=0))
    boxes = {text.get_text(): text.get_window_extent() for text in figure.texts}
    assert all(box.x0 >= 0 and box.x1 <= image.shape[1] for box in boxes.values())
    for name in (name for label in labels for name in label):
        assert boxes[name].x1 < ink.min()


def command(root, small_base, *more):
    rows = [{"author": "x", "work": work, "caption": CAPTION} for work in ("w", "v")]
    return [
        *("--base", str(root / "base.json"), "--folder", str(root / "loras"), "--rows", json.dumps(rows)),
        *(
            "--cell",
            CELL,
            "--lora-scales",
            "0.5",
            "1.5",
            "--num-images",
            "2",
            "--resolution",
            "64",
            "--num-inference-steps",
            "1",
        ),
        *("--device", "cpu", "--output", str(root / "grid.png"), *more),
    ]


@pytest.fixture
def study(small_base, pipeline, tmp_path):
    (tmp_path / "base.json").write_text(json.dumps({"folder": str(small_base), "sha256": "0", "base": "base"}))
    (tmp_path / "sets").mkdir()
    for work in ("w", "v"):
        make_lora(tmp_path / "loras" / work / "00.safetensors", pipeline.unet, 5.0)
        (tmp_path / "faces" / work).mkdir(parents=True)
        table = pd.DataFrame({"set": ["00", "00", "01"], "order": [1, 0, 0], "file": ["1.png", "0.png", "2.png"]})
        table.to_csv(tmp_path / "sets" / f"{work}.tsv", sep="\t", index=False)
        for number, value in enumerate((0, 120, 200)):
            Image.new("L", (90, 70), value).save(tmp_path / "faces" / work / f"{number}.png")
    return tmp_path


def test_the_command_writes_a_grid_and_crops_only_if_asked(study, small_base):
    def holds_crops():
        """Whether the second crop, all grey of 120, stands somewhere on the grid."""
        with Image.open(study / "grid.png") as drawn:
            assert drawn.info["Title"].endswith("rank = alpha = 2 · 64 px · independent A · token none")
            assert "the same 2 noises" in drawn.info["Description"]
            assert drawn.height == grid.TITLE_HEIGHT + grid.HEAD_HEIGHT + 2 * 128 + grid.GUTTER + grid.MARGIN
            return (np.asarray(drawn.convert("RGB")) == 120).all(axis=2).sum() >= 2 * 128 * 128

    samples.main(command(study, small_base))
    assert not holds_crops()
    samples.main(command(study, small_base, "--sets", str(study / "sets"), "--crops", str(study / "faces")))
    assert holds_crops()


def test_a_lora_of_another_base_is_refused_before_anything_is_drawn(study, small_base, pipeline):
    make_lora(study / "loras" / "v" / "00.safetensors", pipeline.unet, 1.0, base_sha256="0")
    samples.check_bases([study / "loras" / work / "00.safetensors" for work in ("w", "v")], {"sha256": "0"})
    make_lora(study / "loras" / "v" / "00.safetensors", pipeline.unet, 1.0, base_sha256="1")
    with pytest.raises(EgaraError, match="v/00.safetensors: trained on a base with sha256 1…"):
        samples.main(command(study, small_base))
    assert not (study / "grid.png").exists()


def test_crops_are_the_first_of_the_first_set_in_its_order(study):
    crops = samples.read_crops(study / "sets" / "w.tsv", study / "faces" / "w", describe_transform(64, "lanczos"))
    assert crops.shape == (2, 64, 64, 3)
    assert [int(crop.mean()) for crop in crops] == [0, 120]


@pytest.mark.parametrize("rows", ["[]", "{", '[{"work": "w"}]', "3"])
def test_rows_that_make_no_sense_are_one_line(study, small_base, rows):
    options = command(study, small_base)
    options[options.index("--rows") + 1] = rows
    with pytest.raises(EgaraError, match="--rows"):
        samples.main(options)
    assert not (study / "grid.png").exists()
