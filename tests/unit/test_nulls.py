"""The correction by the largest score: exact under noise, sharper than Holm where settings look at the same LoRAs."""

from types import SimpleNamespace

import numpy as np
import pytest

from egara.io.errors import EgaraError
from egara.scores.multiple_testing import Null, correct, holm, read_nulls, write_nulls
from egara.scores.permutations import min_attainable_p, p_value, permute, permute_units


def settings(generator, count=20, shared=0.9, permutations=199):
    """Scores of settings that look at the same LoRAs, and their nulls: the observed one is a draw like the others."""
    common = generator.normal(size=permutations + 1)
    own = generator.normal(size=(count, permutations + 1))
    drawn = shared**0.5 * common + (1 - shared) ** 0.5 * own
    drawn = drawn * generator.uniform(0.5, 4.0, size=(count, 1)) + generator.normal(size=(count, 1))
    return [Null(row[0], row[1:], False, "same") for row in drawn]


@pytest.mark.parametrize("shared", [0.0, 0.9])
def test_noise_passes_as_often_as_it_may(shared):
    generator = np.random.default_rng(5)
    passed = [correct(settings(generator, shared=shared)).min() < 0.05 for _ in range(400)]
    assert np.mean(passed) <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5


def test_it_is_sharper_than_holm_where_settings_are_alike():
    generator = np.random.default_rng(6)
    nulls = [
        null._replace(observed=null.values.mean() + 3.2 * null.values.std())
        for null in settings(generator, shared=0.98)
    ]
    single = np.array([p_value(null.values, null.observed, False) for null in nulls])
    corrected = correct(nulls)
    assert (corrected < 0.05).all() and (holm(single) > 0.05).all()
    assert (corrected >= single - 1e-12).all()


def test_eleven_works_and_many_settings_can_pass():
    """165 ways to give 3 and 8 works to two authors: Holm over 44 rows could never fall below 0.26."""
    truth = np.zeros(165)
    truth[0] = 1.0
    values = truth + 0.01 * np.arange(165)[::-1] / 165
    corrected = correct([Null(values[0], values, True, "same") for _ in range(44)])
    assert corrected == pytest.approx(1 / 165)


def test_the_score_is_not_the_tables_rounded_one(tmp_path):
    """287 of 330 LoRAs is 0.869696970 in a table, more than 287 / 330: with it no permutation would reach the score."""
    values = np.array([287 / 330, 0.5, 0.6, 0.4])
    level = SimpleNamespace(labels=np.array([0, 1]), permuted=np.zeros((4, 2), int), exhaustive=True)
    write_nulls(tmp_path / "n.npz", {"work": (287 / 330, values, level)})
    assert correct([read_nulls(tmp_path / "n.npz")["work"]]) == pytest.approx(0.25)
    assert correct([Null(0.869696970, values, True, "same")]) == 0, "what a rounded score would do"


def test_other_loras_are_a_family_of_their_own():
    first, second = (Null(2.0, np.array([0.0, 1.0, 2.0]), True, name) for name in "ab")
    assert correct([first, first]) == pytest.approx(1 / 3)
    assert correct([first, second]) == pytest.approx(2 / 3)
    still, untested = Null(1.0, np.ones(3), True, "a"), first._replace(observed=np.nan)
    assert correct([still, first, untested]) == pytest.approx([1.0, 1 / 3, np.nan], nan_ok=True)


def test_files_keep_every_hypothesis(tmp_path):
    labels = np.array([0, 1, 1])
    level = SimpleNamespace(labels=labels, permuted=np.array([[0, 1, 1], [1, 0, 1]]), exhaustive=True)
    other = SimpleNamespace(labels=labels, permuted=np.array([[1, 0, 1], [1, 1, 0]]), exhaustive=False)
    values = np.array([0.1, 1 / 3])
    write_nulls(tmp_path / "n.npz", {"work": (0.25, values, level), "author": (1 / 3, values[::-1], other)})
    found = read_nulls(tmp_path / "n.npz")
    assert (
        np.array_equal(found["work"].values, values)
        and found["work"].exhaustive
        and found["work"].observed == 0.25
        and not found["author"].exhaustive
    )
    assert found["work"].permuted != found["author"].permuted
    assert found["work"].min_attainable_p == 0.5 and found["author"].min_attainable_p == pytest.approx(1 / 3)
    (tmp_path / "n.npz").write_bytes(b"PK")
    with pytest.raises(EgaraError, match="null distributions"):
        read_nulls(tmp_path / "n.npz")


@pytest.mark.parametrize(
    ("authors", "least"),
    [
        ("aaabbb", 2 / 20),  # and the same parting with the names swapped
        ("aabb", 2 / 6),
        ("aabbb", 1 / 10),
        ("aabc", 2 / 12),  # authors of one work each can change places unseen
        ("ab", 1.0),
        ("aaaaaaaabbb", 1 / 165),  # the papers' works
    ],
)
def test_the_least_p_is_that_of_a_perfect_score(authors, least):
    labels = np.array([ord(name) - ord("a") for name in authors])
    null = permute_units(labels, 1000, np.random.default_rng(0))
    assert null.exhaustive and min_attainable_p(labels, null) == pytest.approx(least)
    if least < 1.0:  # what a score would be that is 1 for the true parting only
        same = labels[:, None] == labels
        perfect = np.array([((row[:, None] == row) == same).mean() for row in null.labels])
        assert p_value(perfect, 1.0, True) == pytest.approx(least)


def test_the_least_p_of_drawn_labels_counts_the_true_one():
    labels = np.arange(40) % 8
    assert min_attainable_p(labels, permute(labels, 99, np.random.default_rng(0))) == pytest.approx(0.01)
