"""From LoRA files to Gram matrices."""

import numpy as np
import pandas as pd
import pytest
from lora_files import random_layers, write_lora, write_study

from egara.io.errors import EgaraError
from egara.io.tables import read_tsv
from egara.loras.files import Factors
from egara.scores.distances import cosine_distances
from egara.scores.hypotheses import make_hypothesis, score_distances
from egara.scores.labels import codes
from egara.weights import products
from egara.weights import vectors as matrices
from egara.weights.__main__ import main
from egara.weights.geometry import (
    all_equal,
    centre,
    classical_mds,
    normalise,
    normalise_and_center,
    read_maps,
    read_vectors,
)  # fmt: skip
from egara.weights.products import delta_by_ranks, delta_by_rows, gram_of_columns
from egara.weights.representations import Layer, delta, factors


def call(folder, representation, out, works=("w1", "w2"), sets=3, matrix=None):
    arguments = ["--folder", str(folder), "--works", *works, "--sets", str(sets), "--representation", representation]
    main([*arguments, "--gram", str(out / "k.gram.npy"), "--index", str(out / "k.tsv")])
    if matrix:
        matrices.main([*arguments, "--output", str(matrix)])
    return read_vectors(out / "k.gram.npy", out / "k.tsv")


def test_delta_is_the_inner_product_of_the_updates(tmp_path):
    loras = write_study(tmp_path / "loras", rank=2, alpha=6)
    gram, index = call(tmp_path / "loras", "delta", tmp_path)
    whole = np.stack([np.concatenate([(3 * up @ down).ravel() for down, up in lora.values()]) for lora in loras])
    np.testing.assert_allclose(gram, whole @ whole.T, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(index["norm"], np.linalg.norm(whole, axis=1), rtol=1e-5)
    assert index["work"].tolist() == ["w1"] * 3 + ["w2"] * 3
    assert index["set"].tolist() == ["00", "01", "02"] * 2
    assert index["author"][5] == "author of w2"
    assert index["lora"][1].endswith("w1/01.safetensors")


def test_factors_are_the_rows_of_the_matrix(tmp_path):
    loras = write_study(tmp_path / "loras")
    gram, _ = call(tmp_path / "loras", "factors", tmp_path, matrix=tmp_path / "factors.npy")
    matrix = np.load(tmp_path / "factors.npy", mmap_mode="r")
    rows = [[x.ravel() for name in sorted(lora) for x in lora[name]] for lora in loras]
    np.testing.assert_allclose(matrix, [np.concatenate(row) for row in rows], rtol=1e-6)
    expected = matrix.astype(float) @ matrix.astype(float).T
    np.testing.assert_allclose(gram, expected, rtol=0, atol=1e-6 * np.diag(expected).max())
    assert matrix.dtype == np.float32


def layer(generator, ranks, inputs=7, outputs=5):
    shapes = [((r, inputs), (outputs, r)) for r in ranks]
    drawn = [(generator.normal(size=d), generator.normal(size=u)) for d, u in shapes]
    return [Factors(d.astype(np.float32), u.astype(np.float32), 0.5 + n) for n, (d, u) in enumerate(drawn)]


def test_both_ways_to_delta_agree_for_mixed_ranks_and_small_blocks(monkeypatch):
    loras = layer(np.random.default_rng(0), [1, 4, 2, 8, 3, 3, 1])
    whole = np.stack([(x.scaling * x.lora_B @ x.lora_A).ravel() for x in loras]).astype(float)
    for block in (1, 300, 2000, 10**8):
        monkeypatch.setattr(products, "BLOCK", block)
        for measure in (lambda loras: delta(Layer("a", loras)), delta_by_ranks, delta_by_rows):
            np.testing.assert_allclose(measure(loras), whole @ whole.T, rtol=1e-4, atol=1e-3)


def test_delta_does_not_see_how_the_update_is_split():
    generator = np.random.default_rng(0)
    loras = layer(generator, [3] * 4)
    mixers = [generator.normal(size=(3, 3)) for _ in loras]
    split = [
        Factors((np.linalg.inv(m) @ x.lora_A).astype(np.float32), (x.lora_B @ m).astype(np.float32), x.scaling)
        for m, x in zip(mixers, loras, strict=True)
    ]
    np.testing.assert_allclose(delta_by_ranks(split), delta_by_ranks(loras), rtol=1e-3, atol=1e-2)
    assert not np.allclose(factors(Layer("a", split)), factors(Layer("a", loras)), rtol=0.1)


def test_blocks_of_columns_add_up_in_float64(monkeypatch):
    monkeypatch.setattr(products, "BLOCK", 8 * 5 * 10)
    # A large common part: float32 sums would lose the small differences.
    matrix = (1000 + np.random.default_rng(0).normal(size=(5, 997))).astype(np.float32)
    exact = matrix.astype(float) @ matrix.astype(float).T
    np.testing.assert_allclose(centre(gram_of_columns(matrix)), centre(exact), atol=1e-4)


def test_few_layers_at_a_time_give_the_same(tmp_path, monkeypatch):
    write_study(tmp_path / "loras")
    whole, _ = call(tmp_path / "loras", "delta", tmp_path)
    monkeypatch.setattr("egara.weights.gram.FACTOR_BYTES", 1)
    np.testing.assert_allclose(call(tmp_path / "loras", "delta", tmp_path)[0], whole)


def test_the_same_files_show_their_work_to_delta_but_not_to_factors(tmp_path):
    """One step from B = 0 on a work's gradient G gives B = G Aᵀ: with a random A each, the finding in small."""
    generator = np.random.default_rng(3)
    works, sets, rank, size = [f"w{n}" for n in range(6)], 8, 8, 40
    for work in works:
        gradient = np.outer(*generator.normal(size=(2, size)))
        for number in range(sets):
            down = generator.normal(size=(rank, size))
            up = 0.1 * gradient @ down.T / np.linalg.norm(gradient)
            write_lora(tmp_path / "l" / work / f"{number:02d}.safetensors", work, work, {"unet.q": (down, up)})
    top = {}
    for name in ("factors", "delta"):
        gram, index = call(tmp_path / "l", name, tmp_path, works, sets)
        author, work = codes(index["author"]), codes(index["work"])
        level = make_hypothesis("work", author, work, 199, 0)
        rows = score_distances(cosine_distances(normalise_and_center(gram, True)), work, level, 0)
        top[name] = {row["metric"]: row for row in rows}
    assert top["delta"]["top1"]["value"] > 0.9
    assert top["delta"]["cosine_difference"]["p"] == pytest.approx(1 / 200)
    assert top["factors"]["top1"]["p"] > 0.01
    assert abs(top["factors"]["cosine_intra"]["value"] - 1) < 0.05


def test_loras_that_do_not_belong_together_are_named(tmp_path):
    generator = np.random.default_rng(0)
    folder, odd = tmp_path / "l", tmp_path / "l" / "w2" / "01.safetensors"

    def refused(layers, representation, *words, author="a", work="w2"):
        write_study(folder, sets=2)
        write_lora(odd, author, work, layers)
        with pytest.raises(EgaraError) as caught:
            call(folder, representation, tmp_path, sets=2)
        assert all(word in str(caught.value) for word in (str(odd), *words))
        assert not list(tmp_path.glob("k.*"))

    whole = random_layers(generator)
    refused({"unet.up.to_q": whole["unet.up.to_q"]}, "delta", "unet.down.ff", "missing")
    refused(whole | {"unet.x": whole["unet.up.to_q"]}, "delta", "unet.x")
    refused(whole | {"unet.up.to_q": whole["unet.down.ff"]}, "delta", "unet.up.to_q", "20 x 4", "6 x 9")
    refused(random_layers(generator, rank=3), "factors", "rank 3", "unet.down.ff")
    refused(whole, "delta", "no author", author="")
    refused(whole, "delta", "trained on work w1", work="w1")
    odd.unlink()
    with pytest.raises(EgaraError, match="no such file; expected a LoRA file"):
        call(folder, "delta", tmp_path, sets=2)


def test_mixed_ranks_are_fine_for_delta(tmp_path):
    write_study(tmp_path, sets=2)
    write_lora(tmp_path / "w2" / "01.safetensors", "a", "w2", random_layers(np.random.default_rng(0), rank=5))
    assert call(tmp_path, "delta", tmp_path, sets=2)[0].shape == (4, 4)


def test_geometry_equals_geometry_on_vectors():
    rows = np.random.default_rng(0).normal(size=(6, 30)) + 2
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(normalise(rows @ rows.T), unit @ unit.T)
    middle = rows - rows.mean(axis=0)
    np.testing.assert_allclose(centre(rows @ rows.T), middle @ middle.T, atol=1e-9)
    points, values = classical_mds(middle @ middle.T)
    np.testing.assert_allclose(points @ points.T, middle @ middle.T, atol=1e-9)
    assert points.shape == (6, 5) and (np.diff(values) <= 0).all()
    np.testing.assert_array_equal(normalise(np.diag([4.0, 0.0])), np.diag([1.0, 0.0]))


def test_vectors_that_do_not_differ_have_no_geometry_but_rounding():
    row = np.random.default_rng(0).normal(size=(1, 5000)).astype(np.float32)
    same, near = np.repeat(row, 7, axis=0), np.repeat(row, 7, axis=0)
    near[0, 0] += 0.01
    same, near = same.astype(float), near.astype(float)
    for l2 in (True, False):
        assert all_equal(same @ same.T, l2) and not normalise_and_center(same @ same.T, l2).any()
        assert all_equal(np.zeros((3, 3)), l2)
        assert not all_equal(near @ near.T, l2)
    scaled = np.arange(1.0, 4.0)[:, None] * row.astype(float)
    assert all_equal(scaled @ scaled.T, True) and not all_equal(scaled @ scaled.T, False)


def test_gram_matrix_and_index_must_fit(tmp_path, caplog):
    pd.DataFrame({"author": ["a"], "work": ["001"], "set": ["00"]}).to_csv(tmp_path / "i.tsv", sep="\t", index=False)
    np.save(tmp_path / "k.npy", np.eye(2))
    with pytest.raises(EgaraError, match="lists 1 LoRAs"):
        read_vectors(tmp_path / "k.npy", tmp_path / "i.tsv")
    np.save(tmp_path / "k.npy", np.eye(1))
    assert read_vectors(tmp_path / "k.npy", tmp_path / "i.tsv")[1]["work"].tolist() == ["001"]
    np.save(tmp_path / "k.npy", np.zeros((1, 1)))
    read_vectors(tmp_path / "k.npy", tmp_path / "i.tsv")
    assert "1 of 1 LoRAs are zero, the first 001/00" in caplog.text
    np.save(tmp_path / "k.npy", -np.eye(1))
    with pytest.raises(EgaraError, match="LoRA 001/00 has a negative square"):
        read_vectors(tmp_path / "k.npy", tmp_path / "i.tsv")
    np.savez(tmp_path / "archive.npz", np.eye(1))
    for content in (b"no", b"", (tmp_path / "archive.npz").read_bytes()):
        (tmp_path / "k.npy").write_bytes(content)
        with pytest.raises(EgaraError, match="not a NumPy matrix"):
            read_vectors(tmp_path / "k.npy", tmp_path / "i.tsv")


def test_maps_must_hold_the_same_loras(tmp_path):
    table = pd.DataFrame(
        {"author": ["a", "a"], "work": ["1", "2"], "set": ["00", "00"], "c01": [0.0, 1], "c02": [2.0, 3]}
    )
    table.to_csv(tmp_path / "m.tsv", sep="\t", index=False)
    index = read_tsv(tmp_path / "m.tsv", ["c01"], text=["author", "work", "set"])
    points, labels = read_maps([f"pca={tmp_path}/m.tsv"], index)["pca"]
    np.testing.assert_array_equal(points, [[0, 2], [1, 3]])
    assert labels["work"].tolist() == ["1", "2"]
    with pytest.raises(EgaraError, match="not those of the index"):
        read_maps([f"pca={tmp_path}/m.tsv"], index[::-1].reset_index(drop=True))
    with pytest.raises(EgaraError, match="NAME=FILE"):
        read_maps(["m.tsv"])


def test_sketches_are_the_rows_of_the_matrix(tmp_path):
    write_study(tmp_path / "loras")
    gram, _ = call(tmp_path / "loras", "sketch", tmp_path, matrix=tmp_path / "sketch.npy")
    matrix = np.load(tmp_path / "sketch.npy", mmap_mode="r")
    assert matrix.shape == (6, 2 * 256)
    expected = matrix.astype(float) @ matrix.astype(float).T
    np.testing.assert_allclose(gram, expected, rtol=0, atol=1e-6 * np.diag(expected).max())
    with pytest.raises(SystemExit):
        call(tmp_path / "loras", "delta", tmp_path, matrix=tmp_path / "delta.npy")


def test_a_large_common_part_costs_no_digits():
    generator = np.random.default_rng(0)
    common = 30 * generator.normal(size=20_000)
    matrix = (generator.normal(size=(40, 20_000)) + common).astype(np.float32)
    exact = matrix.astype(float) @ matrix.astype(float).T
    found = gram_of_columns(matrix)
    assert np.abs(centre(found) - centre(exact)).max() <= 2e-6 * np.abs(centre(exact)).max()
    plain = (matrix @ matrix.T).astype(float)
    assert np.abs(centre(plain) - centre(exact)).max() > 1e-4 * np.abs(centre(exact)).max(), "what it guards against"


def test_signs_are_those_of_the_number_of_largest_size():
    """scikit-learn's svd_flip, on which projections rely, flips columns as published results have them."""
    from sklearn.utils.extmath import svd_flip

    columns = np.random.default_rng(0).normal(size=(9, 6))
    columns[:, 3] = 0
    rows = np.abs(columns).argmax(axis=0)
    signs = np.sign(columns[rows, np.arange(6)])
    np.testing.assert_array_equal(svd_flip(columns.copy(), None)[0], columns * signs)


@pytest.mark.parametrize("options", [[], ["--layers", "l.npz", "--folder", "l"], ["--folder", "l", "--works", "a"]])
def test_a_gram_matrix_comes_from_loras_or_from_layers(tmp_path, options, capsys):
    files = ["--gram", str(tmp_path / "k.npy"), "--index", str(tmp_path / "k.tsv")]
    with pytest.raises(SystemExit):
        main([*options, "--representation", "delta", *files])
    assert "--folder" in capsys.readouterr().err.splitlines()[-1] and not list(tmp_path.iterdir())


def test_what_does_not_follow_from_delta_is_refused(tmp_path):
    from egara.weights.layer_grams import LayerGrams, write_layer_grams

    write_layer_grams(tmp_path / "l.npz", LayerGrams(np.ones((1, 2, 2)), ["x"], *(["a"] * 2,) * 4))
    with pytest.raises(EgaraError, match="output: cannot be computed from the Gram matrices of delta"):
        main(["--layers", str(tmp_path / "l.npz"), "--representation", "output", "--gram", "k", "--index", "i"])
