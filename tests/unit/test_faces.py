"""Crops, their table and their sheet: what a person gets from the faces stage, and what bad input says."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from egara.corpus.__main__ import main as list_pages
from egara.errors import EgaraError
from egara.faces import evaluate
from egara.faces.__main__ import main
from egara.faces.crops import COLUMNS, crop_window, write_crops
from egara.faces.protocol import Page
from egara.files import replacing_folder, sha256


def noise(seed, height=300, width=200):
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def rows(*values):
    return np.array(values, float)


def test_window_has_a_margin_on_each_side():
    assert crop_window(rows(100, 100, 140, 140, 1), 500, 500, 0.25) == (90, 90, 150, 150)
    assert crop_window(rows(100, 100, 140, 180, 1), 500, 500, 0.0) == (80, 100, 160, 180)
    assert crop_window(rows(100, 100, 140, 180, 1), 500, 500, 0.25, "detected") == (90, 80, 150, 200)


def test_window_ends_at_the_edge_of_the_page():
    assert crop_window(rows(0, 10, 40, 50, 1), 60, 60, 0.5) == (0, 0, 60, 60)
    assert crop_window(rows(0, 10, 40, 50, 1), 200, 55, 0.0) == (0, 10, 40, 50)


def test_crops_below_the_least_pixels_are_left_out(tmp_path):
    boxes = rows([0, 0, 100, 100, 0.9], [100, 150, 199, 249, 0.8])
    result = write_crops([(Page("v", "p", noise(0)), boxes)], tmp_path, 0, 10_000)
    assert [(row["width"], row["height"]) for row in result.rows] == [(100, 100)]
    assert (result.found, result.small) == (2, 1)


def test_equal_pixels_are_kept_once(tmp_path):
    page, boxes = noise(1), rows([10, 10, 60, 60, 0.9])
    other = page.copy()
    other[20, 20] ^= 255
    pages = [(Page("v", str(number), image), boxes) for number, image in enumerate((page, page.copy(), other))]
    result = write_crops(pages, tmp_path, 0, 1)
    assert [(row["face"], row["page"]) for row in result.rows] == [("00000", "0"), ("00001", "2")]
    assert result.repeated == 1


def test_crops_hold_the_pixels_of_the_page(tmp_path):
    grey, colour = noise(2), np.dstack([noise(seed) for seed in (3, 4, 5)])
    box = rows([20, 30, 70, 90, 0.5])
    result = write_crops([(Page("v", "1", grey), box), (Page("v", "2", colour), box)], tmp_path, 0, 1, "detected")
    for row, image, mode in zip(result.rows, (grey, colour), ("L", "RGB"), strict=True):
        with Image.open(tmp_path / row["file"]) as crop:
            assert crop.mode == mode and crop.format == "PNG"
            assert (np.asarray(crop) == image[30:90, 20:70]).all()
        assert row["sha256"] == sha256(tmp_path / row["file"])


def test_folder_is_replaced_whole_or_not_at_all(tmp_path):
    folder = tmp_path / "work"
    with replacing_folder(folder) as part:
        (part / "old").touch()
    with pytest.raises(ValueError), replacing_folder(folder) as part:
        (part / "half").touch()
        raise ValueError
    assert [p.name for p in folder.iterdir()] == ["old"]
    with replacing_folder(folder) as part:
        (part / "new").touch()
    assert [p.name for p in folder.iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["work"]


@pytest.fixture
def work(tmp_path):
    """Two pages of one volume, their table, and true boxes."""
    folder = tmp_path / "w v01"
    folder.mkdir()
    for number in (1, 2):
        Image.fromarray(noise(number)).save(folder / f"{number}.png")
    pages, boxes = tmp_path / "pages.tsv", tmp_path / "boxes.tsv"
    list_pages(
        [
            "--author",
            "A",
            "--work",
            "w",
            "--volumes",
            str(folder),
            "--output",
            str(pages),
            "--skipped",
            str(tmp_path / "s.tsv"),
        ]
    )
    volume = pd.read_csv(pages, sep="\t")["volume"][0]
    table = pd.DataFrame(
        {
            "volume": volume,
            "page": ["1.png", "1.png", "2.png"],
            "left": [10, 110, 50],
            "top": [10, 110, 50],
            "right": [70, 170, 120],
            "bottom": [90, 170, 130],
        }
    )
    table.to_csv(boxes, sep="\t", index=False)
    return tmp_path, pages, boxes


def call(work, *more, detector=None):
    folder, pages, boxes = work
    detector = detector or f"annotations:{boxes}"
    main(
        ["--pages", str(pages), "--work", "w", "--detector", detector, "--output", str(folder / "faces/w.tsv")]
        + ["--crops", str(folder / "faces/w"), "--sheet", str(folder / "faces/w.png"), *more]
    )  # fmt: skip
    return pd.read_csv(folder / "faces/w.tsv", sep="\t", dtype={"face": str})


def test_stage_writes_table_crops_and_sheet(work):
    table = call(work, "--min-pixels", "1000", "--margin", "0", "--batch", "1")
    assert list(table.columns) == list(COLUMNS)
    assert table["face"].tolist() == ["00000", "00001", "00002"]
    assert table["page"].tolist() == ["1.png", "1.png", "2.png"]
    assert (table["width"] == table["right"] - table["left"]).all()
    for row in table.itertuples():
        assert sha256(work[0] / "faces/w" / row.file) == row.sha256
    with Image.open(work[0] / "faces/w.png") as sheet:
        assert sheet.width > 500


def test_stage_gives_the_same_whatever_the_batch(work):
    one, two = (call(work, "--min-pixels", "1000", "--batch", batch) for batch in ("1", "2"))
    pd.testing.assert_frame_equal(one, two)


def test_whole_pictures_are_faces(work):
    table = call(work, detector="whole")
    assert table[["left", "top", "right", "bottom"]].to_numpy().tolist() == [[0, 0, 200, 300]] * 2


def test_no_face_is_one_line_and_leaves_nothing(work):
    with pytest.raises(EgaraError, match=r"work w: 0 faces on 2 pages; left out 3 below 40000 pixels.*pages\.tsv"):
        call(work, "--min-pixels", "40000")
    assert not (work[0] / "faces").exists() or not list((work[0] / "faces").iterdir())


@pytest.mark.parametrize("option", [("--threshold", "1.5"), ("--margin", "-1"), ("--batch", "0")])
def test_option_out_of_range_is_named(work, option):
    with pytest.raises(EgaraError, match=option[0]):
        call(work, *option)


def test_pages_of_another_work_are_refused(work):
    folder, pages, boxes = work
    pages.write_text(pages.read_text().replace("\tw\t", "\tother\t"))
    with pytest.raises(EgaraError, match=r"work w: .*pages\.tsv lists pages of other"):
        call(work)


def test_evaluation_of_the_truth_is_perfect(work):
    folder, pages, boxes = work
    output = folder / "detector.tsv"
    common = ["--pages", str(pages), "--boxes", str(boxes), "--work", "w", "--output", str(output)]
    evaluate.main([*common, "--detector", f"annotations:{boxes}", "--min-pixels", "5000"])
    row = pd.read_csv(output, sep="\t").iloc[0]
    assert row[["work", "pages", "faces", "large"]].tolist() == ["w", 2, 3, 1]
    assert row[["precision", "recall", "ap", "recall_large"]].tolist() == [1, 1, 1, 1]
    evaluate.main([*common, "--detector", "whole"])
    row = pd.read_csv(output, sep="\t").iloc[0]
    assert row[["precision", "recall", "ap"]].tolist() == [0, 0, 0]


def test_evaluation_refuses_boxes_of_other_pages(work):
    folder, pages, boxes = work
    boxes.write_text(boxes.read_text().replace("2.png", "9.png"))
    with pytest.raises(EgaraError, match=r"page 9\.png of volume .* is not in"):
        evaluate.main(["--pages", str(pages), "--boxes", str(boxes), "--work", "w", "--output", str(folder / "d.tsv")])
