"""Distances, neighbours, chance levels, permutation tests and intervals."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from egara.io.errors import EgaraError
from egara.scores.__main__ import main
from egara.scores.distances import (
    NoDirections,
    cosine_distances,
    count_pairs,
    noise_distance,
    null_of_labels,
    pairs_of_labels,
)
from egara.scores.hypotheses import make_hypothesis, score_distances
from egara.scores.labels import codes
from egara.scores.neighbours import expected_topk_accuracy, nearest, topk_hits
from egara.scores.permutations import p_value, permute, permute_units
from egara.vocabulary import HYPOTHESES
from egara.weights.geometry import normalise_and_center

CELL = "rank~8_alpha~8_resolution~64_init~independent_token~none"


def score(vectors, authors, works, level="author", permutations=199, seed=0, l2=True):
    authors, works = codes(authors), codes(works)
    distances = cosine_distances(normalise_and_center(vectors @ vectors.T, l2))
    described = make_hypothesis(level, authors, works, permutations, seed)
    return {row["metric"]: row for row in score_distances(distances, works, described, seed)}


def study(works_of=(3, 8), sets=30):
    """Authors and works of every LoRA; by default the paper's 90 and 240."""
    owners = [f"author {a}" for a, count in enumerate(works_of) for _ in range(count)]
    pairs = [(author, f"work {w:02d}") for w, author in enumerate(owners) for _ in range(sets)]
    return [a for a, _ in pairs], [w for _, w in pairs]


def noise(authors, width=2000, seed=0):
    return np.random.default_rng(seed).normal(size=(len(authors), width))


def drawn(authors, works, of_author, of_work, seed=0, width=200):
    """Noise plus a direction an author and a direction a work."""
    generator = np.random.default_rng(seed)
    by_author, by_work = generator.normal(size=(2, 100, width))
    return (
        generator.normal(size=(len(works), width))
        + of_author * by_author[codes(authors)]
        + of_work * by_work[codes(works)]
    )


def test_chance_of_the_papers_corpus():
    same = np.repeat([89, 239], [90, 240])
    assert expected_topk_accuracy(same, 329, 1).mean() == pytest.approx(0.602, abs=5e-4)
    assert expected_topk_accuracy(same, 329, 5).mean() == pytest.approx(0.943, abs=5e-4)


def test_chance_is_what_drawing_gives():
    for same, candidates, count in [(2, 7, 3), (0, 4, 2), (4, 4, 1), (1, 3, 5), (0, 0, 1)]:
        marks = [True] * same + [False] * (candidates - same)
        draws = list(itertools.combinations(marks, min(count, candidates)))
        assert expected_topk_accuracy(same, candidates, count) == pytest.approx(np.mean([any(draw) for draw in draws]))


def test_centred_vectors_of_one_length_are_further_than_one_apart():
    # Vertices of a polygon sum to zero and have one length.
    angles = 2 * np.pi * np.arange(9) / 9
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    distances = cosine_distances(rows @ rows.T)
    assert distances[~np.eye(9, dtype=bool)].mean() == pytest.approx(noise_distance(9))
    assert noise_distance(330) == pytest.approx(1.00304, abs=5e-6)


def test_noise_scores_at_chance_everywhere():
    authors, works = study()
    vectors = noise(authors, seed=2)
    for level in HYPOTHESES:
        rows = score(vectors, authors, works, level)
        assert rows["cosine_intra"]["value"] == pytest.approx(noise_distance(330), abs=2e-3)
        assert rows["cosine_inter"]["value"] == pytest.approx(noise_distance(330), abs=2e-3)
        assert rows["cosine_intra"]["chance"] == pytest.approx(noise_distance(330), abs=2e-4)
        assert rows["cosine_difference"]["chance"] == 0
        for metric in ("top1", "top5"):
            assert rows[metric]["value"] == pytest.approx(rows[metric]["chance"], abs=0.09)
        assert min(row["p"] for row in rows.values()) > 0.01
    rows = score(vectors, authors, works, "author")
    assert (rows["top1"]["n"], round(rows["top1"]["chance"], 3), round(rows["top5"]["chance"], 3)) == (
        330,
        0.602,
        0.943,
    )


@pytest.mark.parametrize("level", HYPOTHESES)
def test_p_values_of_noise_are_spread_evenly(level):
    authors, works = study((2, 2, 2), 4)
    p = [score(noise(authors, 30, seed), authors, works, level, 99)["cosine_difference"]["p"] for seed in range(150)]
    for bound in (0.1, 0.3, 0.6):
        assert np.mean(np.array(p) <= bound) < bound + 0.12
    assert 0.4 < np.mean(p) < 0.65


def test_works_without_an_authors_hand_fool_the_naive_level_only():
    authors, works = study((3, 3), 10)
    vectors = drawn(authors, works, of_author=0, of_work=1)
    assert score(vectors, authors, works, "work")["top1"]["value"] > 0.9
    assert score(vectors, authors, works, "author")["top1"]["p"] <= 0.01
    honest = score(vectors, authors, works, "author_across_works")
    assert all(row["p"] >= 0.1 for row in honest.values())
    assert honest["top1"]["chance"] == pytest.approx(20 / 50)


def test_an_authors_hand_is_found_across_works():
    authors, works = study((3, 3, 3), 6)
    rows = score(drawn(authors, works, of_author=1, of_work=0.5), authors, works, "author_across_works")
    assert rows["top1"]["value"] > 0.9 and rows["top1"]["chance"] == pytest.approx(12 / 48)
    assert rows["cosine_intra"]["value"] < rows["cosine_inter"]["value"]
    # 199 of the 1680 assignments are drawn; 6 of the 1680 are the true grouping under other names.
    assert all(row["p"] <= 0.02 for row in rows.values())


def test_small_studies_are_enumerated():
    authors, works = study((2, 2), 5)
    rows = score(drawn(authors, works, of_author=2, of_work=0.5), authors, works, "author_across_works", 999)
    # Two of the six assignments of two authors to four works are the true grouping.
    assert rows["top1"]["p"] == pytest.approx(2 / 6)


def test_enumeration_lists_each_assignment_once():
    labels, exhaustive = permute_units(np.array([0, 0, 1, 2]), 12, np.random.default_rng(0))
    assert exhaustive and len(labels) == 12 and len(np.unique(labels, axis=0)) == 12
    assert (np.sort(labels, axis=1) == [0, 0, 1, 2]).all()
    sampled, exhaustive = permute_units(np.array([0, 0, 1, 2]), 11, np.random.default_rng(0))
    assert not exhaustive and sampled.shape == (11, 4) and (np.sort(sampled, axis=1) == [0, 0, 1, 2]).all()


def test_p_values_count_ties_and_themselves():
    null = np.array([0.1, 0.2, 0.3, np.nan])
    assert p_value(null, 0.2, exhaustive=False) == pytest.approx(3 / 4)
    assert p_value(null, 0.2, exhaustive=True) == pytest.approx(2 / 3)
    assert p_value(null, 0.1, exhaustive=False, low=True) == pytest.approx(2 / 4)
    assert math.isnan(p_value(null, math.nan, exhaustive=False))


def test_authors_with_one_work_are_candidates_but_not_counted():
    authors, works = study((2, 1, 1), 4)
    rows = score(noise(authors, 50), authors, works, "author_across_works")
    assert {row["n"] for row in rows.values()} == {8}
    assert rows["top1"]["chance"] == pytest.approx(4 / 12)
    none = score(noise(authors, 50), works, works, "author_across_works")
    assert all(row["n"] == 0 and math.isnan(row["value"]) and math.isnan(row["p"]) for row in none.values())


def test_vectorised_nulls_equal_scoring_one_by_one():
    authors, works = (codes(x) for x in study((2, 3), 4))
    distances = cosine_distances(normalise_and_center(np.cov(noise(authors, 15)), True))
    eligible = works[:, None] != works[None, :]
    labels = permute(authors, 7, np.random.default_rng(1)).labels
    null = null_of_labels(distances, eligible, labels, count_pairs(eligible, labels))
    found = topk_hits(nearest(distances, eligible), labels, 5)
    for number, row in enumerate(labels):
        means = pairs_of_labels(distances, eligible, row, works).means()
        same = row[:, None] == row[None, :]
        assert means["cosine_intra"] == pytest.approx(distances[same & eligible].mean())
        assert means["cosine_inter"] == pytest.approx(distances[~same & eligible].mean())
        assert all(null[name][number] == pytest.approx(means[name]) for name in means)
        for lora in range(len(row)):
            order = [n for n in np.argsort(distances[lora]) if eligible[lora, n]][:5]
            assert found[number, lora] == (row[lora] in row[order])


def test_neighbours_are_eligible_and_may_be_few():
    distances = np.array([[0, 1, 2.0], [1, 0, 3], [2, 3, 0]])
    eligible = np.array([[False, True, True], [False, False, True], [False, False, False]])
    assert nearest(distances, eligible, 4).tolist() == [[1, 2, -1, -1], [2, -1, -1, -1], [-1] * 4]
    # A missing neighbour, written -1, is not the last LoRA.
    assert topk_hits(nearest(distances, eligible, 4), np.array([0, 1, 0]), 4).tolist() == [True, False, False]


def test_intervals_hold_the_value_and_widen_with_works_that_differ():
    authors, works = study((2, 2, 2), 8)
    # Every other work has a strong hand of its own, so hits come by the work.
    own = drawn(authors, works, of_author=0, of_work=1)
    vectors = np.where((codes(works) % 2 == 0)[:, None], own, noise(authors, own.shape[1]))
    rows = score(vectors, authors, works, "author")
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows.values())
    alone = score(vectors, authors, [f"{n:02d}" for n in range(len(works))], "author")
    width = {k: r["top1"]["high"] - r["top1"]["low"] for k, r in (("works", rows), ("loras", alone))}
    assert width["works"] > 1.3 * width["loras"]
    single = score(noise(authors[:8]), authors[:8], works[:8], "author")
    assert math.isnan(single["top1"]["low"])


def test_the_same_seed_gives_the_same_scores_in_any_order_of_levels():
    authors, works = study((2, 2), 5)
    vectors = noise(authors, 20)
    first = score(vectors, authors, works, "author", seed=5)
    score(vectors, authors, works, "work", seed=5)
    assert score(vectors, authors, works, "author", seed=5) == first
    assert score(vectors, authors, works, "author", seed=6) != first


def test_vectors_without_direction(caplog):
    np.testing.assert_array_equal(cosine_distances(np.diag([1.0, 1, 0])), 1 - np.eye(3))
    assert "1 of 3 LoRAs are at the mean of all, the first is number 3" in caplog.text
    with pytest.raises(NoDirections, match="do not differ"):
        cosine_distances(np.zeros((3, 3)))
    with pytest.raises(EgaraError, match="second author"):
        make_hypothesis("author_across_works", np.array([0, 1]), np.array([0, 0]), 9, 0)


def test_the_command_writes_every_score_once(tmp_path):
    authors, works = study((2, 2), 4)
    index = pd.DataFrame({"lora": "x", "author": authors, "work": works, "set": "00", "norm": 1.0})
    vectors = noise(authors, 20)
    index.to_csv(tmp_path / "i.tsv", sep="\t", index=False)
    np.save(tmp_path / "k.npy", vectors @ vectors.T)
    points = pd.DataFrame(vectors[:, :6] - vectors[:, :6].mean(axis=0), columns=[f"c{n:02d}" for n in range(1, 7)])
    pd.concat([index[["author", "work", "set"]], points], axis=1).to_csv(tmp_path / "m.tsv", sep="\t", index=False)
    arguments = ["--gram", f"{tmp_path}/k.npy", "--index", f"{tmp_path}/i.tsv", "--representation", "delta"]
    arguments += ["--l2", "off", "--seed", "0", "--permutations", "99", "--output", f"{tmp_path}/s.tsv"]
    arguments += ["--nulls", f"{tmp_path}/n.npz"]
    main([*arguments, "--cell", CELL, "--maps", f"pca={tmp_path}/m.tsv"])
    table = pd.read_csv(tmp_path / "s.tsv", sep="\t")
    keys = ["rank", "alpha", "resolution", "init", "token", "representation", "l2", "space", "metric", "level"]
    assert table.columns.tolist() == [
        *keys,
        "value",
        "chance",
        "p",
        "low",
        "high",
        "n",
        "null_mean",
        "majority",
        "note",
    ]
    assert len(table) == 2 * (8 * 3 + 2) and not table.duplicated(keys).any()
    assert table["value"].notna().all() and table["p"].between(0, 1).all()
    expected = score(vectors, authors, works, "work", 99, l2=False)["cosine_intra"]
    found = table.query("space == 'full' and level == 'work' and metric == 'cosine_intra'").iloc[0]
    assert (found["value"], found["p"]) == pytest.approx((expected["value"], expected["p"]))
    with pytest.raises(EgaraError, match="training cell"):
        main([*arguments, "--cell", "rank~8"])
