"""`egara check` says what a study takes: bytes, hours on this machine, and the disk that it needs."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from checked_study import check, flat, write_study
from containers import page, write_zip

from egara.check import training
from egara.check.findings import examine
from egara.check.hours import count_hours
from egara.check.measure import STORED, list_trainings, place_of, time_steps
from egara.check.study import read_study
from egara.io.errors import EgaraError

pytest_plugins = ["checked_study"]


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
