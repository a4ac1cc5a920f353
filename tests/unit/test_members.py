"""Nearest centroid, linear probe, silhouette and explained variance against plain definitions and scikit-learn."""

import numpy as np
import pytest

from egara.scores.classifiers import classify, make_folds
from egara.scores.hypotheses import make_hypothesis, score_classifiers, score_variance
from egara.scores.labels import codes
from egara.scores.variance import bootstrap_shares, chance_of_work, permute_within, shares
from egara.weights.geometry import centre, normalise_and_center

AUTHORS = codes(list("aaaaaaabbbbbbbbbbcccc"))
WORKS = codes([f"w{n}" for n in [0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 6, 6, 6, 6]])


@pytest.fixture(scope="module")
def vectors():
    generator = np.random.default_rng(3)
    hand = generator.normal(size=(3, 12))[AUTHORS] + generator.normal(size=(7, 12))[WORKS]
    points = 0.6 * hand + generator.normal(size=(len(AUTHORS), 12))
    points = points - points.mean(axis=0)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def labellings(by_work, count=4):
    """Author labels and some permutations of them, over LoRAs or over works."""
    generator = np.random.default_rng(0)
    if not by_work:
        return np.array([AUTHORS, *(generator.permutation(AUTHORS) for _ in range(count))])
    owner = np.array([0, 0, 0, 1, 1, 1, 2])
    return np.array([owner, *(generator.permutation(owner) for _ in range(count))])[:, WORKS]


@pytest.mark.parametrize("by_work", [False, True])
def test_centroid_and_probe_equal_leaving_out_one_by_one(vectors, by_work):
    from sklearn.linear_model import Ridge

    folds = WORKS if by_work else np.arange(len(WORKS))
    cosines = vectors @ vectors.T
    penalty = np.trace(centre(cosines)) / len(vectors)
    every = labellings(by_work)
    found = classify(make_folds(cosines, folds), every)
    for place, labels in enumerate(every):
        for fold in np.unique(folds):
            inside = folds == fold
            kinds = np.unique(labels[~inside])
            means = np.array([vectors[~inside & (labels == kind)].mean(axis=0) for kind in kinds])
            nearest = kinds[((vectors[inside][:, None] - means) ** 2).sum(axis=2).argmin(axis=1)]
            targets = np.array([(labels[~inside] == kind) / (labels[~inside] == kind).sum() for kind in kinds]).T
            fitted = Ridge(alpha=penalty).fit(vectors[~inside], targets)
            answered = kinds[fitted.predict(vectors[inside]).argmax(axis=1)]
            assert np.array_equal(found["centroid"][place][inside], nearest == labels[inside])
            assert np.array_equal(found["probe"][place][inside], answered == labels[inside])


def test_silhouette_equals_scikit_learn(vectors):
    from sklearn.metrics import silhouette_samples

    cosines = vectors @ vectors.T
    every = labellings(False)
    found = classify(make_folds(cosines, np.arange(len(vectors))), every)["silhouette"]
    distances = 1 - cosines
    np.fill_diagonal(distances, 0)
    for place, labels in enumerate(every):
        assert found[place] == pytest.approx(silhouette_samples(distances, labels, metric="precomputed"), abs=1e-12)


def test_silhouette_of_other_works_leaves_the_own_work_out(vectors):
    cosines = vectors @ vectors.T
    found = classify(make_folds(cosines, WORKS), AUTHORS[None])["silhouette"][0]
    row = 0
    others = [j for j in range(len(WORKS)) if WORKS[j] != WORKS[row]]
    means = [np.mean([1 - cosines[row, j] for j in others if AUTHORS[j] == label]) for label in range(3)]
    inside, outside = means[0], min(means[1:])
    assert found[row] == pytest.approx((outside - inside) / max(inside, outside))
    assert np.isnan(found[AUTHORS == 2]).all(), "an author with one work has nobody else"


def test_batches_of_labellings_change_nothing(vectors, monkeypatch):
    cosines = vectors @ vectors.T
    folds = make_folds(cosines, np.arange(len(vectors)))
    whole = classify(folds, labellings(False, 10))
    monkeypatch.setattr("egara.scores.classifiers.BATCH", 3)
    for name, values in classify(folds, labellings(False, 10)).items():
        assert np.allclose(values, whole[name], rtol=0, atol=1e-12, equal_nan=True), name


def test_variance_is_the_nested_decomposition(vectors):
    points = 3.0 * vectors - vectors.mean(axis=0) * 3.0
    products = points @ points.T
    found = shares(products, AUTHORS, WORKS)
    total = (points**2).sum()
    by_author = np.array([points[a == AUTHORS].mean(axis=0) for a in range(3)])[AUTHORS]
    by_work = np.array([points[w == WORKS].mean(axis=0) for w in range(7)])[WORKS]
    assert found.author == pytest.approx((by_author**2).sum() / total)
    assert found.work == pytest.approx(((by_work - by_author) ** 2).sum() / total)
    assert found.set == pytest.approx(((points - by_work) ** 2).sum() / total)
    assert sum(found) == pytest.approx(1.0)
    once = bootstrap_shares(products, AUTHORS, WORKS, np.ones((1, 7)))
    assert once[0] == pytest.approx([found.author, found.work])


def test_works_counted_twice_are_works_twice(vectors):
    draws = np.array([2, 0, 1, 1, 3, 0, 1])
    kept = np.concatenate([np.flatnonzero(w == WORKS) for w in range(7) for _ in range(draws[w])])
    copies = np.concatenate([np.full((w == WORKS).sum(), 10 * w + c) for w in range(7) for c in range(draws[w])])
    points = vectors[kept] - vectors[kept].mean(axis=0)
    _, works = np.unique(copies, return_inverse=True)
    author = shares(points @ points.T, AUTHORS[kept], works)
    # Copies of one work have one mean, so that nothing is lost between them.
    found = bootstrap_shares(vectors @ vectors.T, AUTHORS, WORKS, draws[None].astype(float))[0]
    assert found == pytest.approx([author.author, author.work])


def test_chance_of_work_is_the_mean_over_permutations(vectors):
    from egara.scores.variance import between_group_ss

    products = vectors @ vectors.T
    drawn = permute_within(WORKS, AUTHORS, 4000, np.random.default_rng(0))
    assert all(np.array_equal(np.sort(row[AUTHORS == 1]), np.sort(WORKS[AUTHORS == 1])) for row in drawn[:5])
    null = between_group_ss(products, drawn) / np.trace(products) - shares(products, AUTHORS, WORKS).author
    assert null.mean() == pytest.approx(chance_of_work(products, AUTHORS, WORKS), abs=5 * null.std() / 4000**0.5)


def rows_of(level, of_author, of_work, seed=0, permutations=199):
    """Scores of 12 LoRAs in each of 6 works of 2 authors."""
    generator = np.random.default_rng(seed)
    works = np.repeat(np.arange(6), 12)
    authors = np.repeat([0, 1], 36)
    points = generator.normal(size=(72, 60))
    points += of_author * generator.normal(size=(2, 60))[authors] + of_work * generator.normal(size=(6, 60))[works]
    products = normalise_and_center(points @ points.T, True)
    lengths = np.sqrt(np.diag(products))
    distances = 1 - products / np.outer(lengths, lengths)
    np.fill_diagonal(distances, 0.0)
    described = make_hypothesis(level, authors, works, permutations, seed)
    rows = score_classifiers(distances, works, described, seed)
    rows += score_variance(products, authors, works, level, described, seed)
    return {row["metric"]: row for row in rows}


@pytest.mark.parametrize("level", ["work", "author_across_works"])
def test_planted_hands_are_found_by_every_method(level):
    hand = rows_of(level, of_author=1.5, of_work=1.0)
    assert {"centroid", "probe", "silhouette", "variance"} == set(hand)
    assert all(row["value"] > row["chance"] and row["p"] <= 0.1 for row in hand.values()), hand
    assert all(row["low"] <= row["value"] <= row["high"] for row in hand.values())


def test_works_alone_are_no_author():
    for seed in range(5):
        rows = rows_of("author_across_works", of_author=0.0, of_work=1.5, seed=seed)
        assert all(row["p"] >= 0.1 for row in rows.values()), rows  # 20 permutations: the least p is 0.1


@pytest.mark.parametrize("level", ["work", "author", "author_across_works"])
def test_p_values_of_noise_are_spread_evenly(level):
    from scipy.stats import kstest

    rows = [rows_of(level, 0.0, 0.0, seed, permutations=59) for seed in range(200)]
    for metric in rows[0]:
        p = np.array([row[metric]["p"] for row in rows])
        if level == "author_across_works":  # all 20 permutations are listed, in pairs that score alike
            assert all(
                (p <= cut).mean() <= cut + 3 * (cut * (1 - cut) / 200) ** 0.5 for cut in (0.1, 0.2, 0.3, 0.5, 0.8)
            )
        else:
            noise = np.random.default_rng(1).uniform(0, 1 / 60, 200)  # p is a multiple of 1/60; ties are spread
            assert kstest(p - noise, "uniform").pvalue > 0.001, metric
