"""Runs from any folder: another working directory, a checkout that is only read, results elsewhere, as a module."""

import shutil
import subprocess
import sys

import pytest
from tiny import ODD, Project

CROPS = [f"results/tiny/faces/{work}.tsv" for work in ("A-2", "B-1")]
MODULE = '''
configfile: "config/tiny.yaml"

module egara:
    snakefile: """{checkout}/Snakefile"""
    config: config
    prefix: "{prefix}"

use rule * from egara as egara_*

rule count:
    input: "{prefix}/results/tiny/sets/B-1.tsv"
    output: "counted.txt"
    shell: "python -c 'print(open(\\"{{input}}\\").read().count(chr(10)))' > {{output}}"
'''


@pytest.fixture
def study(project, tmp_path):
    """A folder with a study and no checkout: configuration, works table, volumes and base."""
    folder = tmp_path / "study"
    for part in ("volumes", f"base {ODD}"):
        shutil.copytree(project.folder / part, folder / part)
    (folder / "config").mkdir()
    for path in (project.config, project.table):
        shutil.copy(path, folder / "config")
    return Project(folder)


@pytest.fixture
def only_read(project, monkeypatch):
    """The checkout, in which nothing may be written, and is not."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # what Python keeps there by itself, where it may
    folders = [project.folder, *(path for path in project.folder.rglob("*") if path.is_dir())]
    modes = {path: path.stat().st_mode for path in folders}
    before = {path: path.stat().st_mtime_ns for path in project.folder.rglob("*")}
    for path in folders:
        path.chmod(modes[path] & ~0o222)
    yield project.folder
    for path in folders:
        path.chmod(modes[path])
    assert {path: path.stat().st_mtime_ns for path in project.folder.rglob("*")} == before


def test_a_study_elsewhere_runs_with_a_checkout_that_is_only_read(only_read, study, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    (study.folder / "results").symlink_to(disk)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "-s", f"{only_read}/Snakefile"]
    command += ["--directory", str(study.folder), "--configfile", str(study.config)]
    ran = subprocess.run([*command[:3], *CROPS, *command[3:]], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-4000:]
    assert all((study.folder / path).read_text().count("\n") == 1 + 7 for path in CROPS)
    assert (disk / "tiny" / "faces" / "B-1.tsv").is_file() and not (tmp_path / ".snakemake").exists()
    assert study.planned("-s", f"{only_read}/Snakefile")["write_report"] == 1


def test_shipped_files_are_found_from_the_checkout(project, study):
    jobs = study.planned("-s", f"{project.folder}/Snakefile", "--configfile", f"{project.folder}/config/config.yaml")
    assert jobs["compose_volumes"] == 10 and jobs["write_report"] == 1


def test_a_link_to_the_snakefile_alone_is_refused_in_one_line(project, study):
    (study.folder / "workflow").mkdir()
    (study.folder / "workflow" / "Snakefile").symlink_to(project.folder / "workflow" / "Snakefile")
    assert "expected the Snakefile in its checkout, no link to it" in study.snakemake("-n", good=False)


def test_a_module_of_another_workflow_keeps_its_files_behind_a_prefix(project, study):
    text = MODULE.format(checkout=project.folder, prefix="deep er/study")
    (study.folder / "Snakefile").write_text(text, encoding="utf-8")
    assert study.planned("egara_all")["egara_write_report"] == 1
    study.snakemake("counted.txt")
    assert (study.folder / "counted.txt").read_text() == "13\n"
    assert not (study.folder / "results" / "tiny").exists()


def test_settings_of_the_command_line_have_their_types(project):
    jobs = project.planned("--forceall", "--config", "corpus=2024", "grid={rank: [4, 8]}", "l2=[true, false]", "seed=7")
    assert jobs["train_loras"] == 2 * 4 and jobs["score"] == 2 * 2 * 2
