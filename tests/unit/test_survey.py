"""A survey says what a volume holds before a page of it is decoded, and agrees with the listing."""

import time

import numpy as np
import pytest
from containers import WRITERS, page, pages, write_epub, write_zip
from PIL import Image

from egara.corpus import Limits, list_volume, survey_volume
from egara.io.errors import EgaraError

KINDS = {"cbz": "CBZ", "cbt": "CBT", "cb7": "CB7", "cbr": "CBR", "folder": "folder of images"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_survey_agrees_with_the_listing(tmp_path, kind):
    path = tmp_path / f"v01.{kind}"
    WRITERS[kind](path, {**pages(), "notes.txt": b"x", "Thumbs.db": b"x"})
    survey, volume = survey_volume(path), list_volume(path, "v01", "a", "w")
    assert (survey.kind, survey.pages, survey.name) == (KINDS[kind], 4, path.name)
    measured = volume.pages[:3] if kind in ("cb7", "cbr") else [volume.pages[place] for place in (0, 2, 3)]
    assert survey.sizes == tuple((row["width"], row["height"]) for row in measured)
    assert list(survey.skipped) == volume.skipped
    assert len(volume.skipped) == 2


def test_books_documents_and_single_images(tmp_path):
    write_epub(tmp_path / "a.epub", ["a.png", "b.png"])
    Image.new("L", (301, 403)).save(tmp_path / "a.pdf", save_all=True, append_images=[Image.new("L", (30, 40))])
    (tmp_path / "a.png").write_bytes(page(3, "PNG"))
    found = {name: survey_volume(tmp_path / f"a.{name}") for name in ("epub", "pdf", "png")}
    assert {name: survey.kind for name, survey in found.items()} == {"epub": "EPUB", "pdf": "PDF", "png": "image"}
    assert found["pdf"].sizes == ((301, 403), (30, 40))
    assert found["pdf"].pages == 2
    assert found["epub"].sizes == ((50, 60), (60, 60))


def test_losses_visible_in_headers_are_listed(tmp_path):
    write_zip(tmp_path / "in.cbz", {"1.jpg": page(1)})
    inner = (tmp_path / "in.cbz").read_bytes()
    write_zip(tmp_path / "a.cbz", {"0.jpg": page(99), "1.jpg": b"x", "2.jpg": page(3), "x.cbz": inner, "y.cbz": b"y"})
    survey = survey_volume(tmp_path / "a.cbz", Limits(pixels=100 * 60), measured=4)
    assert survey.pages == 4
    assert survey.sizes == ((43, 60), (41, 60))
    assert [(row["member"], row["cause"]) for row in survey.skipped] == [
        ("0.jpg", "limit"),
        ("1.jpg", "unreadable"),
        ("y.cbz", "volume"),
    ]
    assert ": holds " in survey.warnings[0]
    (tmp_path / "b.cbz").write_bytes(b"no archive")
    with pytest.raises(EgaraError, match="not a volume, by its first bytes"):
        survey_volume(tmp_path / "b.cbz")


def test_a_survey_decodes_no_page(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (2000, 1500), np.uint8)
    (tmp_path / "v").mkdir()
    for number in range(4):
        Image.fromarray(noise).save(tmp_path / "v" / f"{number}.jpg", quality=90)
    survey_volume(tmp_path / "v")
    start = time.perf_counter()
    survey = survey_volume(tmp_path / "v")
    surveyed = time.perf_counter() - start
    start = time.perf_counter()
    list_volume(tmp_path / "v", "v01", "a", "w")
    assert surveyed < (time.perf_counter() - start) / 4
    assert survey.sizes == ((1500, 2000),) * 3
