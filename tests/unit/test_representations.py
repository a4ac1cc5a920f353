"""Each representation against explicit updates, what it does not see, and what it does."""

import numpy as np
import pytest

from egara.loras.files import Factors
from egara.weights import products
from egara.weights.representations import REPRESENTATIONS, even, find, names
from egara.weights.sides import column_space
from egara.weights.sizes import singular_values
from egara.weights.sketch import sketches
from egara.weights.words import WORDS, in_words

NAME = "unet.mid_block.attn1.to_q"
ANY_RANK = [name for name, one in REPRESENTATIONS.items() if not one.one_rank]


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
    np.testing.assert_allclose(find(name).gram(loras, NAME), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_only_the_raw_factors_see_how_an_update_is_split(name):
    loras, draw = layer([3] * 5), np.random.default_rng(1)
    split = []
    for lora in loras:
        mixer = np.linalg.qr(draw.normal(size=(3, 3)))[0] @ np.diag([0.3, 1.0, 2.5])
        split.append(Factors(np.linalg.inv(mixer) @ lora.lora_A, lora.lora_B @ mixer, lora.scaling))
    one, other = (find(name).gram(loras, NAME), find(name).gram(split, NAME))
    near = np.abs(one - other).max() / np.abs(one).max()
    if name in ("factors", "down", "up"):
        assert REPRESENTATIONS[name].one_rank and near > 0.1
    else:
        assert near < 1e-4 and "split" in REPRESENTATIONS[name].same_for


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
    one, other = find(name).gram(loras, NAME), find(name).gram(moved, NAME)
    assert (np.abs(one - other).max() / np.abs(one).max() < 1e-4) == stays


def test_the_column_space_sees_no_sizes_and_no_missing_directions():
    loras = layer([3, 3])
    grown = [Factors(lora.lora_A * np.array([[9.0], [1], [0.1]]), lora.lora_B, -5 * lora.scaling) for lora in loras]
    np.testing.assert_allclose(find("subspace").gram(grown, NAME), find("subspace").gram(loras, NAME), atol=1e-4)
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
    gram = find("delta-layerwise").gram(loras, NAME)
    np.testing.assert_allclose(np.diag(gram), [1, 1, 1, 0], atol=1e-12)
    np.testing.assert_allclose(gram, even(find("delta").gram(loras, NAME)))
    assert set(names()) == {n + e for n in REPRESENTATIONS for e in ("", "-layerwise")}
    assert set(WORDS) == set(REPRESENTATIONS)
    assert in_words("delta-layerwise") == "update ΔW = BA, layer by layer"


def test_a_sketch_is_short_unbiased_and_as_exact_as_said():
    loras = layer([1, 1, 5], inputs=60, outputs=50)
    assert sketches(loras, NAME).shape == (3, 256)
    assert not np.allclose(sketches(loras, NAME), sketches(loras, NAME + "x")), "another layer, other projections"
    np.testing.assert_array_equal(sketches(loras, NAME)[:1], sketches(loras[:1], NAME))
    exact, side = find("delta").gram(loras, NAME), 8
    drawn = [sketches(loras, f"layer {number}", side).astype(float) for number in range(600)]
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
    exact = sum(find("delta").gram(loras, NAME) for loras in layers)
    found = sum(find("sketch").gram(loras, f"layer {place}") for place, loras in enumerate(layers))
    one, other = even(exact), even(found)
    assert np.abs(one - other).max() < 0.15
