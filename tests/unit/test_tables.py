"""Tables: what they say is what the scores say, chance is next to it, and every form can be read back."""

import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from small_study import INDEPENDENT, build, make_table

from egara.io.errors import EgaraError
from egara.report import answer
from egara.scores.multiple_testing import benjamini_hochberg, holm
from egara.scores.neighbours import expected_topk_accuracy
from egara.tables import grid, methods, neighbours, show, verdict
from egara.tables.writing import cells, plain
from egara.vocabulary import QUESTIONS

PUBLISHED = "resources/published"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return build(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def tables(study):
    """All tables of scores, written by the command."""
    published = [pytest_root() / PUBLISHED / f"{name}.tsv" for name in ("cosine", "neighbours")]
    forms = ("tsv", "md", "tex")
    make_table(study, "cosine", "scores", forms=forms, published=published[:1])
    make_table(study, "grid", "scores", forms=forms, published=published)
    for name in ("neighbours", "methods"):
        make_table(study, name, "scores", forms=forms)
    make_table(study, "clusters", "clusters", forms=forms)
    make_table(study, "pairs", "series", forms=forms)
    make_table(study, "verdict", "scores", "nulls", "series", forms=forms)
    return study / "tables"


def pytest_root():
    from pathlib import Path

    return Path(__file__).parents[2]


def read(tables, kind):
    return show.read_table(tables / f"{kind}.tsv")[1]


def test_cosine_repeats_the_scores(study, tables):
    scores = pd.read_csv(study / "scores" / INDEPENDENT / "delta_l2~on" / "scores.tsv", sep="\t")
    wanted = scores[(scores["space"] == "full") & (scores["level"] == "author")].set_index("metric")
    table = read(tables, "cosine")
    row = table[
        (table["init"] == "independent") & (table["representation"] == "delta") & (table["l2"] == "on")
        & (table["space"] == "full")
    ].iloc[0]  # fmt: skip
    assert row["author_cosine_intra"] == pytest.approx(wanted.loc["cosine_intra", "value"])
    assert row["author_cosine_intra_chance"] == pytest.approx(wanted.loc["cosine_intra", "chance"])
    assert row["author_cosine_difference_p"] == pytest.approx(wanted.loc["cosine_difference", "p"])
    assert len(table) == 2 * 2 * 2 * 3


def test_every_table_of_scores_shows_chance_for_every_level(tables):
    for kind in ("cosine", "neighbours"):
        layout = show.lay_out(kind, read(tables, kind))
        for group in layout.groups:
            assert group.name == "published" or any(name.startswith("chance") for name in group.columns), group.name
            assert group.name == "published" or any(name.startswith("p") for name in group.columns), group.name


def test_published_values_are_only_in_rows_of_the_published_method(tmp_path, study):
    rows = "rank\talpha\tl2\ttop1\ttop5\n2\t2\ton\t0.5\t0.9\n8\t8\ton\t0.1\t0.2\n"
    (tmp_path / "p.tsv").write_text(rows)
    scores = sorted(map(str, study.glob("scores/*/*/scores.tsv")))
    table = neighbours.neighbour_table(scores, [str(tmp_path / "p.tsv")])
    marked = table[table["published_top1"].notna()]
    assert set(marked["representation"]) == {"factors"} and set(marked["space"]) == {"ipca"}
    assert set(marked["l2"]) == {"on"} and (marked["published_top1"] == 0.5).all()
    assert len(neighbours.layout(table).groups) == len(neighbours.layout(neighbours.neighbour_table(scores)).groups) + 1


def test_chance_of_the_published_table():
    assert neighbours.published_chance(1) == pytest.approx(0.602, abs=5e-4)
    assert neighbours.published_chance(5) == pytest.approx(0.943, abs=5e-4)


def test_chance_of_the_published_corpus_comes_from_its_works():
    works = pd.read_csv(pytest_root() / PUBLISHED / "works.tsv", sep="\t")
    sizes = 30 * works.groupby("author").size()
    assert sorted(sizes) == [90, 240] == sorted(neighbours.PUBLISHED_SIZES)
    for count, known in ((1, 0.602), (5, 0.943)):
        chance = (
            sizes * [float(expected_topk_accuracy(size - 1, sizes.sum() - 1, count)) for size in sizes]
        ).sum() / sizes.sum()
        assert chance == pytest.approx(known, abs=5e-4)
        published = pd.read_csv(pytest_root() / PUBLISHED / "neighbours.tsv", sep="\t")[f"top{count}"]
        assert (published - chance).abs().max() < 0.07, "the published scores are chance"


def test_published_tables_are_the_papers():
    folder = pytest_root() / PUBLISHED
    top = pd.read_csv(folder / "neighbours.tsv", sep="\t")
    assert np.allclose(top["top1_hits"] / top["n"], top["top1"], atol=5e-5)
    assert np.allclose(top["top5_hits"] / top["n"], top["top5"], atol=5e-5)
    distances = pd.read_csv(folder / "cosine.tsv", sep="\t")
    assert np.allclose(distances["mean_inter"] - distances["mean_intra"], distances["difference"], atol=2e-9)
    assert set(distances["l2"]) == set(top["l2"]) == {"on", "off"}
    assert pd.read_csv(folder / "works.tsv", sep="\t")["pages"].sum() == 9725


def test_verdict_finds_what_was_put_in(tables):
    table = read(tables, "verdict").set_index(["init", "representation", "l2"])
    for l2 in ("on", "off"):
        assert table.loc[("shared", "factors", l2), "work_verdict"] == verdict.YES
        assert table.loc[("independent", "delta", l2), "work_verdict"] == verdict.YES
        assert table.loc[("independent", "factors", l2), "work_verdict"] == verdict.NO
    assert (table["space"] == "full").all()
    # Three authors share four series: even the right assignment is one of too few.
    assert (table["other_series_verdict"] == verdict.TOO_FEW).all()
    sentence = table.loc[("independent", "delta", "on"), "sentence"]
    assert sentence.startswith("Work: yes (Top-1 ") and "chance" in sentence and "ink, pen" in sentence
    assert "cannot fall below 0.167" in sentence


def test_the_verdict_is_corrected_by_the_largest_score(tables, study):
    table = read(tables, "verdict")
    assert set(table["correction"]) == {verdict.LARGEST}
    neighbours_read = read(tables, "neighbours")
    by_holm = verdict.verdict_table(neighbours_read)
    assert set(by_holm["correction"]) == {verdict.HOLM}
    for level in QUESTIONS:
        assert (table[f"{level}_p_corrected"] >= table[f"{level}_p"] - 1e-12).all()
        assert (table[f"{level}_p_corrected"] <= by_holm[f"{level}_p_corrected"] + 0.02).all()
    nulls = verdict.gather_nulls([str(path) for path in study.glob("scores/*/*/nulls.npz")])
    nulls.popitem()
    with pytest.raises(EgaraError, match="no null distributions for"):
        verdict.verdict_table(neighbours_read, None, nulls)


def test_a_p_that_cannot_be_small_is_no_verdict_against_an_author(tables, study):
    neighbours_read = read(tables, "neighbours")
    nulls = verdict.gather_nulls([str(path) for path in study.glob("scores/*/*/nulls.npz")])
    for levels in nulls.values():
        levels["author_across_works"] = levels["author_across_works"]._replace(min_attainable_p=1 / 3)
    table = verdict.verdict_table(neighbours_read, None, nulls)
    assert set(table["author_across_works_verdict"]) == {verdict.TOO_FEW}
    assert verdict.TOO_FEW not in set(table["work_verdict"])
    assert "Author across works: too few to tell (Top-1 " in table["sentence"][0]
    assert "which cannot fall below 0.333" in table["sentence"][0]
    notes = " ".join(verdict.layout(table).notes)
    assert "For the author across works, with so few permutations of labels, p cannot fall below 0.333" in notes
    text = " ".join(answer.summary(table, None))
    assert (
        "cannot be told: with so few permutations of labels p cannot fall below 0.333" in text
        and "too few to tell" in text
    )
    assert "not shown to carry the author" not in text
    cells = [line.cells[1] for line in answer.lines(table)[1]]
    assert all(cell.tone == "unknown" and "cannot fall below\u00a00.333" in cell.numbers for cell in cells)


def test_methods_have_their_chance_and_the_majority_class_baseline(tables, study):
    table = read(tables, "methods")
    scores = pd.read_csv(study / "scores" / INDEPENDENT / "delta_l2~on" / "scores.tsv", sep="\t")
    wanted = scores.query("space == 'full' and level == 'author_across_works'").set_index("metric")
    row = table.query("init == 'independent' and representation == 'delta' and l2 == 'on'").iloc[0]
    for metric in methods.METRICS:
        assert row[f"author_across_works_{metric}"] == pytest.approx(wanted.loc[metric, "value"])
        assert row[f"author_across_works_{metric}_chance"] == pytest.approx(wanted.loc[metric, "chance"])
    layout = show.lay_out("methods", table)
    for group in layout.groups:
        assert {f"chance of {name}" for name in group.columns if " of " not in name} <= set(group.columns)
    assert f"{row['author_probe_majority']:.3f}" in " ".join(layout.notes)
    shown = (tables / "methods.md").read_text()
    assert f"{row['author_across_works_probe']:.3f}" in shown


def test_verdict_without_other_works_says_not_tested():
    row = {
        "rank": 8,
        "alpha": 8,
        "resolution": 64,
        "init": "shared",
        "token": "none",
        "representation": "delta",
        "l2": "on",
    }
    table = pd.DataFrame([{**row, "space": "full", "work_top1": 0.9, "work_top1_chance": 0.1, "work_top1_p": 0.001}])
    found = verdict.verdict_table(table).iloc[0]
    assert found["work_verdict"] == verdict.YES
    assert found["author_across_works_verdict"] == verdict.UNKNOWN and "not tested" in found["sentence"]
    found = verdict.verdict_table(table.assign(author_across_works_top1_note="one author")).iloc[0]
    assert found["author_across_works_verdict"] == verdict.NOTHING
    assert found["sentence"].endswith("Author across works: nothing to tell (one author).")


def test_the_grid_has_every_score_with_chance_and_its_correction(tables, study):
    from scipy.stats import false_discovery_control

    table = read(tables, "grid")
    files = sorted(study.glob("scores/*/*/scores.tsv"))
    assert len(table) == sum(len(pd.read_csv(path, sep="\t")) for path in files)
    assert not table.duplicated([*grid.KEYS, "level", "metric"]).any()
    for _, part in table.groupby(["space", "level", "metric"]):
        np.testing.assert_allclose(part["q"], false_discovery_control(part["p"], method="bh"))
    assert (table["q"] >= table["p"]).all() and (table["q"] > table["p"]).any()
    shown = (tables / "grid.md").read_text()
    row = table.query("space == 'full' and metric == 'top1' and level == 'work'").iloc[0]
    assert f"{row['value']:.3f}" in shown and f"{row['chance']:.3f}" in shown


def test_published_values_are_in_the_grids_rows_of_the_published_method(study, tmp_path):
    scores = []
    for number, path in enumerate(study.glob("scores/*/factors_l2~on/scores.tsv")):
        scores.append(tmp_path / f"{number}.tsv")
        pd.read_csv(path, sep="\t").assign(rank=8, alpha=8).to_csv(scores[-1], sep="\t", index=False)
    both = [str(pytest_root() / PUBLISHED / f"{name}.tsv") for name in ("cosine", "neighbours")]
    table = grid.grid_table(scores, both)
    given = table[table["published"].notna()]
    assert set(given["metric"]) == {"cosine_intra", "cosine_inter", "cosine_difference", "top1", "top5"}
    assert set(given["level"]) == {"author"} and set(given["space"]) == {"ipca"}
    assert given.query("metric == 'top1'")["published"].tolist() == [0.6273] * len(scores)
    assert table[table["level"] == "author"]["chance"].notna().all()


def test_corrections_leave_out_what_was_not_tested():
    from scipy.stats import false_discovery_control

    p = np.array([0.03, np.nan, 0.001, 0.2, 0.04])
    found = benjamini_hochberg(p)
    np.testing.assert_allclose(found[[0, 2, 3, 4]], false_discovery_control(p[[0, 2, 3, 4]], method="bh"))
    assert np.isnan(found[1]) and benjamini_hochberg(np.array([])).shape == (0,)


def test_holm():
    assert holm(np.array([0.01, 0.04, 0.03, np.nan])) == pytest.approx([0.03, 0.06, 0.06, np.nan], nan_ok=True)


def test_judgements():
    assert verdict.judge(0.04, 0.06, 0.01) == verdict.UNSURE
    assert verdict.judge(0.04, 0.04, np.nan) == verdict.YES
    assert verdict.judge(0.05, 0.05, 0.01) == verdict.NO
    assert verdict.judge(0.05, 0.05, 0.05) == verdict.TOO_FEW
    assert verdict.judge(np.nan, np.nan, 0.05) == verdict.UNKNOWN


def test_plain_text_is_narrow_and_aligned(tables):
    for kind in ("verdict", "cosine", "neighbours", "clusters", "pairs"):
        for whole in (False, True):
            text = plain(show.lay_out(kind, read(tables, kind), whole))
            assert max(map(cells, text.splitlines())) <= 110, kind


def test_show_prints_tables_and_report(tables, capsys):
    show.main([str(tables / "cosine.tsv"), str(tables / "neighbours.tsv"), "--report", "results/x/report.html"])
    printed = capsys.readouterr().out
    assert "Cosine distances" in printed and "chance" in printed and printed.rstrip().endswith("results/x/report.html")
    with pytest.raises(EgaraError, match="unknown table; expected one of clusters, controls"):
        show.main([str(tables / "other.tsv")])


def test_short_tables_keep_the_published_space_for_factors(tables):
    short = show.principal(read(tables, "neighbours"))
    assert set(short[short["representation"] == "factors"]["space"]) == {"ipca"}
    assert set(short[short["representation"] == "delta"]["space"]) == {"full"}
    assert len(short) == 8


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
def test_latex_compiles(tmp_path, tables):
    text = (tables / "neighbours.tex").read_text()
    head = "\\documentclass{article}\\usepackage[T1]{fontenc}\\usepackage{booktabs,graphicx}\\begin{document}"
    (tmp_path / "t.tex").write_text(f"{head}{text}\\end{{document}}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0
