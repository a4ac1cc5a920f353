"""`egara check` says of a user's shelf what it holds and takes, and every problem of it, before the first job."""

import json
import shlex
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from containers import page, write_zip
from PIL import Image

from egara.__main__ import main
from egara.check import shelf, training
from egara.check.findings import examine
from egara.check.hours import count_hours
from egara.check.measure import STORED, list_trainings, place_of, time_steps
from egara.check.study import read_study
from egara.corpus.limits import Limits
from egara.io.errors import EgaraError
from egara.shipped import CHECKOUT

HUB = "nobody/nowhere"  # a base that nobody has


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return an empty folder that is the working directory, without a hub's cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


def write_study(place: Path, rows: list[str], **settings) -> str:
    (place / "works.tsv").write_text("\n".join(["author\twork\tvolumes", *rows]) + "\n", encoding="utf-8")
    study = {"corpus": "mine", "works": "works.tsv", "base": HUB, "sets": {"count": 3, "size": 4}} | settings
    (place / "mine.yaml").write_text(json.dumps(study), encoding="utf-8")
    return "mine.yaml"


def check(capsys, *arguments: str) -> tuple[int, str]:
    status = main(["check", *arguments])
    return status, capsys.readouterr().out


def flat(text: str) -> str:
    """Return text without line breaks, so that it does not matter where a line is wrapped."""
    return " ".join(text.split())


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


@pytest.fixture
def embedded(place):
    """Return a study on the embedded base, with two resolutions' worth of cells."""
    write_zip(place / "a.cbz", {"1.jpg": page(1)})
    grid = {"rank": [2, 4], "resolution": [64], "token": ["none"]}
    return write_study(place, ["A\tone\ta.cbz", "B\ttwo\ta.cbz"], base="resources/base", grid=grid)


def test_sizes_of_files_are_those_of_real_loras(embedded):
    from egara.loras.base.components import load_part
    from egara.loras.files.writing import save_lora
    from egara.loras.training.packed import PackedAdapters, find_targets

    study = read_study(embedded, [])
    base = training.find(study)
    assert base.folder.is_absolute() and not study.stops  # the base ships with the project, wherever one is
    for targets, text_encoder in (("linear", False), ("attention", True), (["to_q", "ff.net.2"], False)):
        parts = ["unet", "text_encoder"] if text_encoder else ["unet"]
        models = {part: load_part(base.folder, part) for part in parts}
        layers = find_targets(models, targets)
        packed = PackedAdapters(models, layers, [4], [4], 4)
        counted = training.count_numbers(base.folder, targets, text_encoder)
        assert counted == (packed.values.numel() // 4, len(layers))
    tensors = {name: tensor.numpy() for name, tensor in packed.tensors(0).items()}
    save_lora(Path("a.safetensors"), tensors, 4, 4, {}, np.ones(10), "float16")
    cell = next(cell for cell in study.cells if "rank~4" in cell)
    assert abs(training.lora_bytes(cell, counted[0], "float16") - Path("a.safetensors").stat().st_size) < 20_000


def test_hours_come_from_a_measured_step(embedded, capsys):
    study = read_study(embedded, ["machine.device=cpu"])
    base = training.find(study)
    assert count_hours(study, {}).seconds is None
    (side, settings), *others = list_trainings(study).items()
    assert side == 64 and settings["rank"] == 4 and not others
    options = SimpleNamespace(
        settings=json.dumps(settings),
        base=base.folder,
        device="cpu",
        sets=3,
        pack=2,
        gradient_checkpointing=False,
        seconds=5,
    )
    measured = time_steps(options)
    assert 0 < measured["seconds"] < 5 and measured["pack"] == 2 and measured["bytes"] > 1e6
    place = place_of(study, base, settings)
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps(measured | {"seconds": 0.5}))
    found = json.loads(check(capsys, embedded, "--set", "machine.device=cpu", "--json")[1])
    assert found["seconds"] == 0.5 * 500 * 3 * 2 * 2 and found["step_seconds"] == {"64": 0.5}
    text = check(capsys, embedded, "--set", "machine.device=cpu")[1]
    assert "one step of one LoRA: 500 ms at 64 pixels (measured" in text
    # A measurement that failed is not tried again and again, and what it said is shown.
    place.write_text('{"fault": "device cuda: not on this machine"}')
    status, text = check(capsys, embedded, "--set", "machine.device=cpu")
    assert status == 1 and "a training step fails: device cuda: not on this machine; to try again: egara check" in flat(
        text
    )
    # One that another check has begun is waited for.
    place.with_suffix(".log").touch()
    place.unlink()
    assert "a training step is being timed" in check(capsys, embedded, "--set", "machine.device=cpu")[1]
    # Another batch takes another time: what was measured is not used.
    other = read_study(embedded, ["machine.device=cpu", "training.train_batch_size=7"])
    assert place_of(other, base, next(iter(list_trainings(other).values()))) != place and place.parent == STORED


def test_a_folder_that_cannot_be_written_is_checked_without_a_measurement(embedded, capsys):
    Path("results").write_text("no folder")
    status, text = check(capsys, embedded, "--set", "machine.device=cpu")
    assert status == 0 and "not measured yet" in text
    with pytest.raises(EgaraError, match="results/store/measured: cannot be written"):
        check(capsys, embedded, "--set", "machine.device=cpu", "--measure")


def test_a_disk_that_is_too_small_stops_the_study(embedded, monkeypatch):
    place_for_measure = {"machine.device=cpu"}
    monkeypatch.setattr(training, "free_bytes", lambda folder: 1000)
    monkeypatch.setattr("egara.check.hours.SMALL", 0)  # nothing is measured beside
    found = examine(embedded, [*place_for_measure, "projections.incremental=vectors"], None, False, 0)
    assert any("GiB on a disk with 0.0 GiB free" in stop for stop in found.study.stops)
    loras = sum(rank * found.sides * 4 + training.PROVENANCE for rank in (2, 4)) * 2 * 3
    assert found.disk.needed["LoRAs"] == loras
    vectors = sum(rank * found.sides * 4 for rank in (2, 4)) * 2 * 3
    assert found.disk.needed["matrices of vectors"] == pytest.approx(vectors, rel=0.01), "from layers of mean size"
    assert found.disk.needed["latents"] == 2 * (2 * 12) * 4 * (4 * 16 * 16) * 4
