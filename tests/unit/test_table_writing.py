"""Layouts as Markdown, LaTeX and plain text: whatever the names are, columns stay columns."""

import re

import pandas as pd
import pytest

from egara.io.errors import EgaraError
from egara.tables.layout import Group, Layout, fixed, probability
from egara.tables.writing import cells, latex, markdown, plain, write_table

AWKWARD = Layout(
    "50 % of A_B & {C}",
    {"author": ["Jörg & Co", "横槍 メンゴ", "a|b_c*"]},
    [Group("so ~ so", {"p": ["<0.001", "0.500", "–"], "Δ": ["−0.1", "+0.2", "3"]}, frozenset({(0, "p")}))],
    ["100 % \\ done #1"],
)


def test_markdown_keeps_its_columns_whatever_the_names():
    lines = [line for line in markdown(AWKWARD).splitlines() if line.startswith("|")]
    assert len(lines) == 5
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {4}
    assert "**\\<0.001**" in lines[2]


def test_latex_escapes_everything():
    text = latex(AWKWARD)
    body = re.sub(r"\\(textasciitilde|textbackslash|textless|textbar)\{\}", "", text)
    for line in body.splitlines()[1:]:
        assert not re.search(r"(?<!\\)[#%_~^](?!$)", line), line
    assert r"Jörg \& Co" in text and r"\textbf{\textless{}0.001}" in text and r"$-$0.1" in text
    assert text.count("\\begin{") == text.count("\\end{") and body.count("{") == body.count("}")
    rows = [line for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    widths = {row.count(" & ") for row in rows}
    assert widths == {2}


def test_plain_text_is_aligned_in_any_script():
    rows = plain(AWKWARD).splitlines()[4:7]
    assert len({cells(row) for row in rows}) == 1


def test_an_unknown_form_writes_nothing(tmp_path):
    with pytest.raises(EgaraError, match="expected .tsv, .md or .tex"):
        write_table([tmp_path / "a.tsv", tmp_path / "a.xlsx"], pd.DataFrame({"a": [1]}), AWKWARD)
    assert not list(tmp_path.iterdir())


def test_numbers_as_text():
    assert fixed(-0.0012, 4) == "−0.0012" and fixed(float("nan")) == "–" and fixed(0.5, 2, sign=True) == "+0.50"
    assert probability(0.0004) == "<0.001" and probability(0.001) == "0.001" and probability(float("nan")) == "–"
