"""Maintaining the store: corrupt files are named, finished LoRAs move to another machine, nothing else comes in."""

import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from test_loras import command, study  # noqa: F401

from egara.loras.files.writing import save_lora
from egara.loras.store import content_key, link, stored
from egara.loras.store.__main__ import main


def put(store, number, save_dtype="float32"):
    """Store a LoRA as the trainer does and return its place."""
    header = {
        "author": "Ada",
        "work": "w",
        "set": f"{number:02d}",
        "images": ["a", "b"],
        "training_version": 1,
        "seed": number,
    }
    key = content_key(header | {"save_dtype": save_dtype})
    draw = np.random.default_rng(number)
    tensors = {
        f"unet.a.to_q.lora_{side}.weight": draw.normal(size=shape).astype(np.float32)
        for side, shape in (("A", (2, 6)), ("B", (4, 2)))
    }
    save_lora(stored(store, key), tensors, 2, 2, header | {"loss": 0.1}, np.ones(3), save_dtype)
    return stored(store, key)


@pytest.fixture
def store(tmp_path, caplog):
    caplog.set_level("INFO", "egara")
    for number in range(3):
        put(tmp_path / "store", number, ("float32", "float16")[number % 2])
    return tmp_path / "store"


def content(store):
    return {path.relative_to(store): path.read_bytes() for path in store.rglob("*") if path.is_file()}


def test_a_good_store_is_verified_and_left_as_it_is(store, caplog):
    before = content(store)
    assert main(["verify", str(store)]) == 0
    assert "3 files are whole, 0 are corrupt" in caplog.text
    assert content(store) == before


def test_corrupt_files_are_named(store, caplog):
    flipped, moved, cut = sorted(store.glob("??/*"))
    whole = flipped.read_bytes()
    flipped.write_bytes(whole[:-3] + bytes([whole[-3] ^ 8]) + whole[-2:])
    other = stored(store, "0" * 64)
    other.parent.mkdir(exist_ok=True)
    moved.rename(other)
    cut.write_bytes(cut.read_bytes()[:-2])
    assert main(["verify", str(store)]) == 1
    said = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(said) == 3 and not any("\n" in line for line in said)
    for path, word in ((flipped, "changed"), (other, "holds the LoRA"), (cut, "not a whole")):
        assert any(str(path) in line and word in line for line in said), word


def test_loras_move_to_another_machine(store, tmp_path, caplog):
    archive, there = tmp_path / "loras.tar", tmp_path / "there"
    assert main(["export", str(store), str(archive)]) == 0
    assert main(["import", str(there), str(archive)]) == 0
    assert content(there) == content(store)
    caplog.clear()
    assert main(["import", str(there), str(archive)]) == 0
    assert "0 LoRAs added, 3 already in the store, 0 refused" in caplog.text


def test_a_corpus_takes_its_own_loras_along(store, tmp_path):
    used = put(store, 7)
    results = tmp_path / "results"
    link(used, results / "loras" / "cell" / "w" / "00.safetensors")
    archive, there = tmp_path / "loras.tar", tmp_path / "there"
    assert main(["export", str(store), str(archive), "--results", str(results)]) == 0
    assert main(["import", str(there), str(archive)]) == 0
    assert [*content(there)] == [used.relative_to(store)]


def test_members_that_are_no_lora_of_their_name_stay_outside(store, tmp_path, caplog):
    good = sorted(store.glob("??/*"))[0]
    flipped = good.read_bytes()[:-3] + b"abc"
    name = f"{good.parent.name}/{good.name}"
    members = {"../../out.safetensors": b"x", "/etc/out": b"x", "ab/short.safetensors": b"x", name: flipped}
    archive, there = tmp_path / "bad.tar", tmp_path / "there"
    with tarfile.open(archive, "w") as file:
        for member, data in members.items():
            info = tarfile.TarInfo(member)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
        link_ = tarfile.TarInfo(f"00/{'0' * 64}.safetensors")
        link_.type, link_.linkname = tarfile.SYMTYPE, "/etc/passwd"
        file.addfile(link_)
    before = content(tmp_path)
    assert main(["import", str(there), str(archive)]) == 1
    said = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(said) == 5 and not any("\n" in line for line in said)
    assert content(tmp_path) == before


def test_an_archive_cut_short_keeps_what_came_before(store, tmp_path):
    from egara.io.errors import EgaraError

    archive, there = tmp_path / "loras.tar", tmp_path / "there"
    assert main(["export", str(store), str(archive)]) == 0
    first = min(path.stat().st_size for path in store.glob("??/*"))
    archive.write_bytes(archive.read_bytes()[: 512 + first + 700])
    with pytest.raises(EgaraError, match="not a whole archive"):
        main(["import", str(there), str(archive)])
    assert content(there).items() <= content(store).items()


def train_with(package, made, output, store):
    """Train a work with the library in `package`; returns what the command logged."""
    options = command(made, output, seed=21)
    options[options.index("--store") + 1] = str(store)
    environment = os.environ | {"PYTHONPATH": str(package.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "egara", "loras", *options], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def edit(path, before, after):
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def fingerprint_in(package):
    code = "from egara.fingerprint import fingerprint; print(fingerprint('egara.loras'))"
    environment = os.environ | {"PYTHONPATH": str(package.parent)}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True).stdout


def test_a_renamed_variable_trains_nothing_and_a_raised_version_trains_everything(study, tmp_path):  # noqa: F811
    """Snakemake runs the rule again, whose params hold the code's fingerprint; the store gives the LoRAs back."""
    import egara

    package = tmp_path / "workflow" / "egara"
    shutil.copytree(Path(egara.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    training, kept = package / "loras" / "training", tmp_path / "kept"
    assert "3 LoRAs, 0 in the store" in train_with(package, study, tmp_path / "first", kept)
    before = fingerprint_in(package)
    edit(training / "loop.py", "model_pred", "predicted")
    assert fingerprint_in(package) not in ("", before)
    assert "3 LoRAs, 3 in the store" in train_with(package, study, tmp_path / "again", kept)
    for path in sorted((tmp_path / "first").iterdir()):
        assert path.samefile(tmp_path / "again" / path.name)
    edit(training / "__init__.py", "TRAINING_VERSION = ", "TRAINING_VERSION = 100 + ")
    assert "3 LoRAs, 0 in the store" in train_with(package, study, tmp_path / "raised", kept)
