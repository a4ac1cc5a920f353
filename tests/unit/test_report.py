"""The report: one page that needs nothing else, says what was found beside chance, and keeps faces private."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from html_page import Page
from PIL import Image
from small_study import INDEPENDENT, SHARED, build, make_table

from egara.figures import __main__ as figures
from egara.io.errors import EgaraError
from egara.report import __main__ as report
from egara.report import answer, images, timings
from egara.report.limits import list_limits
from egara.tables import __main__ as command
from egara.tables import verdict

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study with all tables and a figure, its base, samples, sheets and benchmarks."""
    root = build(tmp_path_factory.mktemp("study"), l2=["on"], sets=3)

    make_table(root, "cosine", "scores")
    make_table(root, "neighbours", "scores")
    make_table(root, "clusters", "clusters")
    make_table(root, "pairs", "series")
    make_table(root, "verdict", "scores", "series")
    make_table(root, "works", "pages", "skipped", "faces", "faces-skipped", "sets")
    make_table(root, "overlap", "faces", "sets")
    tables = root / "tables"
    artist = {"style": "micah", "title": "Kit <M>", "creator": "Micah & Co", "licence": "CC BY 4.0"}
    provenance = {"trained_on": [artist], "heads": 12000, "steps": 900}
    (root / "base.json").write_text(
        json.dumps({"base": "resources/base", "sha256": "cd" * 32, "provenance": provenance})
    )
    command.main(["environment", "--base", str(root / "base.json"), "--output", str(tables / "environment.tsv")])
    figures.main(["overview", "--neighbours", str(tables / "neighbours.tsv"), "--output", str(root / "overview.svg")])
    noise = np.random.default_rng(0).integers(0, 255, (600, 1600), dtype=np.uint8)
    for name in ("samples", "pen-a"):
        Image.fromarray(noise).save(root / f"{name}.png")
    (root / "config.json").write_text(
        json.dumps({"corpus": "tiny", "faces": {"min_pixels": 10000}, "note": "</pre><script>alert(1)</script> 絵柄"})
    )
    (root / "benchmarks/loras").mkdir(parents=True)
    for name, seconds in (("a", 60.0), ("b", 120.0)):
        (root / f"benchmarks/loras/{name}.tsv").write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:01:00\t{seconds * 10}\n")
    return root


def write(study, output, *extra):
    report.main(
        ["--corpus", "tiny", "--tables", *map(str, sorted((study / "tables").glob("*.tsv")))]
        + ["--figures", str(study / "overview.svg"), "--config", str(study / "config.json")]
        + ["--base", str(study / "base.json"), "--samples", str(study / "samples.png")]
        + ["--sheets", str(study / "pen-a.png"), "--casts", str(study / "casts.tsv")]
        + ["--skipped", *map(str, sorted(study.glob("*/*.skipped.tsv")))]
        + ["--benchmarks", str(study / "benchmarks"), "--seed", "7", "--output", str(output), *extra]
    )
    return output.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(study):
    return write(study, study / "report.html", "--show-faces")


def test_the_page_needs_nothing_from_outside(page):
    shown = Page(page)
    assert not shown.open
    assert not shown.all("link") and not shown.all("script") and not shown.all("iframe")
    assert all(image["src"].startswith("data:image/") for image in shown.all("img"))
    assert "@import" not in page and not re.search(r"url\((?!data:)", page)


def test_every_image_has_words_and_every_place_in_the_contents_exists(page):
    shown = Page(page)
    assert len(shown.all("img")) == 3
    assert all(len(image["alt"]) > 5 for image in shown.all("img"))
    ids = [attributes["id"] for _, attributes in shown.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [link["href"][1:] for link in shown.all("a") if link["href"].startswith("#")]
    assert len(targets) >= 8 and set(targets) <= set(ids)


def test_the_first_words_are_the_numbers_of_the_verdict(study, page):
    table = pd.read_csv(study / "tables/verdict.tsv", sep="\t")
    same = (table["representation"] == "delta") & (table["init"] == "independent")
    row = table[same].iloc[0]
    text = Page(page).text
    assert f"of the same work in {100 * row['work']:.1f} % of cases (chance {100 * row['work_chance']:.1f} %" in text
    assert "24 LoRAs in each of two cells of the training grid, 8 works by three authors" in text
    assert text.index("% of cases") < text.rindex("What this shows") < text.index("Table 4")
    assert "pen: pen-a, pen-b" in text


def test_an_author_across_series_is_a_question_of_its_own(study):
    table = pd.read_csv(study / "tables/verdict.tsv", sep="\t")
    table = table.rename(columns=lambda name: name.replace("_kit", "_series").replace("kits", "series"))
    questions, lines = answer.lines(table)
    assert questions == ["The work?", "The author, by other works?", "The author, by other series?"]
    assert all(line.cells[2].verdict == verdict.TOO_FEW and "distance" in line.cells[2].numbers for line in lines)
    least = table["other_series_p_least"].max()
    text = answer.summary(table, None)[-1]
    assert "(横槍 メンゴ: ink, pen): in no setting are they nearer than chance" in text
    assert f"with so few series p cannot fall below {least:.3f}" in text
    found = table.assign(other_series_p=0.01, other_series_verdict=verdict.YES)
    assert answer.summary(found, None)[-1].endswith(f"nearer than chance in {len(table)} of {len(table)} settings.")
    silent = table.assign(other_series_p=np.nan)
    assert "series" not in " ".join(answer.summary(silent, None))


def test_all_that_was_given_stands_on_the_page(page):
    text = Page(page).text
    wanted = [
        "Table 1.",
        "Table 2.",
        "Table 3.",
        "Table 4.",
        "Overlap of the sets of a work",
        "Time and memory",
        "Study seed 7",
    ]
    for words in [*wanted, "cd" * 32, "Micah & Co", "12,000 heads", "横槍 メンゴ", "Jörg & Co", "Kit <M>", "絵柄"]:
        assert words in text, words
    assert "<script" not in page


def test_chance_is_muted_and_sure_scores_are_bold(page):
    classes = [attributes.get("class", "").split() for attributes in Page(page).all("td")]
    assert any("muted" in found for found in classes) and any("strong" in found for found in classes)
    assert not any({"muted", "strong"} <= set(found) for found in classes)


def test_faces_stay_private_unless_asked_for(study, tmp_path):
    shown = Page(write(study, tmp_path / "report.html"))
    assert len(shown.all("img")) == 2 and 'id="sheets"' not in (tmp_path / "report.html").read_text()


def test_a_page_of_nothing_says_so(tmp_path):
    report.main(["--corpus", "empty", "--output", str(tmp_path / "r.html")])
    text = Page((tmp_path / "r.html").read_text()).text
    assert "it answers nothing yet" in text and "user's own machine" in text


def test_a_study_without_kits_and_detector(study, tmp_path):
    scores = sorted(map(str, study.glob("scores/*/*/scores.tsv")))
    command.main(["verdict", "--scores", *scores, "--output", str(tmp_path / "verdict.tsv")])
    report.main(["--corpus", "own", "--tables", str(tmp_path / "verdict.tsv"), "--output", str(tmp_path / "r.html")])
    text = Page((tmp_path / "r.html").read_text()).text
    assert "kit" not in text.split("Licences and sources")[0].split("What this shows")[0]
    assert "The author, by other works?" in text


def test_figures_beyond_the_budget_are_named(study, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "FIGURE_BUDGET", 10)
    page = write(study, tmp_path / "report.html")
    assert "1 figures did not fit" in page and "overview.svg" in page


def test_sheets_are_made_smaller(study):
    image = images.read_picture(study / "samples.png", "a", "b", side=400)
    assert (image.width, image.height) == (400, 150)
    assert len(image.source) < (study / "samples.png").stat().st_size / 4


@pytest.mark.parametrize(
    ("option", "name", "content", "message"),
    [
        ("--figures", "a.svg", "no svg", "not an SVG figure"),
        ("--samples", "a.png", "no picture", "not an image"),
        ("--base", "b.json", "[1]", "not a JSON object"),
        ("--config", "c.json", "{", "not JSON .*; expected a configuration"),
        ("--tables", "other.tsv", "a\n1\n", "unknown table"),
        ("--benchmarks", "a.txt", "x", "no such folder"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_page(tmp_path, option, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(EgaraError, match=message) as caught:
        report.main(["--corpus", "x", option, str(tmp_path / name), "--output", str(tmp_path / "r.html")])
    assert name in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "r.html").exists()


def test_the_verdict_names_the_best_setting_or_says_that_there_is_none(study):
    table = pd.read_csv(study / "tables/verdict.tsv", sep="\t")
    table = table.assign(author_across_works=0.3, author_across_works_chance=0.2, author_across_works_p=0.4)
    table = table.assign(author_across_works_p_corrected=0.9, author_across_works_verdict=verdict.NO)
    text = answer.summary(table, None)[1]
    assert text.startswith("The weights are not shown to carry the author across works: no setting is above")
    assert "Top-1 0.300, chance level 0.200: 12\u00a0% of the way to perfect; p\u00a00.900" in text
    row = table.index[2]
    table.loc[row, ["author_across_works", "author_across_works_p_corrected"]] = [0.6, 0.01]
    table.loc[row, "author_across_works_verdict"] = verdict.YES
    table.loc[table.index[0], "author_across_works"] = 0.9  # higher, but it does not pass
    text = answer.summary(table, None)[1]
    assert text.startswith(
        f"The weights carry the author across works: above chance in 1 of {len(table)} settings. Best setting: "
    )
    assert verdict.name_setting(table.loc[row].to_dict()) in text and "Top-1 0.600" in text and "50\u00a0% of" in text
    untested = table.assign(author_across_works_p=np.nan, author_across_works_note="no author has two works")
    assert answer.summary(untested, None)[1].endswith("cannot be told: no author has two works.")


def test_limits_name_what_was_run(study):
    table = pd.read_csv(study / "tables/verdict.tsv", sep="\t")
    told = " ".join(list_limits(table.assign(token="author"), {}, {}, None))
    assert "token per author" in told and "kit" not in told
    assert "token per author" not in " ".join(list_limits(table, {}, {}, None))


def test_benchmarks_are_summed_by_stage(study, tmp_path):
    table = timings.read_benchmarks(study / "benchmarks")
    row = table.iloc[0]
    assert (row["stage"], row["jobs"], row["seconds"], row["longest"], row["memory"]) == ("loras", 2, 180, 120, 1200)
    (tmp_path / "notes.tsv").write_text("a\tb\n1\t2\n")
    assert timings.read_benchmarks(tmp_path).empty


def test_captions_for_every_table():
    from egara.tables.show import TABLES

    folder = ROOT / "workflow/report"
    for name, table in TABLES.items():
        assert len(table.note.split()) > 5, name
    for name in ["faces", "samples"]:
        assert len((folder / f"{name}.rst").read_text().split()) > 5, name


def test_cells_of_the_study_are_the_facts(study):
    table = pd.read_csv(study / "tables/verdict.tsv", sep="\t")
    facts = dict(report.list_facts({"verdict": table}, {}, None))
    assert facts["Cells"].count(";") == len([INDEPENDENT, SHARED]) - 1
    assert facts["Representations"] == "factors, delta"


def test_what_was_left_out_is_told_by_cause_and_row_by_row(page):
    text = Page(page).text
    total = sum(range(10, 18))
    assert (
        f"25 % of the faces found ({total} of {total + 320}) have fewer than 10,000 pixels (faces.min_pixels)" in text
    )
    assert "Unreadable images: 1 left out (pen-a 1), as pages.unreadable says." in text
    assert "System files (thumbnails, recycle bins, hidden): 1 ignored (pen-a 1)." in text
    assert re.search(r"Faces in no set, so that no LoRA is trained on them: \d+ of 320", text)
    assert "at most 40 x 40; faces.min_pixels is 10000" in text and "pages/*.skipped.tsv" in text
