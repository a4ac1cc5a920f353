"""Whole runs of the tiny study."""

import pytest
from tiny import make_project


@pytest.fixture(scope="session")
def project(tmp_path_factory, small_base):
    """A project before its first run."""
    return make_project(tmp_path_factory.mktemp("project"), small_base)


@pytest.fixture(scope="session")
def finished(project):
    """The same project after a whole run; tests put back what they change."""
    project.snakemake()
    return project
