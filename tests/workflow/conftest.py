"""Whole runs of the tiny study."""

import pytest
from tiny import ODD, give_odd_names, make_project


@pytest.fixture(scope="session")
def project(tmp_path_factory, small_base):
    """A project before its first run, in a folder and with files whose names are full of odd signs."""
    made = make_project(tmp_path_factory.mktemp("project") / ODD, small_base)
    give_odd_names(made)
    return made


@pytest.fixture(scope="session")
def finished(project):
    """The same project after a whole run; tests put back what they change."""
    project.snakemake()
    return project
