"""An undisturbed run of the tiny study, to which disturbed ones are compared."""

import subprocess

import pytest
from tiny import Project, make_project


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory, small_base):
    """A project after a whole run."""
    made = make_project(tmp_path_factory.mktemp("undisturbed"), small_base)
    made.snakemake()
    return made


@pytest.fixture
def disturbed(tmp_path, small_base):
    """A project of the same study before its first run."""
    return make_project(tmp_path / "disturbed", small_base)


@pytest.fixture
def copied(tmp_path, undisturbed):
    """A copy of the whole run with its times, hard links and Snakemake's notes, to damage."""
    subprocess.run(["cp", "-a", str(undisturbed.folder), str(tmp_path / "copied")], check=True)
    return Project(tmp_path / "copied")
