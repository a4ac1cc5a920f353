"""A full disk: one clear line, nothing half-written, and the same command finishes once there is room."""

import os
import subprocess
import sys

import numpy as np
import pytest
from small_training import command, write_inputs

from egara.io.errors import EgaraError


@pytest.fixture(scope="module")
def study(small_base, tmp_path_factory):
    """Inputs of a small training run."""
    return write_inputs(tmp_path_factory.mktemp("study"), small_base)


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own; `disk.resize(bytes)` gives it more room."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"no small disk can be mounted here: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def resize(disk, kilobytes):
    subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(disk)], check=True)


def run_stage(stage, options):
    return subprocess.run(
        [sys.executable, "-m", "egara", *stage.split(), *options],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def files_on(disk):
    return sorted(path for path in disk.rglob("*") if path.is_file())


def refuses(done, place):
    """Whether a stage ended with one line that names a file on the full disk."""
    lines = [line for line in done.stderr.splitlines() if "cannot be written" in line]
    return done.returncode == 1 and len(lines) == 1 and str(place) in lines[0] and "Traceback" not in done.stderr


def test_training_keeps_finished_loras_and_goes_on(study, disk, tmp_path):
    from safetensors import safe_open

    options = command(study, tmp_path / "loras", seed=77)
    options[options.index("--store") + 1] = str(disk / "store")
    options[options.index("--pack") + 1] = "1"
    assert refuses(run_stage("loras", options), disk)
    assert files_on(disk) == [], "a LoRA is larger than this disk"
    one = tmp_path / "one"
    alone = [*options]
    alone[alone.index("--store") + 1] = str(one)
    assert run_stage("loras", [*alone[:-1], str(tmp_path / "elsewhere")]).returncode == 0
    size = files_on(one)[0].stat().st_size
    resize(disk, int(1.5 * size / 1024) + 16)
    assert refuses(run_stage("loras", options), disk)
    assert len(files_on(disk)) == 1, "the first LoRA has room, the second has not"
    for path in files_on(disk):
        with safe_open(path, framework="np") as file:
            assert file.keys()
    whole = {path: path.read_bytes() for path in files_on(disk)}
    resize(disk, int(4 * size / 1024) + 64)
    assert run_stage("loras", options).returncode == 0
    assert len(files_on(disk)) == 3
    assert all(path.read_bytes() == content for path, content in whole.items()), "what was finished stays as it was"


def test_latents_and_tables_leave_nothing(study, disk):
    from egara.io.atomic import write_text
    from egara.io.tensors import write_tensors

    options = ["--sets", str(study / "sets.tsv"), "--crops", str(study / "crops"), "--base", str(study / "base.json")]
    options += ["--resolution", "64", "--device", "cpu", "--cache", str(disk / "cache")]
    options += ["--output", str(disk / "latents.safetensors")]
    (disk / "filling").write_bytes(bytes(60 * 1024))
    assert refuses(run_stage("loras encoding latents", options), disk)
    with pytest.raises(EgaraError, match="table.tsv: cannot be written .No space left on device"):
        write_text(disk / "table.tsv", "x" * 10**5)
    with pytest.raises(EgaraError, match=r"x.safetensors: cannot be written \(.*No space left"):
        write_tensors(disk / "x.safetensors", {"a": np.zeros(10**5, np.float32)})
    assert not list(disk.glob("*.safetensors")) and not list(disk.rglob(".*")), "no half files under any name"
    (disk / "filling").unlink()
    resize(disk, 4096)
    assert run_stage("loras encoding latents", options).returncode == 0
    assert (disk / "latents.safetensors").is_file()


def test_a_memory_mapped_matrix_ends_in_one_line_too(disk, tmp_path):
    from egara.loras.files.layers import Factors
    from egara.loras.files.writing import write_lora

    pair = Factors(np.ones((4, 2000), np.float32), np.ones((2000, 4), np.float32), 1.0)
    for work in ("a", "b"):
        write_lora(tmp_path / work / "00.safetensors", {"unet.conv_in": pair}, {"author": work})
    options = ["--folder", str(tmp_path), "--works", "a", "b", "--sets", "1", "--representation", "factors"]
    options += ["--output", str(disk / "matrix.npy")]
    assert refuses(run_stage("weights vectors", options), disk), "a mapped page without room kills"
    assert files_on(disk) == []
    resize(disk, 1024)
    assert run_stage("weights vectors", options).returncode == 0
    assert (disk / "matrix.npy").stat().st_size > 2 * 4 * 16000
