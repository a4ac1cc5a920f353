"""An undisturbed run of the tiny study, to which disturbed ones are compared."""

import pytest
from tiny import make_project


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
