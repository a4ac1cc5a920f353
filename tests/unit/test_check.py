"""`egara check` says of a user's shelf what it holds and takes, and every problem of it, before the first job."""

import json
import shlex
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import SimpleNamespace

import pytest
from checked_study import HUB, check, flat, write_study
from containers import page, write_zip
from PIL import Image

from egara.__main__ import main
from egara.check import shelf
from egara.corpus.limits import Limits
from egara.shipped import CHECKOUT

pytest_plugins = ["checked_study"]


@pytest.fixture
def planted(place):
    """Write a shelf with one problem of each kind beside good volumes."""
    usual = {f"{number}.jpg": page(10) for number in range(9)}
    write_zip(place / "a" / "v01.cbz", {**usual, "Thumbs.db": b"x", "credits.txt": b"x"})
    write_zip(place / "a" / "v02.cbz", {**usual, "4.jpg": page(200)})
    (place / "a" / "v03.cbz").write_bytes(b"no archive")
    (place / "a" / "novel.mobi").write_bytes(b"x")
    (place / "b").mkdir()
    for number in range(6):
        (place / "b" / f"{number}.jpg").write_bytes(page(20))
    Image.new("L", (900, 700)).save(place / "b" / "9.png")
    (place / "b" / "more").symlink_to(place / "b")
    Image.new("L", (300, 400)).save(place / "c.pdf", save_all=True, append_images=[Image.new("L", (300, 400))])
    rows = ["Sato Aki\tone\ta", "SATO AKI\ttwo\tb", "佐藤\tthree\tc.pdf"]
    return write_study(place, rows, pages={"max_pixels": 500_000})


def test_a_shelf_is_told_in_numbers(planted, capsys):
    status, text = check(capsys, planted, "--json")
    found = json.loads(text)
    assert status == 0 and found["runs"] and not found["stops"]
    one, two, three = found["works"]
    kinds = [[volume["kind"] for volume in work["volumes"]] for work in (one, two, three)]
    assert kinds == [["CBZ", "CBZ"], ["folder of images"], ["PDF"]]
    assert [one["pages"], two["pages"], three["pages"]] == [18, 7, 2]
    assert [one["size"], two["size"], three["size"]] == [[50, 60], [60, 60], [300, 400]]
    assert one["outlying"] == [[240, 60]] and two["outlying"] == []
    assert one["left_out"] == {"volume": 2, "system": 1, "foreign": 1}
    assert two["left_out"] == {"limit": 1, "link": 1}
    assert (found["loras"], found["steps"], len(found["cells"])) == (2 * 3 * 3, 2 * 3 * 3 * 500, 2)


def test_a_shelf_is_told_in_words(planted, capsys):
    status, text = check(capsys, planted)
    assert status == 0
    assert text.startswith("mine.yaml: study mine, 3 works by 3 authors\n")
    assert "author 'Sato Aki' (row 2) and 'SATO AKI' (row 3) differ only in case; they count as two" in flat(text)
    lines = {line.split()[0]: line.split() for line in text.splitlines() if line.startswith("  ")}
    assert lines["one"] == ["one", "Sato", "Aki", "2", "CBZ", "18", "50", "x", "60,", "up", "to", "240", "x", "60", "4"]
    assert lines["three"][1:4] == ["佐藤", "1", "PDF"] and lines["all"] == ["all", "4", "27", "6"]
    assert "1 page beyond a limit" in text and "v03.cbz: not a volume, by its first bytes" in flat(text)
    assert "pages.max_pixels" in text
    assert "unknown until faces are detected" in text and f"{HUB}: not on this machine yet" in text
    snakefile = shlex.quote(f"{CHECKOUT}/Snakefile")
    assert text.rstrip().endswith(f"Ready to run: snakemake --cores all -s {snakefile} --configfile mine.yaml")
    Path("Snakefile").touch()
    assert check(capsys, planted)[1].rstrip().endswith("Ready to run: snakemake --cores all --configfile mine.yaml")
    wide = [line for line in text.splitlines() if "a ".join(line.split()) and len(line) > 115]
    assert not wide


def test_what_is_skipped_stops_a_study_that_allows_no_loss(planted, capsys):
    status, text = check(capsys, planted, "--set", "pages.unreadable=error")
    assert status == 1 and "work one: a/v03.cbz: not a volume, by its first bytes" in flat(text)
    assert "work two: b/9.png: page of 900 x 700 pixels" in flat(text)


def test_all_that_stops_a_study_is_said_at_once_and_first(place, capsys):
    write_zip(place / "a.cbz", {"1.jpg": page(1)})
    (place / "bad.cbz").write_bytes(b"no archive")
    config = write_study(
        place,
        ["A\tone\ta.cbz;gone.cbz;away/*.cbz", "A\tt/wo\ta.cbz", "B\tOne\ta.cbz", "B\tthree\tbad.cbz"],
        sets={"size": 0, "cuont": 3},
        rank=[8],
        faces={"detector": "onnx:nets/missing.onnx"},
        base="./base",
        captions={"text": "solo, three, face"},
    )
    status, text = check(capsys, config)
    first, _, rest = text.partition("\nVolumes\n")
    assert status == 1 and rest and "Ready to run" not in text
    for said in (
        "unknown key rank (did you mean grid.rank?)",
        "unknown key cuont (did you mean count?)",
        "sets.size is 0",
        "works.tsv, row 3: work 't/wo' is not a valid file name",
        "works.tsv, row 4: work One is in row 2, too",
        "work one: gone.cbz: no such file or folder",
        "work one: away/*.cbz: matches no file",
        "work three: none of its volumes can be read",
        "nets/missing.onnx",
        "base model ./base: no such folder",
        "holds 'three' of the name 'three'",
    ):
        assert said in flat(first), said
    assert flat(first).count(" - ") >= 11
    assert "onnx:nets/missing.onnx: cannot be used" in text


def test_keys_that_are_written_twice_or_hold_nothing(place, capsys):
    config = write_study(place, ["A\tone\ta.cbz"])
    write_zip(place / "a.cbz", {f"{number}.jpg": page(number) for number in range(5)})
    text = f"corpus: x\nworks: works.tsv\nbase: {HUB}\nsets:\n  size: 9\n  size: 4\nfaces:\npages:\ncorpus: y\n"
    (place / config).write_text(text)
    status, text = check(capsys, config)
    assert status == 0 and "study y, 1 work" in text  # headings without keys are those with defaults
    assert "mine.yaml: sets.size is set twice, in lines 5 and 6; the last one is used" in flat(text)
    assert "mine.yaml: corpus is set twice, in lines 1 and 9" in flat(text)


def test_one_volume_in_two_works_is_pointed_out(place, capsys):
    write_zip(place / "a.cbz", {"1.jpg": page(1)})
    status, text = check(capsys, write_study(place, ["A\tone\ta.cbz", "B\ttwo\t./a.cbz"]))
    assert status == 0 and "a.cbz: belongs to works one and two; its faces would carry all their labels" in flat(text)


def test_a_configuration_that_cannot_be_read_and_wrong_usage(place, capsys):
    (place / "x.yaml").write_text("a: [1\nb: 2\n")
    with pytest.raises(Exception, match=r"x\.yaml, line 2: not valid YAML"):
        main(["check", "x.yaml"])
    with pytest.raises(Exception, match=r"y\.yaml: cannot be read"):
        main(["check", "y.yaml"])
    with pytest.raises(Exception, match="expected KEY=VALUE"):
        main(["check", write_study(place, ["A\tone\ta.cbz"]), "--set", "seed"])
    for arguments in ([], ["check"], ["chekc"]):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 2


def write_book(place: Path, name: str, faces: list[int], scale: float = 1.0) -> None:
    """Write two pages, annotated at 400 x 600, and a face of each side on the first; another box is none."""
    folder = place / "images" / name
    folder.mkdir(parents=True)
    for number in range(2):
        Image.new("L", (round(400 * scale), round(600 * scale))).save(folder / f"{number:03d}.jpg")
    boxes = [f'<face xmin="50" ymin="60" xmax="{50 + side}" ymax="{60 + side}"/>' for side in faces]
    boxes.append('<body xmin="0" ymin="0" xmax="300" ymax="300"/>')
    pages = (
        f'<page index="0" width="400" height="600">{"".join(boxes)}</page><page index="1" width="400" height="600"/>'
    )
    (place / "annotations").mkdir(exist_ok=True)
    (place / "annotations" / f"{name}.xml").write_text(f'<book title="{name}"><pages>{pages}</pages></book>')


@pytest.mark.parametrize("detector", ["annotations:annotations", "egara"])
def test_annotated_faces_are_counted_as_they_will_be_cropped(place, capsys, detector):
    # With a margin of a tenth on each side: 84 becomes 100 and 83 becomes 99 pixels, one too few.
    write_book(place, "A", [84, 83, 82, 20, 90, 100, 120])
    write_book(place, "B", [84, 83, 82, 40, 60, 120], scale=2)
    rows = ["X\tA\timages/A", "Y\tB\timages/B"]
    config = write_study(place, rows, faces={"detector": detector})
    found = json.loads(check(capsys, config, "--json")[1])
    faces = {work["work"]: (work["faces"]["found"], work["faces"]["kept"]) for work in found["works"]}
    assert faces == {"A": (7, 4), "B": (6, 5)}
    status, text = check(capsys, config, "--set", "sets.size=5")
    assert status == 1 and "work A: 7 faces, of which 4 large enough (annotations); its sets need 5" in flat(text)
    assert "work B" not in text and "expected 9 of 13 in 2 works (annotations); fewest in A, 4" in flat(text)


def test_disjoint_sets_need_more_faces(place, capsys):
    write_book(place, "A", [100] * 9)
    config = write_study(place, ["X\tA\timages/A"], controls={"kinds": ["disjoint"], "sets": 3})
    status, text = check(capsys, config)
    assert status == 1 and "9 faces, of which 9 large enough (annotations); its sets need 12" in flat(text)


def test_a_book_without_annotations_stops_the_detector_that_needs_them(place, capsys):
    write_book(place, "A", [100] * 9)
    write_book(place, "B", [100])
    (place / "annotations" / "B.xml").unlink()
    config = write_study(place, ["X\tA\timages/A", "X\tB\timages/B"], faces={"detector": "annotations:annotations"})
    status, text = check(capsys, config)
    assert status == 1 and "work B: volume B: not annotated in annotations; expected B.xml" in flat(text)


def test_every_picture_is_a_face_for_whole(place, capsys):
    write_zip(place / "a.cbz", {f"{number}.jpg": page(number) for number in range(5)})
    config = write_study(place, ["A\tone\ta.cbz"], faces={"detector": "whole", "min_pixels": 2400})
    status, text = check(capsys, config)
    assert status == 0 and "two of its 3 sets share 80% of their faces on average" in text
    assert check(capsys, config, "--set", "sets.size=6")[0] == 1
    status, text = check(capsys, config, "--set", "faces.min_pixels=2500")  # pages of 40 to 44 x 60
    assert status == 1 and "work one: 5 faces, of which 3 large enough (one face per page)" in flat(text)


def test_a_volume_that_ends_its_process_costs_itself(place, monkeypatch):
    class Broken:
        def map(self, *_, **__):
            raise BrokenProcessPool

        def submit(self, _, task):
            if task[0].name == "fatal.pdf":
                raise BrokenProcessPool
            return SimpleNamespace(result=lambda: shelf._survey(task))

        def shutdown(self, **_):
            pass

    monkeypatch.setattr(shelf, "ProcessPoolExecutor", lambda *_, **__: Broken())
    paths = [place / f"{number}.cbz" for number in range(9)]
    for path in paths:
        write_zip(path, {"1.jpg": page(1)})
    found = shelf._survey_all([(path, Limits(), 150, 3) for path in [*paths, place / "fatal.pdf"]])
    assert [one.pages for one in found[:9]] == [1] * 9
    assert found[9].endswith(
        "fatal.pdf: crashes the process that reads it; expected a volume that other readers can open"
    )
