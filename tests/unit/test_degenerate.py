"""Studies too small, or too much alike, to tell: planned in words, made as far as they go, reported without a number
that is none."""

import json
import re
import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from html_page import Page
from small_study import write_material

from egara import clusters
from egara import projections as maps
from egara.config import complete_config
from egara.feasibility import least_p, plan_study
from egara.figures import __main__ as figures
from egara.report import __main__ as report
from egara.report.explorer import __main__ as explorer
from egara.scores import __main__ as scores
from egara.scores import clusters as agreement
from egara.scores import controls, layers
from egara.scores.permutations import min_attainable_p, permute_units
from egara.tables import __main__ as tables
from egara.tables import verdict
from egara.weights.layer_grams import LayerGrams, write_layer_grams
from egara.works import Work

CELL = "rank~2_alpha~2_resolution~64_init~independent_token~author"
WIDTH = 30


def noise(works, sets):
    return np.random.default_rng(0).normal(size=(len(works) * sets, WIDTH))


def equal(works, sets):
    return np.ones((len(works) * sets, WIDTH))


def equal_within_works(works, sets):
    return np.repeat(noise(works, 1), sets, axis=0)


def one_zero(works, sets):
    return noise(works, sets) * (np.arange(len(works) * sets) > 0)[:, None]


def on_a_line(works, sets):
    return np.outer(np.arange(len(works) * sets), np.ones(WIDTH)) + np.eye(1, WIDTH)


class Case(NamedTuple):
    """A study: authors and works, sets, its points, L2, what its plan and its report's first words must say."""

    works: tuple[str, ...]
    sets: int
    points: object
    l2: str
    planned: str
    said: tuple[str, ...]


CASES = {
    "one author": Case(
        ("a1", "a2"), 2, noise, "on", "one author: it cannot be told whether LoRAs",
        (
            "4 LoRAs in one cell of the training grid, 2 works by one author. "
            "One author: nothing to tell about authors.",
        ),
    ),
    "one work": Case(
        ("a1",), 2, noise, "on", "no UMAP: it needs 4 LoRAs, a cell has 2",
        ("one work by one author. One work: nothing to tell about works. One author: nothing to tell about authors.",),
    ),
    "two LoRAs": Case(
        ("a1", "b1"), 1, noise, "off", "projections have 1 component, one fewer than there are LoRAs, not 50",
        (
            "No work has two LoRAs: nothing to tell about works. "
            "No author has two works: nothing to tell about authors.",
        ),
    ),
    "one set per work": Case(
        ("a1", "a2", "b1", "b2"), 1, noise, "on", "no work has two LoRAs: it cannot be told",
        ("No work has two LoRAs: nothing to tell about works.", "cannot be told: with so few permutations"),
    ),
    "works are authors": Case(
        ("a1", "b1", "c1"), 3, noise, "off", "no author has two works: it cannot be told",
        ("3 works by three authors. No author has two works: nothing to tell about authors.",),
    ),
    "all equal": Case(
        ("a1", "a2", "b1", "b2"), 2, equal, "on", "no clusters: HDBSCAN needs two of 10 LoRAs",
        ("Whether the weights carry the work cannot be told: the LoRAs do not differ.",),
    ),
    "equal within works": Case(
        ("a1", "a2", "b1", "b2"), 2, equal_within_works, "on", "UMAP uses 7 neighbours, not 15",
        ("4 works by two authors.",),
    ),
    "one zero": Case(("a1", "a2", "b1"), 2, one_zero, "on", "in one batch", ("3 works",)),
    "one at the mean of all": Case(
        ("a1", "a2", "b1"), 1, on_a_line, "off", "no UMAP: it needs 4 LoRAs, a cell has 3",
        ("No work has two LoRAs",),
    ),
    "one LoRA": Case(
        ("a1",), 1, noise, "on", "one LoRA per cell: there is nothing to compare",
        ("1 LoRA, one work by one author. There is nothing to compare with.",),
    ),
}  # fmt: skip


def plan_of(case, **settings):
    given = {"corpus": "x", "works": "x.tsv", "sets": {"count": case.sets, "size": 4}, **settings}
    return plan_study(complete_config(given), [Work(work[0], work, ("v",)) for work in case.works])


def compare(case, root, plan):
    """Run vectors' heirs, as the rules do for this plan: returns the names of all tables and figures."""
    rows = [(work[0], work, f"{number:02d}") for work in case.works for number in range(case.sets)]
    index = pd.DataFrame(rows, columns=["author", "work", "set"])
    points, place = case.points(case.works, case.sets), f"{CELL}/delta_l2~{case.l2}"
    vectors = root / "spaces" / CELL
    for folder in (vectors, root / "figures"):
        folder.mkdir(parents=True)
    index.assign(lora="x", norm=1.0).to_csv(vectors / "delta.tsv", sep="\t", index=False)
    np.save(vectors / "delta.gram.npy", points @ points.T)
    parts = [points[:, start::3] for start in range(3)]
    names = [f"unet.down_blocks.{n}.attentions.0.transformer_blocks.0.attn1.to_q" for n in range(3)]
    grams = np.stack([part @ part.T for part in parts])
    write_layer_grams(root / "l.npz", LayerGrams(grams, names, ["x"] * len(rows), *map(list, zip(*rows, strict=True))))
    files = ["--gram", str(vectors / "delta.gram.npy"), "--index", str(vectors / "delta.tsv")]
    setting = ["--cell", CELL, "--representation", "delta", "--l2", case.l2]
    pairs = {}
    for name in ["ipca", "pca", *(["umap"] if plan.umap else [])]:
        path = root / "projections" / place / f"{name}.tsv"
        variance = ["--variance", str(path.with_suffix(".variance.tsv"))]
        maps.main([*files, "--map", name, "--l2", case.l2, "--seed", "0", "--output", str(path), *variance])
        pairs[name] = f"{name}={path}"
    linear = [pairs["ipca"], pairs["pca"]]
    found, clustered = root / "scores" / place / "scores.tsv", root / "clusters" / place / "hdbscan.tsv"
    clusters.main(["--maps", *[p for n, p in pairs.items() if n != "ipca"], "--output", str(clustered)])
    some = ["--permutations", "19", "--seed", "0"]
    nulls = str(found.with_name("nulls.npz"))
    scores.main([*files, *setting, "--maps", *linear, *some, "--output", str(found), "--nulls", nulls])
    layered = ["--grams", str(root / "l.npz"), "--cell", CELL, "--representation", "delta", "--l2", case.l2]
    layers.main([*layered, *some, "--output", str(root / "layers.tsv")])

    agreement.main(["--clusters", str(clustered), *setting, *some, "--output", str(root / "clusters.tsv")])
    controls.main([*files, "--study", CELL, "--l2", case.l2, *some, "--output", str(root / "controls.tsv")])

    def table(name, *arguments):
        output = (f"{root}/tables/{name}.{ending}" for ending in ("tsv", "md", "tex"))
        tables.main([name, *arguments, "--output", *output])

    for name in ("cosine", "neighbours", "methods", "grid"):
        table(name, "--scores", str(found))
    for name in ("clusters", "layers", "controls"):
        table(name, f"--{name}", f"{root}/{name}.tsv")
    table("verdict", "--scores", str(found), "--nulls", nulls)

    def figure(name, *arguments):
        figures.main([name, *arguments, "--output", f"{root}/figures/{name}.svg"])

    projected = {}
    for name in ("ipca", "pca"):
        path = root / "projections" / place / name
        projected[name] = [f"--{name}", f"{path}.tsv", f"--{name}-variance", f"{path}.variance.tsv"]
        figure(name, *projected[name], *setting)
    figure("incremental", *files, *projected["ipca"], *projected["pca"], *setting)
    figure("distances", *files, "--cell", CELL, "--l2", case.l2)
    figure("overview", "--neighbours", f"{root}/tables/neighbours.tsv")
    figure("layers", "--layers", f"{root}/layers.tsv", *setting)
    if plan.umap:
        points = f"{root}/projections/{place}/umap.tsv"
        figure("umap", "--umap", points, "--clusters", str(clustered), *setting)
    explorer.main(
        ["--spaces", str(root / "projections" / place), "--vectors", str(root / "spaces")]
        + ["--output", str(root / "explorer.json")]
    )


def write(case, root, plan):
    """Make everything that the plan allows, and return the text of the report and all tables."""
    write_material(root, [(work[0], work, "") for work in case.works], case.sets)
    of = {folder: [str(root / folder / f"{work}.tsv") for work in case.works] for folder in ("pages", "faces", "sets")}
    listed = [f"--{folder}" for folder in of]
    arguments = [value for flag, paths in zip(listed, of.values(), strict=True) for value in (flag, *paths)]
    tables.main(["works", *arguments, "--output", f"{root}/tables/works.tsv"])
    tables.main(["overlap", *arguments[arguments.index("--faces") :], "--output", f"{root}/tables/overlap.tsv"])
    extra = []
    if plan.compared:
        compare(case, root, plan)
        extra = ["--explorer", str(root / "explorer.json")]
        json.loads((root / "explorer.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    made = {
        kind: sorted(map(str, root.glob(f"{kind}/*.{end}"))) for kind, end in (("tables", "tsv"), ("figures", "svg"))
    }
    report.main(
        ["--corpus", "few", "--tables", *made["tables"], "--figures", *made["figures"], *extra]
        + ["--output", str(root / "report.html")]
    )
    return (root / "report.html").read_text()


@pytest.mark.parametrize("name", CASES)
def test_a_study_goes_as_far_as_it_can_and_says_what_it_cannot(tmp_path, name):
    case = CASES[name]
    plan = plan_of(case)
    assert any(case.planned in line for line in plan.remarks), plan.remarks
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        page = write(case, tmp_path, plan)
    text = Page(page).text
    for said in case.said:
        assert said in text, text[:2000]
    drawn = "".join(path.read_text() for path in tmp_path.glob("figures/*.svg"))
    shown = "".join(path.read_text() for ending in ("md", "tex") for path in tmp_path.glob(f"tables/*.{ending}"))
    for written in (text, drawn, shown):
        assert not re.search(r"(?<![a-z])(nan|inf)(?![a-z])", written, re.IGNORECASE)
    assert 'id="scores"' in page if plan.compared else "chance" not in Page(page).text.split("Licences")[0]


def test_a_chance_of_one_is_no_score(tmp_path):
    case = CASES["one author"]
    write(case, tmp_path, plan_of(case))
    found = pd.read_csv(tmp_path / "scores" / CELL / "delta_l2~on/scores.tsv", sep="\t")
    silent = found[found["level"] != "work"]
    assert silent["value"].isna().all() and (silent["n"] == 0).all() and set(silent["note"]) == {"one author"}
    works = found[found["level"] == "work"]
    assert set(works.loc[works["value"].isna(), "metric"]) == {"top5"}  # one of three neighbours is of the work
    assert set(works.loc[works["value"].isna(), "note"]) == {"chance is 1 with 5 neighbours among so few"}
    judged = pd.read_csv(tmp_path / "tables/verdict.tsv", sep="\t").iloc[0]
    assert judged["author_across_works_verdict"] == verdict.NOTHING
    assert "Author across works: nothing to tell (one author)." in judged["sentence"]


def test_numbers_of_a_plan_fit_the_study_and_a_whole_study_has_no_remarks():
    plan = plan_of(Case(("a1", "a2", "b1"), 2, noise, "on", "", ()))
    assert (plan.loras, plan.n_components, plan.batch_size, plan.n_neighbors) == (6, 5, 6, 5)
    whole = Case(tuple(f"{a}{w}" for a in "ab" for w in range(6)), 30, noise, "on", "", ())
    plan = plan_of(whole)
    assert (plan.remarks, plan.silent, plan.umap) == ([], {}, True)
    few = plan_of(Case(("a1", "a2", "b1", "b2"), 30, noise, "on", "", ()))
    assert len(few.remarks) == 1 and "permuted among 4 works p cannot fall below about 0.33" in few.remarks[0]


@pytest.mark.parametrize("sizes", [(2, 2), (3, 1), (3, 8), (2, 2, 2), (1, 1, 4)])
def test_the_least_p_of_a_plan_is_that_of_the_scores(sizes):
    owners = np.repeat(np.arange(len(sizes)), sizes)
    every = permute_units(owners, 10_000, np.random.default_rng(0))
    assert every.exhaustive and least_p(list(sizes), 10_000, True) == pytest.approx(min_attainable_p(owners, every))
    drawn = [
        min_attainable_p(owners, permute_units(owners, 2, np.random.default_rng(seed))._replace(exhaustive=False))
        for seed in range(400)
    ]
    assert least_p(list(sizes), 2, False) == pytest.approx(np.mean(drawn), abs=0.06)
