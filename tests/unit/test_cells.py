"""Names of training cells."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from egara.cells import describe_cell, expand_grid, format_cell, list_cells, parse_cell
from egara.config import complete_config
from egara.io.errors import EgaraError
from egara.vocabulary import AXES

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "config").glob("*.yaml"))


@pytest.mark.parametrize(
    "cell",
    [
        {"rank": 8, "alpha": 8, "resolution": 64, "init": "independent", "token": "none"},
        {"rank": 32, "alpha": 16.5, "resolution": 512, "init": "shared", "token": "author"},
    ],
)
def test_a_cell_survives_its_name(cell):
    assert parse_cell(format_cell(**cell)) == cell


def test_the_name_is_the_one_in_paths():
    name = "rank~8_alpha~8_resolution~64_init~shared_token~work"
    assert format_cell(rank=8, alpha=8.0, resolution=64, init="shared", token="work") == name
    assert isinstance(parse_cell(name)["alpha"], int)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rank~8",
        "alpha~8_rank~8_init~shared_token~work",
        "rank~8_alpha~8_resolution~64_init~shared_token~",
        "rank~0_alpha~8_resolution~64_init~shared_token~work",
        "rank~8_alpha~8_init~shared_token~work",
        "rank~8_alpha~8_resolution~0_init~shared_token~work",
        "rank~8_alpha~inf_resolution~64_init~shared_token~work",
        "rank~8.5_alpha~8_resolution~64_init~shared_token~work",
        "rank~8_alpha~8_resolution~64_init~shared_token~work_more~1",
    ],
)
def test_other_text_is_refused_and_quoted(text):
    with pytest.raises(EgaraError, match="rank~8_alpha~8") as caught:
        parse_cell(text)
    assert repr(text) in str(caught.value)


def by_snakemake(grid):
    """Return the names of a grid's cells, and the grid, as the workflow has them from Snakemake."""
    from snakemake.utils import Paramspace

    table = pd.DataFrame(expand_grid(grid), dtype=object)
    return Paramspace(table, filename_params="*", single_wildcard="cell")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_names_of_shipped_grids_are_those_of_snakemake(path):
    grid = complete_config(yaml.safe_load(path.read_text()))["grid"]
    space = by_snakemake(grid)
    assert list(space.instance_patterns) == list_cells(grid)
    assert [parse_cell(name) for name in space.instance_patterns] == expand_grid(grid)


@pytest.mark.parametrize("alpha", [0.5, 1e-7, 0.00015, 1 / 3, 16.0, 16.5, 1000.25, 123456.7, 2_000_000])
def test_numbers_are_written_as_snakemake_writes_them(alpha):
    grid = {"rank": [8], "alpha": [alpha], "resolution": [64], "init": ["shared"], "token": ["none"]}
    (name,) = by_snakemake(grid).instance_patterns
    assert name == list_cells(grid)[0] == format_cell(**parse_cell(name))
    assert parse_cell(name)["alpha"] == pytest.approx(alpha, rel=1e-5)


def test_a_grid_is_every_combination_in_the_order_of_its_axes():
    grid = {"rank": [2, 8], "alpha": "rank", "resolution": [64, 32], "init": ["independent"], "token": ["none", "work"]}
    cells = expand_grid(grid)
    assert len(cells) == 8 and all(list(cell) == list(AXES) for cell in cells)
    assert [(cell["rank"], cell["alpha"]) for cell in cells] == [(2, 2)] * 4 + [(8, 8)] * 4
    assert [(cell["resolution"], cell["token"]) for cell in cells[:4]] == [
        (64, "none"), (64, "work"), (32, "none"), (32, "work")
    ]  # fmt: skip
    assert len(expand_grid(grid | {"alpha": [1, 2, 4.5]})) == 2 * 3 * 4
    with pytest.raises(EgaraError, match="two cells with one name, rank~2_alpha~1_"):
        expand_grid(grid | {"alpha": [1, 1.0000001]})


def test_a_cell_in_words():
    name = format_cell(rank=8, alpha=8, resolution=512, init="shared", token="none")
    assert describe_cell(name) == "rank = alpha = 8 · 512 px · shared A · token none"
    row = parse_cell(name) | {"alpha": 2.5, "l2": "on"}
    assert describe_cell(row, ", ") == "rank 8, alpha 2.5, 512 px, shared A, token none"
