"""Projections of LoRAs."""

import numpy as np
import pandas as pd
import pytest

from egara.io.errors import EgaraError
from egara.projections import exact_pca, incremental_pca, main, umap_coordinates
from egara.weights.geometry import classical_mds, normalise


def rows(count=20, width=300, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(count, width)) * generator.uniform(0.5, 2, size=(count, 1)) + 0.3


def same_up_to_sign(found, expected, **tolerance):
    signs = np.sign((found * expected).sum(axis=0))
    np.testing.assert_allclose(found * signs, expected, **tolerance)


@pytest.mark.parametrize("l2", [True, False])
def test_pca_from_the_gram_matrix_is_pca(l2):
    from sklearn.decomposition import PCA

    vectors = rows()
    points, variance, ratio = exact_pca(vectors @ vectors.T, l2, 7)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if l2 else vectors
    model = PCA(7).fit(unit)
    same_up_to_sign(points, model.transform(unit), atol=1e-8)
    np.testing.assert_allclose(variance, model.explained_variance_)
    np.testing.assert_allclose(ratio, model.explained_variance_ratio_)


def test_signs_do_not_depend_on_the_solver():
    vectors = rows()
    points, *_ = exact_pca(vectors @ vectors.T, False, 5)
    assert (points[np.abs(points).argmax(axis=0), range(5)] > 0).all()


def test_no_more_components_than_there_are():
    vectors = rows(5)
    assert exact_pca(vectors @ vectors.T, True, 50)[0].shape == (5, 4)
    flat = np.outer(np.arange(6.0), np.ones(9)) + np.eye(1, 9, 3)
    assert exact_pca(flat @ flat.T, False, 50)[0].shape == (6, 1)
    for points, variance, ratio in (exact_pca(np.ones((4, 4)), True, 2), incremental_pca(np.zeros((4, 0)), True, 2)):
        assert points.shape == (4, 2) and not points.any() and not variance.any() and np.isnan(ratio).all()


def test_a_short_last_batch_joins_the_one_before():
    """Batches of scikit-learn's gen_batches, as the published IncrementalPCA needs them."""
    from sklearn.utils import gen_batches

    for count in range(1, 200):
        for size in range(1, 70, 3):
            for least in range(1, size + 1, 5):
                starts = list(range(0, count, size))
                if len(starts) > 1 and count - starts[-1] < least:
                    starts.pop()
                expected = [slice(*pair) for pair in zip(starts, [*starts[1:], count], strict=True)]
                assert list(gen_batches(count, size, min_batch_size=least)) == expected


@pytest.mark.parametrize("l2", [True, False])
def test_incremental_pca_needs_the_inner_products_only(l2, tmp_path):
    vectors = rows(100, 400).astype(np.float32)
    np.save(tmp_path / "m.npy", vectors)
    on_file, variance, _ = incremental_pca(np.load(tmp_path / "m.npy", mmap_mode="r"), l2, 10, 30)
    gram = vectors.astype(float) @ vectors.astype(float).T
    on_gram, other, _ = incremental_pca(classical_mds(normalise(gram) if l2 else gram, 0.0)[0], False, 10, 30)
    np.testing.assert_allclose(on_file, on_gram, atol=2e-3 * np.abs(on_gram).max())
    np.testing.assert_allclose(variance, other, rtol=1e-3)


def test_incremental_pca_in_one_batch_is_pca():
    vectors = rows(20)
    points, *_ = incremental_pca(vectors, True, 6, 66)
    same_up_to_sign(points, exact_pca(vectors @ vectors.T, True, 6)[0], atol=1e-8)
    assert incremental_pca(rows(4), True, 50)[0].shape == (4, 3)


def study(folder, vectors):
    index = pd.DataFrame({"author": "a", "work": [f"{n % 2:03d}" for n in range(len(vectors))], "set": "07"})
    index.to_csv(folder / "i.tsv", sep="\t", index=False)
    np.save(folder / "k.npy", vectors @ vectors.T)
    np.save(folder / "m.npy", vectors.astype(np.float32))
    return ["--gram", f"{folder}/k.npy", "--index", f"{folder}/i.tsv", "--l2", "on", "--seed", "0"]


def test_the_command_writes_map_and_variance(tmp_path):
    arguments = study(tmp_path, rows(12))
    for name, more in {"pca": [], "ipca": ["--matrix", f"{tmp_path}/m.npy"], "ipca2": []}.items():
        files = ["--output", f"{tmp_path}/{name}.tsv", "--variance", f"{tmp_path}/{name}.variance.tsv"]
        main([*arguments, "--map", name.strip("2"), "--n-components", "4", *more, *files])
    table = pd.read_csv(tmp_path / "ipca.tsv", sep="\t", dtype={"work": str, "set": str})
    assert table.columns.tolist() == ["author", "work", "set", "c01", "c02", "c03", "c04"]
    assert table["work"].tolist() == ["000", "001"] * 6
    numbers = [pd.read_csv(tmp_path / f"{n}.tsv", sep="\t").filter(like="c0") for n in ("pca", "ipca", "ipca2")]
    np.testing.assert_allclose(numbers[1], numbers[0], atol=1e-4)
    np.testing.assert_allclose(numbers[2], numbers[0], atol=1e-4)
    variance = pd.read_csv(tmp_path / "pca.variance.tsv", sep="\t")
    assert variance["component"].tolist() == [1, 2, 3, 4] and 0 < variance["ratio"].sum() < 1


def test_a_matrix_of_other_loras_is_refused(tmp_path):
    arguments = study(tmp_path, rows(12))
    np.save(tmp_path / "m.npy", rows(11))
    with pytest.raises(EgaraError, match="expected 12 rows"):
        main([*arguments, "--map", "ipca", "--matrix", f"{tmp_path}/m.npy", "--output", f"{tmp_path}/o.tsv"])
    assert not (tmp_path / "o.tsv").exists()


def test_umap_keeps_far_groups_apart_and_repeats_itself():
    generator = np.random.default_rng(0)
    points = np.concatenate([generator.normal(size=(15, 5)), generator.normal(size=(15, 5)) + 30])
    flat = umap_coordinates(points, seed=1, n_neighbors=8)
    np.testing.assert_array_equal(flat, umap_coordinates(points, seed=1, n_neighbors=8))
    inside = np.linalg.norm(flat[:15] - flat[:15].mean(axis=0), axis=1).max()
    assert np.linalg.norm(flat[:15].mean(axis=0) - flat[15:].mean(axis=0)) > inside
    for count in (4, 5):
        assert np.isfinite(umap_coordinates(points[:count], seed=1)).all()
    with pytest.raises(EgaraError, match="at least 4"):
        umap_coordinates(points[:3], seed=1)
