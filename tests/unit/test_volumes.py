"""The composed volumes: pages that can be made again, true boxes, disjoint casts, and archives that readers open."""

import zipfile
from xml.etree import ElementTree

import numpy as np
import pytest

from egara.demo.__main__ import COLUMNS, main, make_cast
from egara.demo.artists import EVALUATED, HELD_OUT
from egara.demo.characters import render_figure
from egara.demo.composition import CastMember, compose_page
from egara.demo.drawings import cast_variants
from egara.demo.notice import attributions
from egara.demo.panels import split_page
from egara.demo.scenery import THINGS, Pen
from egara.io.atomic import replacing_folder
from egara.io.errors import EgaraError
from egara.io.tables import read_tsv

SIZE = (500, 707)


@pytest.fixture(scope="module")
def cast():
    return make_cast("lorelei", 0, 2, 6)


@pytest.fixture(scope="module")
def pages(cast):
    return [compose_page(cast, f"v01/p{index:03d}", 0, *SIZE) for index in range(7)]


def main_arguments(tmp_path, **changes):
    values = {"style": "lorelei", "part": 1, "parts": 2, "characters": 3, "author": "Lisa Wischofsky",
              "work": "lorelei-b", "volumes": 2, "pages": 1, "output": tmp_path / "lorelei-b",
              "boxes": tmp_path / "lorelei-b.boxes.tsv"} | changes  # fmt: skip
    return [text for name, value in values.items() for text in (f"--{name}", str(value))]


def test_same_names_give_the_same_page(cast, pages):
    again = compose_page(cast, "v01/p003", 0, *SIZE)
    assert again.faces == pages[3].faces
    assert again.image.tobytes() == pages[3].image.tobytes()


@pytest.mark.parametrize(("name", "seed"), [("v01/p004x", 0), ("v01/p003", 1)])
def test_another_name_or_seed_gives_another_page(cast, pages, name, seed):
    assert compose_page(cast, name, seed, *SIZE).image.tobytes() != pages[3].image.tobytes()


def test_faces_are_inside_the_page_and_on_ink(pages):
    for page in pages:
        grey = np.asarray(page.image)
        for face in page.faces:
            assert 0 <= face.left < face.right <= SIZE[0]
            assert 0 <= face.top < face.bottom <= SIZE[1]
            head = grey[face.top : face.bottom, face.left : face.right]
            assert (head < 100).mean() > 0.01
            assert (head > 200).mean() > 0.05


def test_a_box_follows_the_head_and_no_two_heads_share_much(pages):
    for page in pages:
        boxes = np.array([[f.left, f.top, f.right, f.bottom] for f in page.faces], float)
        areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
        for index, box in enumerate(boxes):
            low, high = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
            shared = np.prod(np.maximum(high - low, 0), axis=1) / np.minimum(areas, areas[index])
            assert np.delete(shared, index).max(initial=0) < 0.15


def test_a_page_shows_several_faces_of_the_cast_at_many_sizes(cast, pages):
    counts = [len(page.faces) for page in pages]
    assert min(counts) >= 2
    assert 4 <= np.mean(counts) <= 10
    heights = [face.bottom - face.top for page in pages for face in page.faces]
    assert max(heights) > 2.5 * min(heights)
    assert 55 <= np.median(heights) <= 165  # 110 to 330 at full size
    assert {face.character for page in pages for face in page.faces} == {member.character for member in cast}


def test_figure_has_the_requested_height():
    for style in ("lorelei", "moods"):
        for height in (40.0, 150.0, 420.0):
            figure = render_figure(style, "someone", "now", 0, 1, height, 8.0, True)
            left, top, right, bottom = figure.head
            assert abs(bottom - top - height) <= 3
            inside = figure.alpha[max(0, top) : bottom, max(0, left) : right]
            assert (inside > 100).mean() > 0.4


def test_raised_hand_is_not_part_of_the_head():
    """Notionists wave: the box stays on the head, whose width is then much alike from moment to moment."""
    widths = []
    for index in range(8):
        figure = render_figure("notionists", f"someone-{index}", "now", 0, 1, 100.0, 0.0, False)
        widths.append(figure.head[2] - figure.head[0])
        # At half height a head is one run of columns from edge to edge; a hand beside it would leave a gap.
        row = figure.alpha[figure.head[1] + 40, max(0, figure.head[0]) + 4 : figure.head[2] - 4] > 64
        assert np.count_nonzero(np.diff(row.astype(int)) == -1) <= 1
    assert max(widths) < 130


def test_white_hair_has_an_outline():
    """Every edge of a silhouette meets dark ink, or a light figure would vanish on white paper."""
    for index in range(6):
        figure = render_figure("lorelei", f"someone-{index}", "now", 0, 1, 200.0, 0.0, False)
        paper = 255 - (255 - figure.grey.astype(float)) * (figure.alpha / 255)
        left, top, right, bottom = figure.head
        rows = range(top + 30, bottom - 30, 10)
        first = [np.flatnonzero(figure.alpha[row] > 128)[0] for row in rows]
        assert np.mean([paper[row, x : x + 6].min() < 140 for row, x in zip(rows, first, strict=True)]) > 0.9


@pytest.mark.parametrize("seed", range(20))
def test_panels_fill_the_page_and_do_not_share_it(seed):
    import cv2

    panels = split_page(np.random.default_rng(seed), 1000, 1414, 1.0)
    counted = np.zeros((1414, 1000), np.uint8)
    for panel in panels:
        mask = np.zeros_like(counted)
        cv2.fillPoly(mask, [np.round(panel.corners).astype(np.int32)], 1)
        counted += mask
    assert (counted > 0).mean() > 0.75
    assert panels[0].splash or (counted > 1).mean() < 0.002
    assert 1 <= len(panels) <= 7


def test_every_object_leaves_ink():
    for draw_thing in THINGS:
        canvas = np.full((200, 200), 255, np.uint8)
        draw_thing(np.random.default_rng(0), Pen(canvas, 2), np.array([100.0, 100.0]), 70.0)
        assert 50 < (canvas < 200).sum() < 38_000


def test_a_scan_is_paler_and_noisier_but_has_the_same_faces(cast, pages):
    scanned = compose_page(cast, "v01/p003", 0, *SIZE, scan=1.0)
    assert scanned.faces == pages[3].faces
    assert len(np.unique(np.asarray(scanned.image))) > len(np.unique(np.asarray(pages[3].image))) / 2
    assert np.asarray(scanned.image, float).std() < np.asarray(pages[3].image, float).std()


@pytest.mark.parametrize("style", [style.name for style in EVALUATED])
@pytest.mark.parametrize("parts", [2, 3, 4])
def test_casts_share_no_split_variant(style, parts):
    casts = [cast_variants(style, part, parts) for part in range(parts)]
    assert casts[0], "no component is split: the works would have one cast"
    for name in casts[0]:
        variants = [variant for one in casts for variant in one[name]]
        assert len(variants) == len(set(variants))
    names = [member.character for part in range(parts) for member in make_cast(style, part, parts, 8)]
    assert len(names) == len(set(names))


def test_held_out_and_evaluated_creators_are_different_people():
    table = attributions([style.name for style in (*EVALUATED, *HELD_OUT)])
    creators = table.groupby("role")["creator"].agg(lambda names: {name.casefold() for name in names})
    assert not creators["evaluated"] & creators["held out"]
    assert (table[["title", "creator", "licence"]] != "").all(axis=None)
    assert table["licence"].str.startswith(("CC0", "CC BY 4.0")).all()


def test_volumes_open_as_archives_and_say_what_they_are(tmp_path):
    from PIL import Image

    main(main_arguments(tmp_path))
    table = read_tsv(tmp_path / "lorelei-b.boxes.tsv", COLUMNS)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lorelei-b", "lorelei-b.boxes.tsv"]
    formats = set()
    for number in (1, 2):
        with zipfile.ZipFile(tmp_path / "lorelei-b" / f"lorelei-b v{number:02d}.cbz") as archive:
            info = ElementTree.fromstring(archive.read("ComicInfo.xml"))
            names = [name for name in archive.namelist() if name != "ComicInfo.xml"]
            faces = table[table["volume"] == f"lorelei-b v{number:02d}"]
            assert len(names) == 1
            assert set(faces["page"]) <= set(names)
            with archive.open(names[0]) as file, Image.open(file) as image:
                formats.add(image.format)
                assert faces["right"].max() <= image.width
                assert faces["bottom"].max() <= image.height
        assert info.findtext("Series") == "lorelei-b"
        assert info.findtext("Penciller") == info.findtext("Writer") == "Lisa Wischofsky"
        assert info.findtext("Number") == str(number)
        assert info.findtext("PageCount") == "1"
        assert info.findtext("Manga") == "YesAndRightToLeft"
        assert {"Lorelei", "CC0", "Constructed"} <= set(info.findtext("Notes").split())
    assert formats == {"PNG", "JPEG"}


def test_the_same_arguments_give_the_same_bytes_and_replace_older_volumes(tmp_path):
    main(main_arguments(tmp_path, volumes=1))
    file = tmp_path / "lorelei-b" / "lorelei-b v01.cbz"
    first = file.read_bytes()
    (tmp_path / "lorelei-b" / "lorelei-b v02.cbz").write_bytes(b"of an earlier run")
    main(main_arguments(tmp_path, volumes=1))
    assert file.read_bytes() == first
    assert [p.name for p in file.parent.iterdir()] == ["lorelei-b v01.cbz"]


def test_pages_have_the_faces_that_sets_need(pages):
    """24 pages must give 100 crops of 10,000 pixels with a margin of a tenth; these pages are of half size."""
    areas = [4 * 1.2**2 * (f.right - f.left) * (f.bottom - f.top) for page in pages for f in page.faces]
    assert sum(area >= 10_000 for area in areas) >= 100 / 24 * len(pages)


def test_an_interrupted_run_leaves_the_older_folder_and_nothing_else(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "old.cbz").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), replacing_folder(tmp_path / "work") as folder:
        (folder / "new.cbz").write_bytes(b"half")
        raise KeyboardInterrupt
    assert [p.relative_to(tmp_path).as_posix() for p in sorted(tmp_path.rglob("*"))] == ["work", "work/old.cbz"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"style": "nobody"}, "style nobody: unknown; expected one of adventurer"),
        ({"part": 2}, "part 2 of 2; expected 0 to 1"),
        ({"parts": 1000, "part": 3}, "too few variants for 1000 disjoint casts"),
        ({"characters": 0}, "0 characters; expected at least 1"),
        ({"pages": 0}, "--pages 0; expected 1 to 999"),
        ({"work": "a/b"}, "not a valid file name"),
    ],
)
def test_bad_arguments_end_in_one_line_and_write_nothing(tmp_path, changes, message):
    with pytest.raises(EgaraError, match=message) as caught:
        main(main_arguments(tmp_path, **changes))
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_page_needs_a_cast_and_a_known_style():
    with pytest.raises(EgaraError, match="empty cast"):
        compose_page([], "p", 0)
    with pytest.raises(EgaraError, match="style nobody: unknown"):
        compose_page([CastMember("nobody", "x")], "p", 0)
    with pytest.raises(EgaraError, match="expected 200 to 8000"):
        compose_page([CastMember("lorelei", "x")], "p", 0, 0, 60_000)
