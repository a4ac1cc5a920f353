"""Each representation compared with explicit updates, and what it is invariant to."""

import numpy as np
import pytest

from egara.io.errors import EgaraError
from egara.loras.files import Factors
from egara.weights import products
from egara.weights.products import column_space, singular_values
from egara.weights.representations import (
    LAYERWISE,
    REPRESENTATIONS,
    Layer,
    find,
    label_of,
    names,
    normalise_layer,
    representation,
    sketches,
    vector_length,
)  # fmt: skip

NAME = "unet.mid_block.attn1.to_q"


def layer(ranks, inputs=9, outputs=7, seed=0):
    draw = np.random.default_rng(seed)
    return [
        Factors(
            draw.normal(size=(rank, inputs)).astype(np.float32),
            draw.normal(size=(outputs, rank)).astype(np.float32),
            0.5 + number,
        )
        for number, rank in enumerate(ranks)
    ]


def gram_of(name, loras, module=NAME):
    return find(name).gram(Layer(module, loras))


def updates(loras):
    return [lora.scaling * lora.lora_B.astype(float) @ lora.lora_A.astype(float) for lora in loras]


def projector(update):
    left, values, _ = np.linalg.svd(update)
    left = left[:, : np.linalg.matrix_rank(update)]
    return left @ left.T


EXPLICIT = {
    "delta": lambda w: w,
    "output": lambda w: w @ w.T,
    "input": lambda w: w.T @ w,
    "subspace": projector,
    "spectrum": lambda w: np.linalg.svd(w, compute_uv=False),
    "norms": lambda w: np.array([np.linalg.norm(w)]),
}


@pytest.mark.parametrize("block", [1, 300, 10**8])
@pytest.mark.parametrize("name", EXPLICIT)
def test_gram_matrices_equal_those_of_explicit_updates(name, block, monkeypatch):
    monkeypatch.setattr(products, "BLOCK", block)
    loras = layer([3, 1, 4, 2, 2])
    rows = np.stack([EXPLICIT[name](update).ravel() for update in updates(loras)])
    expected = rows @ rows.T
    np.testing.assert_allclose(gram_of(name, loras), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_only_the_raw_factors_see_how_an_update_is_split(name):
    loras, draw = layer([3] * 5), np.random.default_rng(1)
    split = []
    for lora in loras:
        mixer = np.linalg.qr(draw.normal(size=(3, 3)))[0] @ np.diag([0.3, 1.0, 2.5])
        split.append(Factors(np.linalg.inv(mixer) @ lora.lora_A, lora.lora_B @ mixer, lora.scaling))
    one, other = (gram_of(name, loras), gram_of(name, split))
    near = np.abs(one - other).max() / np.abs(one).max()
    if name in ("factors", "down", "up"):
        assert not REPRESENTATIONS[name].any_rank and near > 0.1
    else:
        assert near < 1e-4 and "factorisation" in REPRESENTATIONS[name].invariant_to


@pytest.mark.parametrize(
    ("name", "turned", "stays"),
    [
        ("delta", "inputs", False),
        ("output", "inputs", True),
        ("output", "outputs", False),
        ("input", "outputs", True),
        ("input", "inputs", False),
        ("subspace", "inputs", True),
        ("spectrum", "inputs", True),
        ("spectrum", "outputs", True),
    ],
)
def test_rotations_of_a_side_are_seen_where_said(name, turned, stays):
    """Each LoRA is turned by its own rotation; a common one would change nothing for anybody."""
    loras, draw = layer([2, 3, 2, 3]), np.random.default_rng(2)
    moved = []
    for lora in loras:
        inputs, outputs = (np.linalg.qr(draw.normal(size=(size, size)))[0] for size in (9, 7))
        moved.append(
            Factors(lora.lora_A @ inputs, lora.lora_B, lora.scaling)
            if turned == "inputs"
            else Factors(lora.lora_A, outputs @ lora.lora_B, lora.scaling)
        )
    one, other = gram_of(name, loras), gram_of(name, moved)
    assert (np.abs(one - other).max() / np.abs(one).max() < 1e-4) == stays


def test_the_column_space_sees_no_sizes_and_no_missing_directions():
    loras = layer([3, 3])
    grown = [Factors(lora.lora_A * np.array([[9.0], [1], [0.1]]), lora.lora_B, -5 * lora.scaling) for lora in loras]
    np.testing.assert_allclose(gram_of("subspace", grown), gram_of("subspace", loras), atol=1e-4)
    flat = Factors(np.stack([loras[0].lora_A[0]] * 3), loras[0].lora_B, 1.0)  # three rows alike: rank one
    basis = column_space(flat)
    assert np.linalg.matrix_rank(basis) == 1 and np.sum(basis**2) == pytest.approx(1)
    untrained = Factors(loras[0].lora_A, np.zeros_like(loras[0].lora_B), 1.0)
    assert not column_space(untrained).any()


def test_smaller_ranks_end_in_zero_singular_values():
    values = singular_values(layer([2, 4, 1]))
    assert values.shape == (3, 4) and (np.diff(values, axis=1) <= 0).all()
    assert not values[0, 2:].any() and not values[2, 1:].any() and (values[1] > 0).all()


def test_layerwise_gives_every_layer_length_one():
    loras = [*layer([2, 3, 2]), Factors(np.ones((2, 9), np.float32), np.zeros((7, 2), np.float32), 1.0)]
    gram = gram_of("delta-layerwise", loras)
    np.testing.assert_allclose(np.diag(gram), [1, 1, 1, 0], atol=1e-12)
    np.testing.assert_allclose(gram, normalise_layer(gram_of("delta", loras)))


def test_a_sketch_is_short_unbiased_and_as_exact_as_said():
    loras = layer([1, 1, 5], inputs=60, outputs=50)
    one, other = sketches(Layer(NAME, loras)), sketches(Layer(NAME + "x", loras))
    assert one.shape == (3, 256) == (3, vector_length("sketch", 1, 60, 50))
    assert not np.allclose(one, other), "another layer, other random matrices"
    np.testing.assert_array_equal(one[:1], sketches(Layer(NAME, loras[:1])))
    exact, side = gram_of("delta", loras), 8
    drawn = [sketches(Layer(f"layer {number}", loras), side).astype(float) for number in range(600)]
    found = np.stack([rows @ rows.T for rows in drawn])
    lengths = np.sqrt(np.diag(exact))
    errors = (found - exact) / np.outer(lengths, lengths)
    bound = 4 / side + 4 / side**2
    assert (np.abs(errors.mean(axis=0)) < 4 * np.sqrt(bound / len(drawn))).all()
    assert errors.var(axis=0).max() < 1.3 * bound
    assert errors.var(axis=0)[0, 0] > 0.6 * bound, "an update of rank one reaches it"


def test_a_sketch_tells_what_the_update_tells():
    """Cosines of many layers' sketches lie near those of the updates."""
    layers = [layer([2, 3, 2, 4], inputs=30, outputs=20, seed=seed) for seed in range(60)]
    exact = sum(gram_of("delta", loras) for loras in layers)
    found = sum(gram_of("sketch", loras, f"layer {place}") for place, loras in enumerate(layers))
    one, other = normalise_layer(exact), normalise_layer(found)
    assert np.abs(one - other).max() < 0.15


def test_tables_order_and_label_what_is_registered():
    from egara.tables.pivot import ORDER

    assert names() == [name + ending for ending in ("", LAYERWISE) for name in REPRESENTATIONS]
    assert ORDER["representation"] == list(REPRESENTATIONS)
    assert list(REPRESENTATIONS)[:4] == ["factors", "delta", "down", "up"], "the published ones first"
    assert label_of("delta-layerwise") == "update ΔW = BA, layer by layer"
    assert label_of("of another version") == "of another version"
    with pytest.raises(EgaraError, match="representation dleta: unknown; expected one of factors, delta"):
        find("dleta")
    with pytest.raises(ValueError, match="delta: registered twice"):
        representation("delta", label="", formula="", any_rank=True, invariant_to="")(lambda layer: None)


@pytest.mark.parametrize("name", [name for name, one in REPRESENTATIONS.items() if one.vectors])
def test_vectors_have_the_inner_products_of_the_gram_matrix(name):
    loras = layer([3] * 4)
    rows = REPRESENTATIONS[name].vectors(Layer(NAME, loras)).astype(float)
    assert rows.shape == (4, vector_length(name, 3, 9, 7))
    np.testing.assert_allclose(gram_of(name, loras), rows @ rows.T, rtol=1e-5)


@pytest.mark.parametrize("name", [name for name in names() if find(name).from_delta])
def test_what_follows_from_delta_is_what_the_layer_gives(name):
    loras = layer([3, 1, 4, 2])
    np.testing.assert_allclose(find(name).from_delta(gram_of("delta", loras)), gram_of(name, loras), rtol=1e-4)
