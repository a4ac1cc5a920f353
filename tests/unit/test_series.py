"""The author over other series: what was planted is found, and the works table says which works are of one series."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from egara.config import complete_config
from egara.demo.casts import read_casts
from egara.feasibility import plan_study
from egara.io.errors import EgaraError
from egara.scores import series
from egara.scores.distances import cosine_distances
from egara.scores.labels import codes
from egara.works import Work, read_works, series_of

ROOT = Path(__file__).parents[2]


def points_of(series, authors, pull_series, pull_author, sets=3, width=60):
    """Cosine distances of LoRAs of one work per letter of `series`, near by series and by author."""
    generator = np.random.default_rng(2)
    by_series, by_author = generator.normal(size=(2, 50, width))
    rows, index = [], []
    series_codes, author_codes = codes(list(series)), codes(list(authors))
    for place, author in enumerate(authors):
        for number in range(sets):
            noise = generator.normal(size=width)
            rows.append(
                noise + pull_series * by_series[series_codes[place]] + pull_author * by_author[author_codes[place]]
            )
            index.append((f"author {author}", f"work {place}", f"{number:02d}"))
    points = np.array(rows) - np.mean(rows, axis=0)
    of_work = {f"work {place}": f"series {name}" for place, name in enumerate(series)}
    return cosine_distances(points @ points.T), pd.DataFrame(index, columns=["author", "work", "set"]), of_work


def test_series_are_told_from_authors():
    names, authors = "aabbccddeeff", "XXXXYYYYZZZZ"  # three authors with two series each
    distances, index, of_work = points_of(names, authors, pull_series=2.0, pull_author=0.0)
    row = series.compare(distances, index, of_work, 999, 0)[-1]
    assert row["author"] == series.EVERYONE
    assert row["same_series"] < 0.6 and row["same_series_p"] < 0.01 and row["same_series_pairs"] == 6
    assert row["other_series_p"] > 0.05 and row["other_series"] == pytest.approx(row["other_author"], abs=0.15)
    distances, index, of_work = points_of(names, authors, pull_series=1.0, pull_author=2.0)
    row = series.compare(distances, index, of_work, 999, 0)[-1]
    assert row["other_series"] < row["chance"] < row["other_author"]
    assert row["other_series_p"] == pytest.approx(row["other_series_p_least"]) == pytest.approx(1 / 15)
    assert row["other_series_top1"] > 0.9 > row["other_series_top1_chance"] > 0.1


def test_series_of_one_author_count_only_that_author():
    distances, index, of_work = points_of("aabbccdd", "XXXXYYZZ", pull_series=1.5, pull_author=0.0)
    mine, everyone = series.compare(distances, index, of_work, 99, 0)
    assert mine["author"] == "author X" and mine["series"] == "series a, series b"
    assert (mine["same_series_pairs"], everyone["same_series_pairs"]) == (2, 4)
    assert mine["other_series_pairs"] == everyone["other_series_pairs"] == 4
    works_of_x = index["work"].isin(["work 0", "work 1"]).to_numpy()
    block = distances[np.ix_(index["work"] == "work 0", index["work"] == "work 1")]
    second = distances[np.ix_(index["work"] == "work 2", index["work"] == "work 3")]
    assert works_of_x.sum() == 6
    assert mine["same_series"] == pytest.approx((block.mean() + second.mean()) / 2)
    # Six ways to give two of four series to X, each as often as the other authors can swap.
    assert mine["other_series_p_least"] == pytest.approx(1 / 6)


@pytest.mark.parametrize(
    ("of_work", "message"),
    [
        ({"work 0": "a"}, "work work 1: no series given"),
        (dict.fromkeys((f"work {n}" for n in range(8)), "one"), "series one: works of two authors"),
    ],
)
def test_series_that_do_not_fit_the_works(of_work, message):
    distances, index, _ = points_of("aabbccdd", "XXXXYYZZ", 1, 1)
    with pytest.raises(EgaraError, match=message):
        series.compare(distances, index, of_work, 9, 0)


@pytest.mark.parametrize("name", ["demo", "paper-mini"])
def test_the_series_of_composed_works_are_their_drawing_kits(name):
    works = read_works(ROOT / f"config/{name}-works.tsv")
    casts = read_casts(ROOT / f"config/{name}-casts.tsv", works)
    assert series_of(works) == {work: cast["style"] for work, cast in casts.items()}


def works_of(*rows):
    """Works as `author series`, "-" for none; each is named by its place."""
    pairs = [row.split() for row in rows]
    return [Work(a, f"w{n}", ("v",), "" if s == "-" else s, n) for n, (a, s) in enumerate(pairs, 2)]


def test_a_work_without_a_series_is_one_of_its_own():
    assert series_of(works_of("A jojo", "A jojo", "A -")) == {"w2": "jojo", "w3": "jojo", "w4": "w4"}
    assert series_of(works_of("A saga", "B saga", "B other")) == {"w2": "saga (A)", "w3": "saga (B)", "w4": "other"}
    with pytest.raises(EgaraError, match=r"work w3 \(row 3\): no series, but w3 is the series of another work"):
        series_of(works_of("A w3", "A -"))


@pytest.mark.parametrize(
    ("rows", "asked", "said"),
    [
        (("A x", "A x", "A y", "B z"), True, None),
        (("A x", "A x", "A -", "B -"), True, None),  # A has a series and a work apart
        (("A -", "A -", "B -", "B -"), False, None),  # nothing was asked
        (("A x", "A x", "B y", "B y"), False, "no author has two series: it cannot be told"),
        (("A x", "A y", "B z", "B -"), False, "no series has two works: it cannot be told"),
        (("A x", "A x", "A y"), False, "one author: it cannot be told"),
        (("A x", "A x", "A y", "B x"), True, "series 'x' has works by A and B; they count as a series of each"),
    ],
)
def test_the_plan_says_whether_the_author_can_be_asked_about_over_other_series(rows, asked, said):
    settings = complete_config({"corpus": "x", "works": "x.tsv", "sets": {"count": 30, "size": 4}})
    plan = plan_study(settings, works_of(*rows))
    assert plan.series is asked
    found = [line for line in plan.remarks if "series" in line]
    assert (len(found) == 1 and found[0].startswith(said)) if said else found == []
