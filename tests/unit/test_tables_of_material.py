"""Tables of works, sets, the detector and the machine: what they count is what the first stages listed."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_study import WORKS, write_material

from egara.io.errors import EgaraError
from egara.report.account import sentences
from egara.tables import detector, environment, overlap, works
from egara.tables.writing import plain

ROOT = Path(__file__).parents[2]
PUBLISHED = "resources/published"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    write_material(folder)
    return folder


def of_work(study, folder, ending=".tsv"):
    return [str(study / folder / f"{work}{ending}") for _, work, _ in WORKS]


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
    published = str(ROOT / PUBLISHED / "works.tsv")
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
