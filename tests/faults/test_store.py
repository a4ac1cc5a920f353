"""A store that two studies share: each LoRA is trained once, and neither study can hurt the other."""

import os
import shutil
import subprocess
import sys

from corruption import CELL, forget, forget_from, loras
from outcome import same_results
from tiny import Project, start


def test_two_studies_that_train_at_once_in_one_store(undisturbed, copied, tmp_path):
    forget_from(copied, "latents")
    forget(copied, "store")
    subprocess.run(["cp", "-a", str(copied.folder), str(tmp_path / "other")], check=True)
    other = Project(tmp_path / "other")
    store = copied.folder / "results" / "store"
    store.mkdir()
    (other.folder / "results" / "store").symlink_to(store)
    runs = [start(project, "run.log") for project in (copied, other)]
    assert [run.wait() for run in runs] == [0, 0]
    for project in (copied, other):
        same_results(undisturbed, project)
    assert len([*store.glob("??/*.safetensors")]) == 4 * 3, "one file a LoRA"
    assert not [*(store / "unfinished").glob("*")]


def test_a_second_study_trains_nothing_and_outlives_the_first(undisturbed, copied):
    second = copied.folder / "config" / "twin.yaml"
    second.write_text(copied.config.read_text().replace("corpus: tiny", "corpus: twin"))
    copied.snakemake("--configfile", "config/twin.yaml")
    results = copied.folder / "results"
    for work in ("A-1", "A-2", "B-1", "B-2"):
        log = copied.folder / "logs" / "twin" / "loras" / CELL / f"{work}.log"
        assert f"{work}: 3 LoRAs, 3 in the store" in log.read_text()
        for path in loras(work):
            twin = copied.folder / path.replace("/tiny/", "/twin/")
            assert twin.samefile(copied.folder / path), "one file on the disk"
    same_results(undisturbed, copied)
    assert "Nothing to be done" in copied.snakemake("-n"), "the other study's run makes nothing here look old"
    kept = {path: path.read_bytes() for path in (results / "tiny").rglob("*") if path.is_file()}
    shutil.rmtree(results / "twin")
    prune = [sys.executable, "-m", "egara", "loras", "store", "prune", "results/store"]
    environment = os.environ | {"PYTHONPATH": str(copied.folder / "workflow")}
    subprocess.run(prune, cwd=copied.folder, check=True, env=environment)
    assert {path: path.read_bytes() for path in kept} == kept
    assert "Nothing to be done" in copied.snakemake("-n")
