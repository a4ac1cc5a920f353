"""What docs/developing.md says about adding to the project is so: its examples run, in as many files as it says."""

import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from documented import PAGE, apply, examples
from small_study import INDEPENDENT, WORKS, train
from tiny import Project, make_project

CELL = "rank~2_alpha~2_resolution~64_init~independent_token~author"


@pytest.fixture
def copy(tmp_path, small_base):
    """A copy of the project to which examples are added."""
    return make_project(tmp_path / "project", small_base)


def call(copy, *command):
    """Run a command of the copy and return what it printed."""
    environment = os.environ | {"PYTHONPATH": str(copy.folder / "workflow")}
    ran = subprocess.run(
        [sys.executable, "-m", "egara", *map(str, command)],
        cwd=copy.folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return ran.stdout + ran.stderr


def gram_of(copy, representation):
    """Compute a Gram matrix of a small study in the copy and return the paths of the matrix and its index."""
    train(copy.folder / "loras", INDEPENDENT)
    gram, index = copy.folder / f"{representation}.npy", copy.folder / f"{representation}.tsv"
    loras = ["--folder", copy.folder / "loras" / INDEPENDENT, "--works", *(work for _, work, _ in WORKS), "--sets", 4]
    call(copy, "weights", *loras, "--representation", representation, "--gram", gram, "--index", index)
    return gram, index


def test_the_page_counts_its_own_files():
    """The table at the top, and the examples below it."""
    said = dict(re.findall(r"^\| an? (.+?) \| (\d)", PAGE.read_text(encoding="utf-8"), re.M))
    blocks = {title.lower().split(" ", 1)[1]: found for title, found in examples().items()}
    counted = {what: str(len({path for _, path, _ in found})) for what, found in blocks.items()}
    assert counted == said


def test_a_representation_is_one_file(copy):
    assert len(apply("A representation", copy.folder)) == 1
    gram, index = gram_of(copy, "rowspace")
    found = np.load(gram)
    # Rank 2 in each of two layers: a LoRA's squared norm is the dimension of its row spaces.
    np.testing.assert_allclose(np.diag(found), 4, rtol=1e-4)
    assert len(pd.read_csv(index, sep="\t")) == len(found) == 4 * len(WORKS)
    code = "from egara.tables.pivot import ORDER; from egara.weights.representations import label_of"
    ran = f"{code}; print(ORDER['representation'][-1], label_of('rowspace-layerwise'))"
    said = subprocess.run(
        [sys.executable, "-c", ran], env=os.environ | {"PYTHONPATH": str(copy.folder / "workflow")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout.strip() == "rowspace row space of ΔW, layer by layer"


def test_an_axis_reaches_cells_paths_and_the_trainer(copy):
    assert len(apply("An axis of the training grid", copy.folder)) <= 3
    copy.change("token: [author]}", "token: [author], learning_rate: [0.0005, 0.02]}")
    said = copy.snakemake("-n", "-p")
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", said.split("Job stats:")[1], re.M))
    assert jobs["train_loras"] == "8", "four works in two cells"
    assert jobs["encode_faces"] == "4", "the learning rate changes no latents"
    for rate in ("0.0005", "0.02"):
        trained = [
            line for line in said.splitlines() if "egara loras --sets" in line and f"learning_rate~{rate}/A-1" in line
        ]
        assert trained and all(f'"learning_rate": {rate}' in line for line in trained)
    code = f"from egara.cells import describe_cell; print(describe_cell('{CELL}_learning_rate~0.02'))"
    environment = os.environ | {"PYTHONPATH": str(copy.folder / "workflow")}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.strip().endswith("token author · learning rate 0.02")


def test_a_stage_is_four_files(copy):
    assert len(apply("A stage", copy.folder)) <= 4
    assert copy.planned(f"results/tiny/outliers/{CELL}/delta.tsv")["find_outliers"] == 1
    gram, index = gram_of(copy, "delta")
    table = copy.folder / "outliers.tsv"
    call(copy, "outliers", "--gram", gram, "--index", index, "--count", 3, "--output", table)
    found = pd.read_csv(table, sep="\t")
    assert list(found) == ["author", "work", "set", "distance"] and len(found) == 3
    assert found["distance"].is_monotonic_decreasing


@pytest.fixture
def made(finished, tmp_path):
    """A copy of the project after a whole run."""
    shutil.copytree(finished.folder, tmp_path / "made", symlinks=True)
    return Project(tmp_path / "made")


def test_a_detector_is_one_file(made):
    assert len(apply("A face detector", made.folder)) == 1
    pages = ["--pages", "results/tiny/pages/A-1.tsv", "--work", "A-1", "--detector", "center"]
    files = ["--output", "faces.tsv", "--crops", "crops", "--sheet", "faces.png"]
    call(made, "faces", *pages, "--margin", 0, "--min-pixels", 100, *files)
    found = pd.read_csv(made.folder / "faces.tsv", sep="\t")
    assert len(found) == 7, "one face per page"
    assert len(list((made.folder / "crops").glob("*.png"))) == 7


def test_a_table_is_one_file_and_in_the_report(made):
    assert len(apply("A table", made.folder)) == 1
    assert made.planned()["tabulate"] == made.planned()["write_report"] == 1
    made.snakemake()
    table = pd.read_csv(made.folder / "results/tiny/tables/gain.tsv", sep="\t")
    top = pd.read_csv(made.folder / "results/tiny/tables/neighbours.tsv", sep="\t").query("space == 'full'")
    expected = (top["work_top1"] - top["work_top1_chance"]) / (1 - top["work_top1_chance"])
    assert sorted(table["work"].round(6)) == sorted(expected.round(6)) and len(table)
    for name in ("tables/gain.md", "report.html"):
        assert "From chance to perfect" in (made.folder / "results/tiny" / name).read_text()


def test_a_figure_is_one_file_and_in_the_report(made):
    assert len(apply("A figure", made.folder)) == 1
    jobs = made.planned()
    assert jobs["plot"] == 2 and jobs["write_report"] == 1, "one per space"
    path = f"results/tiny/figures/{CELL}/delta_l2~on/norms.svg"
    made.snakemake(path)
    svg = (made.folder / path).read_text()
    assert "Norms by work" in svg and "A-1" in svg
