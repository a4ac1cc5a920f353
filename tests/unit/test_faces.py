"""The faces stage: crops, their table, the contact sheet, and messages for bad input."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from egara.corpus.__main__ import main as list_pages
from egara.faces import evaluate
from egara.faces.__main__ import main
from egara.faces.crops import COLUMNS, Cropping, crop_window, describe_small, write_crops
from egara.faces.protocol import Page
from egara.io.atomic import replacing_folder
from egara.io.errors import EgaraError
from egara.io.hashing import sha256
from egara.skipped import COLUMNS as SKIPPED_COLUMNS


def noise(seed, height=300, width=200):
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def rows(*values):
    return np.array(values, float)


def test_window_has_a_margin_on_each_side():
    assert crop_window(rows(100, 100, 140, 140, 1), 500, 500, 0.25) == (90, 90, 150, 150)
    assert crop_window(rows(100, 100, 140, 180, 1), 500, 500, 0.0) == (80, 100, 160, 180)


def test_window_ends_at_the_edge_of_the_page():
    assert crop_window(rows(0, 10, 40, 50, 1), 60, 60, 0.5) == (0, 0, 60, 60)
    assert crop_window(rows(0, 10, 40, 50, 1), 200, 55, 0.0) == (0, 10, 40, 50)


def test_crops_below_min_pixels_are_left_out(tmp_path):
    boxes = rows([0, 0, 100, 100, 0.9], [100, 150, 199, 249, 0.8])
    result = write_crops([(Page("v", "p", noise(0)), boxes)], tmp_path, 0, 10_000)
    assert [(row["width"], row["height"]) for row in result.rows] == [(100, 100)]
    assert (result.found, result.small) == (2, [99 * 99])
    assert [(row["member"], row["cause"], row["count"]) for row in result.left_out] == [("p", "small", 1)]
    assert "crop of 9,801 pixels; expected at least 10,000 (faces.min_pixels)" in result.left_out[0]["reason"]


def test_duplicate_crops_are_left_out(tmp_path):
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
    result = write_crops([(Page("v", "1", grey), box), (Page("v", "2", colour), box)], tmp_path, 0, 1)
    for row, image, mode in zip(result.rows, (grey, colour), ("L", "RGB"), strict=True):
        with Image.open(tmp_path / row["file"]) as crop:
            assert crop.mode == mode and crop.format == "PNG"
            assert (np.asarray(crop) == image[30:90, 15:75]).all()
        assert row["sha256"] == sha256(tmp_path / row["file"])


def test_folder_is_replaced_completely_or_not_at_all(tmp_path):
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
    assert len(pd.read_csv(work[0] / "faces/w.skipped.tsv", sep="\t")) == 0
    assert list(table.columns) == list(COLUMNS)
    assert table["face"].tolist() == ["00000", "00001", "00002"]
    assert table["page"].tolist() == ["1.png", "1.png", "2.png"]
    assert (table["width"] == table["right"] - table["left"]).all()
    for row in table.itertuples():
        assert sha256(work[0] / "faces/w" / row.file) == row.sha256
    with Image.open(work[0] / "faces/w.png") as sheet:
        assert sheet.width > 500


def test_faces_do_not_depend_on_the_batch_size(work):
    one, two = (call(work, "--min-pixels", "1000", "--batch", batch) for batch in ("1", "2"))
    pd.testing.assert_frame_equal(one, two)


def test_whole_takes_images_as_faces(work):
    table = call(work, detector="whole")
    assert table[["left", "top", "right", "bottom"]].to_numpy().tolist() == [[0, 0, 200, 300]] * 2


def test_no_face_is_one_line_and_leaves_nothing(work):
    says = (
        r"work w: 0 faces on 2 pages; left out: 3 faces with too few pixels \(fewer than 40,000 pixels: 3 of 3 faces "
    )
    with pytest.raises(EgaraError, match=says + r"\(100%\) \(faces.min_pixels; 8,448 would keep 2 of them"):
        call(work, "--min-pixels", "40000")
    assert not (work[0] / "faces").exists() or not list((work[0] / "faces").iterdir())


def test_left_out_pages_and_faces_are_counted_by_cause(work):
    """A small face, a box outside its page, a page without a face, a page that the detector fails on."""
    folder, pages, boxes = work
    table = pd.read_csv(pages, sep="\t")
    more = [Image.fromarray(noise(number)).resize(size) for number, size in ((3, (200, 300)), (4, (300, 300)))]
    for number, image in enumerate(more, start=3):
        image.save(folder / "w v01" / f"{number}.png")
    main_corpus = ["--author", "A", "--work", "w", "--volumes", str(folder / "w v01"), "--output", str(pages)]
    list_pages([*main_corpus, "--skipped", str(folder / "s.tsv")])
    volume = table["volume"][0]
    rows = "".join(
        f'<page index="{index}" width="100" height="150">{inside}</page>'
        for index, inside in enumerate(
            [
                '<face xmin="5" ymin="5" xmax="60" ymax="60"/><face xmin="5" ymin="5" xmax="9" ymax="9"/>',
                '<face xmin="500" ymin="5" xmax="560" ymax="60"/>',
                "",
                '<face xmin="5" ymin="5" xmax="60" ymax="60"/>',
            ],
            start=1,
        )
    )
    (folder / "annotations").mkdir()
    (folder / "annotations" / f"{volume}.xml").write_text(f"<book><pages>{rows}</pages></book>")
    detector = f"annotations:{folder}"
    call(work, "--min-pixels", "1000", "--batch", "4", detector=detector)
    skipped = pd.read_csv(folder / "faces/w.skipped.tsv", sep="\t")
    assert list(skipped.columns) == SKIPPED_COLUMNS
    assert sorted(zip(skipped["member"], skipped["cause"], skipped["count"], strict=True)) == [
        ("1.png", "small", 1), ("2.png", "box", 1), ("2.png", "faceless", 1), ("3.png", "faceless", 1),
        ("4.png", "unseen", 1),
    ]  # fmt: skip
    assert set(skipped["source"]) == {volume}
    with pytest.raises(EgaraError, match=r"page 4\.png has 300 x 300 pixels, its annotations 100 x 150"):
        call(work, "--unreadable", "error", detector=detector)


def test_share_of_small_faces_is_described():
    result = Cropping(found=10, small=[400, 900, 2500, 6400])
    assert describe_small(result, 10_000) == (
        "fewer than 10,000 pixels: 4 of 10 faces (40%)"
        " (faces.min_pixels; 900 would keep 3 of them, 2,500 would keep 2 of them)"
    )


@pytest.mark.parametrize("option", [("--threshold", "1.5"), ("--margin", "-1"), ("--batch", "0"), ("--side", "100")])
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
    # Of the true boxes' crops, 88 x 96, 72 x 72 and 96 x 96 pixels, two are large; the boxes are all smaller.
    evaluate.main([*common, "--detector", f"annotations:{boxes}", "--min-pixels", "8000", "--margin", "0.1"])
    row = pd.read_csv(output, sep="\t").iloc[0]
    assert row[["work", "pages", "faces", "large"]].tolist() == ["w", 2, 3, 2]
    assert row[["precision", "recall", "ap", "recall_large"]].tolist() == [1, 1, 1, 1]
    evaluate.main([*common, "--detector", "whole"])
    row = pd.read_csv(output, sep="\t").iloc[0]
    assert row[["precision", "recall", "ap"]].tolist() == [0, 0, 0]


def test_evaluation_refuses_boxes_of_other_pages(work):
    folder, pages, boxes = work
    boxes.write_text(boxes.read_text().replace("2.png", "9.png"))
    with pytest.raises(EgaraError, match=r"page 9\.png of volume .* is not in"):
        evaluate.main(["--pages", str(pages), "--boxes", str(boxes), "--work", "w", "--output", str(folder / "d.tsv")])
