"""Tables: what they say is what the scores say, chance is next to it, and every form can be read back."""

import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from small_study import INDEPENDENT, WORKS, build, make_table

from egara.io.errors import EgaraError
from egara.report import answer
from egara.report.account import sentences
from egara.scores.multiple_testing import benjamini_hochberg, holm
from egara.scores.neighbours import expected_topk_accuracy
from egara.tables import detector, environment, grid, methods, neighbours, overlap, show, verdict, works
from egara.tables.layout import Group, Layout, fixed, probability
from egara.tables.writing import cells, latex, markdown, plain, write_table
from egara.vocabulary import JUDGED

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


def of_work(study, folder, ending=".tsv"):
    return [str(study / folder / f"{work}{ending}") for _, work, _ in WORKS]


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
    for level in JUDGED:
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


def test_pages_that_two_works_share_are_pointed_out(tmp_path):
    for work, hashes in {"one": "abc", "two": "xb", "three": "yz"}.items():
        listed = {"author": "A", "work": work, "volume": "v", "page": list(hashes), "sha256": list(hashes)}
        pd.DataFrame(listed).to_csv(tmp_path / f"{work}.tsv", sep="\t", index=False)
    files = [str(tmp_path / f"{work}.tsv") for work in ("one", "two", "three")]
    table = works.work_table(files, [], [], [])
    assert table["shared"].tolist() == [1, 1, 0]
    said = "Works with the same pages: one (1 of 3 pages), two (1 of 2 pages); faces on them count for each of these"
    assert works.shared_pages(table).startswith(said) and said in " ".join(sentences(table, None))
    assert not works.shared_pages(works.work_table(files[1:], [], [], []))


def test_works_table(study, tmp_path):
    published = str(pytest_root() / PUBLISHED / "works.tsv")
    table = works.work_table(
        of_work(study, "pages"), of_work(study, "pages", ".skipped.tsv"), of_work(study, "faces"),
        of_work(study, "sets"), [published], of_work(study, "faces", ".skipped.tsv"),
    )  # fmt: skip
    run = table[table["corpus"] == "this run"]
    assert run["work"].tolist() == [work for _, work, _ in WORKS]
    assert set(run["volumes"]) == {2} and set(run["pages"]) == {10} and set(run["faces"]) == {40}
    assert run["lost"].tolist() == run["passed"].tolist() == [1] + [0] * 7
    assert run["unreadable"].tolist() == run["system"].tolist() == [1] + [0] * 7
    assert set(run["sets"]) == {4} and set(run["set_size"]) == {10}
    assert run["small"].tolist() == list(range(10, 18)) and (run["found"] == run["small"] + 40).all()
    assert (run["unused"] < 40).all() and run["unused"].sum() > 0
    assert (table["corpus"] == "published").sum() == 11
    text = plain(works.layout(table))
    assert re.search(rf"together +16 +80 +1 +1 +320 +108 \(25 %\) +{run['unused'].sum():.0f} +32", text)
    assert re.search(r"together +39 +9,725 +–", text)
    (tmp_path / "w.skipped.tsv").write_text("source\tmember\tcause\tcount\treason\na\tb\tlost\t1\tc\n")
    with pytest.raises(EgaraError, match="cause 'lost'; expected one of unreadable, limit"):
        works.read_skipped(tmp_path / "w.skipped.tsv")
    with pytest.raises(EgaraError, match="expected one file per work"):
        works.work_table(of_work(study, "pages")[:1] * 2, [], [], [])


def test_overlap_is_near_what_is_expected(study):
    table = overlap.overlap_table(of_work(study, "faces"), of_work(study, "sets"))
    assert (table["expected"] == 0.25).all()
    assert table["measured"].mean() == pytest.approx(0.25, abs=0.08)
    with pytest.raises(EgaraError, match="no table of faces for work pen-b"):
        overlap.overlap_table(of_work(study, "faces")[:1], of_work(study, "sets"))


def test_detector_totals_count_faces_and_not_works(tmp_path):
    rows = [("a", 10, 100, 1.0, 0.9, 0.9), ("b", 5, 300, 0.75, 0.5, 0.4)]
    paths = []
    for work, pages, faces, precision, recall, ap in rows:
        row = {"work": work, "pages": pages, "faces": faces, "precision": precision, "recall": recall, "ap": ap}
        row |= {"threshold": 0.5, "detector": "egara", "large": faces // 2, "recall_large": recall, "min_pixels": 10000}
        paths.append(tmp_path / f"{work}.detector.tsv")
        pd.DataFrame([row]).to_csv(paths[-1], sep="\t", index=False)
    total = detector.detector_table(list(map(str, paths))).iloc[-1]
    assert total["work"] == detector.ALL and total["faces"] == 400 and total["pages"] == 15
    assert total["recall"] == pytest.approx((90 + 150) / 400)
    assert total["precision"] == pytest.approx((90 + 150) / (90 + 200))
    assert total["recall_large"] == pytest.approx((0.9 * 50 + 0.5 * 150) / 200)


def test_environment_names_base_and_versions():
    table = environment.list_environment({"base": "resources/base", "sha256": "ab" * 32, "folder": "/secret/base"})
    values = table.set_index("item")["value"]
    assert values["base model"] == "resources/base" and values["base model, SHA-256"] == "ab" * 32
    assert values["numpy"] == np.__version__ and values["CPU"]
    assert not table.astype(str).apply(lambda column: column.str.contains("/secret")).any(axis=None)
    with pytest.raises(EgaraError, match="no sha256"):
        environment.list_environment({"base": "x"})


def test_environment_without_a_driver_says_none(monkeypatch):
    monkeypatch.setattr(environment, "_ask", lambda *command: "")
    assert environment.graphics() == "none"
    monkeypatch.setattr(environment, "_ask", lambda *command: "H200, 141 GiB\nH200, 141 GiB")
    assert environment.graphics() == "H200, 141 GiB; H200, 141 GiB"


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


def test_plain_text_is_narrow_and_aligned(tables):
    for kind in ("verdict", "cosine", "neighbours", "clusters", "pairs"):
        for whole in (False, True):
            text = plain(show.lay_out(kind, read(tables, kind), whole))
            assert max(map(cells, text.splitlines())) <= 110, kind
    rows = plain(AWKWARD).splitlines()[4:7]
    assert len({cells(row) for row in rows}) == 1


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


def test_an_unknown_form_writes_nothing(tmp_path):
    with pytest.raises(EgaraError, match="expected .tsv, .md or .tex"):
        write_table([tmp_path / "a.tsv", tmp_path / "a.xlsx"], pd.DataFrame({"a": [1]}), AWKWARD)
    assert not list(tmp_path.iterdir())


def test_numbers_as_text():
    assert fixed(-0.0012, 4) == "−0.0012" and fixed(float("nan")) == "–" and fixed(0.5, 2, sign=True) == "+0.50"
    assert probability(0.0004) == "<0.001" and probability(0.001) == "0.001" and probability(float("nan")) == "–"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
def test_latex_compiles(tmp_path, tables):
    text = (tables / "neighbours.tex").read_text()
    head = "\\documentclass{article}\\usepackage[T1]{fontenc}\\usepackage{booktabs,graphicx}\\begin{document}"
    (tmp_path / "t.tex").write_text(f"{head}{text}\\end{{document}}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0
