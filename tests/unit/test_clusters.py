"""Clusters of maps and their agreement with works and authors."""

import numpy as np
import pandas as pd
import pytest

from egara.clusters import find_clusters, main
from egara.scores.agreement import agreements
from egara.scores.clusters import compare
from egara.scores.clusters import main as score
from egara.tables.clusters import cluster_table


def study(works_of=(2, 2), sets=12):
    rows = [(f"a{a}", f"w{a}{w}", f"{s:02d}") for a, n in enumerate(works_of) for w in range(n) for s in range(sets)]
    return pd.DataFrame(rows, columns=["author", "work", "set"])


def groups(labels, seed=0):
    """Points in the plane, one tight group a label."""
    codes = np.unique(labels, return_inverse=True)[1]
    centres = np.random.default_rng(99).permutation(np.mgrid[:5, :5].reshape(2, -1).T)[codes] * 10
    return centres + np.random.default_rng(seed).normal(size=(len(codes), 2))


def test_agreements_equal_scikit_learns():
    from sklearn import metrics

    generator = np.random.default_rng(0)
    for clusters, labels in [
        (generator.integers(-1, 4, 40), generator.integers(0, 3, (20, 40))),
        (np.arange(40) // 10, np.tile(np.arange(40) // 10, (2, 1))),
        (np.full(40, -1), generator.integers(0, 3, (3, 40))),
        (generator.integers(-1, 4, 40), np.zeros((3, 40), int)),
    ]:
        found = agreements(clusters, labels)
        for number, row in enumerate(labels):
            assert found["ami"][number] == pytest.approx(metrics.adjusted_mutual_info_score(row, clusters), abs=1e-9)
            assert found["ari"][number] == pytest.approx(metrics.adjusted_rand_score(row, clusters), abs=1e-9)
            both = metrics.homogeneity_completeness_v_measure(row, clusters)[:2]
            assert (found["homogeneity"][number], found["completeness"][number]) == pytest.approx(both, abs=1e-9)


def test_groups_that_are_works_agree_with_works():
    index = study()
    clusters, probabilities = find_clusters(groups(index["work"]), 5, 1)
    row = compare(clusters, index, "work", 99, 0)
    assert row["clusters"] == 4 and row["n"] == 48 and row["ami"] > 0.9 and row["p"] == pytest.approx(0.01)
    assert row["chance"] == row["ari_chance"] == 0 and row["homogeneity_chance"] < 0.3
    assert ((probabilities >= 0) & (probabilities <= 1)).all()


def test_clusters_of_works_say_nothing_about_authors_beyond_chance():
    index = study((3, 3))
    clusters, _ = find_clusters(groups(index["work"]), 5, 1)
    naive, honest = (compare(clusters, index, level, 99, 0) for level in ("author", "author_across_works"))
    assert naive["p"] == pytest.approx(0.01) and naive["ami"] == honest["ami"] > 0.3
    assert honest["p"] > 0.1 and honest["chance"] == pytest.approx(honest["ami"], abs=0.1)


def test_clusters_of_authors_are_seen_across_works():
    index = study((3, 3, 3), 6)
    row = compare(find_clusters(groups(index["author"]), 5, 1)[0], index, "author_across_works", 199, 0)
    assert row["ami"] > 0.9 and row["p"] < 0.05 and row["chance"] < 0.5


def test_noise_is_one_group_and_is_counted():
    index = study()
    clusters = np.unique(index["work"], return_inverse=True)[1]
    whole = compare(clusters, index, "work", 19, 0)
    part = compare(np.where(np.arange(48) % 3 == 0, -1, clusters), index, "work", 19, 0)
    assert (whole["noise"], part["noise"]) == (0, pytest.approx(1 / 3)) and part["ami"] < whole["ami"] == pytest.approx(
        1
    )
    nothing = compare(np.full(48, -1), index, "work", 19, 0)
    assert (nothing["ami"], nothing["ari"], nothing["clusters"], nothing["noise"], nothing["p"]) == (0, 0, 0, 1, 1)


@pytest.mark.parametrize(
    ("count", "size", "samples"), [(1, 5, 1), (4, 5, 1), (5, 5, 1), (6, 2, 6), (6, 2, 5), (12, 10, 1)]
)
def test_few_points_are_no_error(count, size, samples):
    clusters, probabilities = find_clusters(np.random.default_rng(0).normal(size=(count, 3)), size, samples)
    assert clusters.shape == probabilities.shape == (count,)


def test_the_commands_write_clusters_and_agreement(tmp_path):
    index = study()
    for name, label in (("pca", "work"), ("umap", "author")):
        points = pd.DataFrame(groups(index[label]), columns=["c01", "c02"])
        pd.concat([index, points], axis=1).to_csv(tmp_path / f"{name}.tsv", sep="\t", index=False)
    output = tmp_path / "rank~2_alpha~2_resolution~64_init~independent_token~author" / "delta_l2~on" / "hdbscan.tsv"
    main(
        ["--maps", f"pca={tmp_path}/pca.tsv", f"umap={tmp_path}/umap.tsv", "--min-cluster-size", "5"]
        + ["--min-samples", "1", "--output", str(output)]
    )
    labelled = pd.read_csv(output, sep="\t")
    assert labelled.columns.tolist() == ["map", "author", "work", "set", "cluster", "probability"]
    assert labelled["map"].value_counts().to_dict() == {"pca": 48, "umap": 48}
    space = ["--cell", output.parts[-3], "--representation", "delta", "--l2", "on"]
    scores = tmp_path / "clusters.tsv"
    score(["--clusters", str(output), *space, "--permutations", "99", "--seed", "0", "--output", str(scores)])
    table = cluster_table([scores])
    assert set(table["init"]) == {"independent"} and set(table["l2"]) == {"on"} and set(table["rank"]) == {2}
    table = table.set_index(["map", "level"])
    assert table.loc[("pca", "work"), "ami"] > 0.9 > table.loc[("umap", "work"), "ami"]
    assert table.loc[("umap", "author"), "ami"] > 0.9
    for column in (
        "ari",
        "homogeneity",
        "completeness",
        "noise",
        "clusters",
        "n",
        "chance",
        "p",
        "ari_chance",
        "ari_p",
    ):
        assert table[column].notna().all()
