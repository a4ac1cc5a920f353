"""One is counted in the singular, in what a stage says and in what a figure says of itself."""

import logging
import re

import pandas as pd
import pytest

from egara import sets
from egara.io.errors import counted


@pytest.mark.parametrize(
    ("number", "names", "said"),
    [
        (0, ("page",), "0 pages"),
        (1, ("page",), "1 page"),
        (2, ("page",), "2 pages"),
        (12_345, ("LoRA",), "12,345 LoRAs"),
        (1, ("smaller copy", "smaller copies"), "1 smaller copy"),
        (3, ("smaller copy", "smaller copies"), "3 smaller copies"),
    ],
)
def test_a_number_and_what_is_counted(number, names, said):
    assert counted(number, *names) == said


def test_a_stage_that_has_one_of_each_says_so_in_the_singular(tmp_path, caplog):
    faces = tmp_path / "one.tsv"
    row = {"face": ["00000"], "sha256": ["0" * 64], "file": ["00000.png"]}
    pd.DataFrame(row).to_csv(faces, sep="\t", index=False)
    with caplog.at_level(logging.INFO, "egara"):
        sets.main(
            ["--faces", str(faces), "--work", "one", "--count", "1", "--size", "1", "--seed", "0"]
            + ["--output", str(tmp_path / "sets.tsv")]
        )
    assert "work one: 1 set of 1 from 1 face" in caplog.text
    assert not re.search(r"\b1 \w+s\b", caplog.text)
