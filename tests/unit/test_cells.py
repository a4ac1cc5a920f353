"""Names of training cells."""

import pytest

from egara.cells import format_cell, parse_cell
from egara.io.errors import EgaraError


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
