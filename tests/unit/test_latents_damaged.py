"""Encoding survives kills, full disks and damaged files; each fault is one line."""

import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from encoded_study import TRANSFORM, encoded_by, entries, images_of, options, write_study
from safetensors.numpy import load, load_file

from egara.io.errors import EgaraError
from egara.io.hashing import sha256
from egara.io.tables import write_tsv
from egara.loras.encoding import latents
from egara.loras.encoding.inputs import read_caption, read_latents

pytest_plugins = ["encoded_study"]


def test_a_killed_job_leaves_what_it_finished(described, tmp_path, monkeypatch):
    """The job kills itself (as `kill -9` does) while it writes its third face."""
    root = tmp_path / "study"
    write_study(root, described)
    code = (
        "import os, signal\nfrom egara.loras.encoding import latents\nreplace, done = os.replace, []\n"
        "def replace_or_die(*paths):\n"
        "    done.append(paths)\n"
        "    os.kill(os.getpid(), signal.SIGKILL) if len(done) == 3 else replace(*paths)\n"
        f"os.replace = replace_or_die\nlatents.main({options(root)!r})"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    assert not (root / "latents.safetensors").exists()
    assert encoded_by(root, monkeypatch) == ["00002", "00003"]
    read_latents(root / "latents.safetensors", images_of(root), described, TRANSFORM)


@pytest.mark.parametrize("damage", ["cut", "empty", "other", "flipped"])
def test_a_damaged_entry_is_named_in_one_line_and_computed_again(study, described, damage, caplog):
    first, second = entries(study)[:2]
    whole = first.read_bytes()
    flipped = whole[:-40] + bytes([whole[-40] ^ 4]) + whole[-39:]
    first.write_bytes({"cut": whole[:-100], "empty": b"", "other": second.read_bytes(), "flipped": flipped}[damage])
    written, gathered = load(whole), load_file(study / "latents.safetensors")
    with caplog.at_level("WARNING"):
        latents.main(options(study))
    said = [record.getMessage() for record in caplog.records if first.name in record.getMessage()]
    assert len(said) == 1 and "\n" not in said[0]
    assert all(np.array_equal(array, written[name]) for name, array in load(first.read_bytes()).items())
    assert all(
        np.array_equal(array, gathered[name]) for name, array in load_file(study / "latents.safetensors").items()
    )


def test_a_flipped_bit_in_gathered_files_is_one_line(study, described):
    path = study / "latents.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-40] + bytes([whole[-40] ^ 4]) + whole[-39:])
    with pytest.raises(EgaraError, match="latents.safetensors: numbers of .* were changed.*delete it and run again"):
        read_latents(path, images_of(study), described, TRANSFORM)


def test_gathered_files_cut_short_are_one_line(study, described):
    for name in ("latents", "captions"):
        path = study / f"{name}.safetensors"
        path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(EgaraError, match="latents.safetensors: not a whole safetensors file.*delete it and run again"):
        read_latents(study / "latents.safetensors", images_of(study), described, TRANSFORM)
    with pytest.raises(EgaraError, match="captions.safetensors: not a whole safetensors file.*delete it and run again"):
        read_caption(study / "captions.safetensors", "solo, face", described)


def test_a_full_disk_is_one_line_and_leaves_nothing(study):
    (study / "latents.safetensors").unlink()
    code = (
        "import resource, signal\nfrom egara.io.errors import run\nfrom egara.loras.encoding import latents\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        f"run(lambda: latents.main({options(study)!r}))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 1
    assert "latents.safetensors: cannot be written" in ran.stderr and "Traceback" not in ran.stderr
    assert not list(study.glob(".latents*")) and not (study / "latents.safetensors").exists()


def test_a_crop_that_is_no_picture_or_is_gone_is_named(study, described, tmp_path):
    write_study(tmp_path / "other", described, 1)
    root = tmp_path / "other"
    path = root / "crops" / "00000.png"
    path.write_bytes(path.read_bytes()[:60])
    write_tsv(root / "w.tsv", pd.DataFrame([{"face": "00000", "file": path.name, "sha256": sha256(path)}]))
    with pytest.raises(EgaraError, match="00000.png: cannot be read as an image"):
        latents.main(options(root))
    (study / "crops" / "00001.png").unlink()
    with pytest.raises(EgaraError, match="00001.png: cannot be read"):
        latents.main(options(study))
