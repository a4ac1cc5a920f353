"""Packing changes nothing but the time: every adapter of a pack equals the one that PEFT trains alone."""

from pathlib import Path

import numpy as np
import pytest
from plain_peft import distance, train_plainly

from egara.io.errors import EgaraError
from egara.loras.base.components import load_part
from egara.loras.training.batches import Adapter, draw_batch, loss_weights
from egara.loras.training.loop import Frozen, make_pack, train_pack
from egara.loras.training.settings import Training, rate_at

FACES = 6
CLOSE = 1e-4


def settings(**changes):
    adapter = {"rank": 4, "alpha": 2, "init": "independent", "resolution": 64, "seed": 3}
    loop = {"max_train_steps": 3, "train_batch_size": 2, "learning_rate": 1e-3, "max_grad_norm": 0.002}
    return Training.from_json(adapter | loop | changes)


@pytest.fixture(scope="module")
def parts(small_base):
    import torch

    torch.set_num_threads(1)
    return {part: load_part(small_base, part) for part in ("unet", "scheduler", "text_encoder")}


@pytest.fixture(scope="module")
def works():
    """Latents of two works and two captions."""
    draw = np.random.default_rng(0)

    def latents():
        mean = draw.normal(size=(FACES, 2, 4, 16, 16)).astype(np.float32)
        return {"mean": mean, "std": np.full_like(mean, 0.1)}

    captions = [(draw.normal(size=(24, 64)).astype(np.float32), draw.integers(300, size=24)) for _ in range(2)]
    return [latents() for _ in range(2)], captions


def adapter(works, name, training, work=0, faces=FACES):
    latents, captions = works
    return Adapter(name, training, latents[work], np.arange(faces), *captions[work])


def frozen_of(parts, text_encoder=False):
    models = {"unet": parts["unet"]} | ({"text_encoder": parts["text_encoder"]} if text_encoder else {})
    return Frozen(models, parts["scheduler"])


def train(parts, adapters, **options):
    frozen = frozen_of(parts, adapters[0].training.train_text_encoder)
    return train_pack(frozen, make_pack(frozen, adapters), **options)


MIXED = [
    {"rank": 4, "alpha": 2},
    {"rank": 1, "alpha": 1, "seed": 8},
    {"rank": 7, "alpha": 14, "max_grad_norm": 1e6},
    {"rank": 2, "alpha": 0.5, "init": "shared"},
    {"rank": 4, "alpha": 4, "learning_rate": 3e-4, "adam_weight_decay": 0.3},
    {"rank": 3, "alpha": 3, "lr_scheduler": "cosine", "lr_warmup_steps": 1, "adam_weight_decay": 0.0},
    {"rank": 4, "alpha": 2, "snr_gamma": 5.0, "lr_scheduler": "linear", "random_flip": False},
]


@pytest.mark.parametrize("count", [1, 2, 7, 30])
def test_every_adapter_of_a_mixed_pack_equals_peft_alone(parts, works, count):
    """Ranks, alphas, seeds, captions, works, set sizes, clipping, rates and weightings differ within the pack."""
    adapters = [
        adapter(works, f"w{number % 2}/{number:02d}", settings(**MIXED[number % 7]), number % 2, FACES - number % 3)
        for number in range(count)
    ]
    packed = train(parts, adapters)
    for index in sorted({0, 1, 2, 3, 4, 5, 6, 13, 29} & set(range(count))):
        theirs, _ = train_plainly(parts["unet"], parts["scheduler"], adapters[index])
        for part in ("lora_A", "lora_B"):
            assert distance(packed[index], theirs, part) <= CLOSE, (index, part)


def test_the_measure_sees_a_wrong_alpha_and_another_seed(parts, works):
    right = train(parts, [adapter(works, "w/00", settings())])[0]
    for change in ({"alpha": 4}, {"seed": 4}, {"max_grad_norm": 1e-4}, {"snr_gamma": 5.0}):
        other = train(parts, [adapter(works, "w/00", settings(**change))])[0]
        assert distance(right, other, "lora_B") > 20 * CLOSE, change


def test_a_longer_run_with_clipping_in_force_stays_equal(parts, works):
    adapters = [adapter(works, f"w/{n:02d}", settings(max_train_steps=12, learning_rate=1e-3), n) for n in range(2)]
    packed = train(parts, adapters)
    theirs, _ = train_plainly(parts["unet"], parts["scheduler"], adapters[1])
    assert distance(packed[1], theirs) <= CLOSE


def test_adapters_on_the_text_encoder_equal_peft_alone(parts, works):
    adapters = [adapter(works, f"w/{n:02d}", settings(train_text_encoder=True, rank=2 + n), n) for n in range(2)]
    packed = train(parts, adapters)
    for ours, one in zip(packed, adapters, strict=True):
        theirs, _ = train_plainly(parts["unet"], parts["scheduler"], one, parts["text_encoder"])
        assert any(name.startswith("text_encoder.") for name in theirs)
        for part in ("unet", "text_encoder"):
            assert distance(ours, theirs, f"{part}.") <= CLOSE, part


def test_losses_are_those_of_the_plain_loop(parts, works):
    one = adapter(works, "w/00", settings(max_train_steps=3))
    frozen = frozen_of(parts)
    pack = make_pack(frozen, [adapter(works, "w/01", settings(max_train_steps=3)), one])
    train_pack(frozen, pack)
    _, theirs = train_plainly(parts["unet"], parts["scheduler"], one)
    np.testing.assert_allclose(pack.losses[1], theirs, rtol=1e-4)


def test_training_again_gives_the_same_bits(parts, works):
    adapters = [adapter(works, f"w/{n:02d}", settings(rank=2 + n)) for n in range(3)]
    first, again = train(parts, adapters), train(parts, adapters)
    for one, other in zip(first, again, strict=True):
        assert all(bool((one[name] == other[name]).all()) for name in one)


def test_training_leaves_the_base_as_it_was(parts, works):
    unet = parts["unet"]
    before = {name: weight.clone() for name, weight in unet.state_dict().items()}
    kinds = {name: type(one) for name, one in unet.attn_processors.items()}
    train(parts, [adapter(works, "w/00", settings())])
    after = unet.state_dict()
    assert set(before) == set(after)
    assert all(bool((before[name] == after[name]).all()) for name in before)
    assert kinds == {name: type(one) for name, one in unet.attn_processors.items()}


def test_what_a_pack_must_share_is_checked(parts, works):
    adapters = [adapter(works, "w/00", settings()), adapter(works, "w/01", settings(train_batch_size=3))]
    with pytest.raises(EgaraError, match=r"w/01: another train_batch_size than w/00"):
        make_pack(frozen_of(parts), adapters)


def test_a_diverging_adapter_stops_alone(parts, works):
    """One adapter's pictures hold a NaN: it stops at the step that sees it, the others do not change."""
    latents, captions = works
    broken = {"mean": latents[0]["mean"].copy(), "std": latents[0]["std"]}
    broken["mean"][0] = np.nan
    training = settings(max_train_steps=6, train_batch_size=1)
    bad = Adapter("w/00", training, broken, np.arange(FACES), *captions[0])
    good = adapter(works, "w/01", training)
    frozen = frozen_of(parts)
    pack = make_pack(frozen, [bad, good])
    tensors = train_pack(frozen, pack)
    rows = [int(draw_batch(bad, step, 1000).rows[0]) for step in range(6)]
    assert pack.stopped.tolist() == [rows.index(0), -1]
    assert np.isnan(pack.losses[0, rows.index(0)])
    assert not any(tensor.isnan().any() for tensor in tensors[0].values())
    theirs, _ = train_plainly(parts["unet"], parts["scheduler"], good)
    assert distance(tensors[1], theirs) <= CLOSE


def test_an_adapter_that_runs_away_is_stopped(works):
    base = Path(__file__).resolve().parents[2] / "resources" / "base"
    frozen = Frozen({"unet": load_part(base, "unet")}, load_part(base, "scheduler"))
    calm = settings(max_train_steps=30, train_batch_size=1, rank=2)
    fast = settings(max_train_steps=30, train_batch_size=1, rank=2, learning_rate=1.0)
    pack = make_pack(frozen, [adapter(works, "w/00", fast), adapter(works, "w/01", calm)])
    train_pack(frozen, pack)
    assert 19 <= pack.stopped[0] < 30
    assert pack.stopped[1] == -1


def test_shared_init_starts_all_sets_from_one_a(parts, works):
    def start(init):
        pack = make_pack(frozen_of(parts), [adapter(works, f"w/{n:02d}", settings(init=init)) for n in range(2)])
        return pack.values.numpy()

    np.testing.assert_array_equal(*start("shared"))
    assert np.abs(np.subtract(*start("independent"))).max() > 0.01


def test_a_larger_rank_starts_with_the_rows_of_a_smaller_one():
    from egara.loras.training.packed import init_lora_A

    small, large = (init_lora_A(rank, 32, (0, "w/00", "init", "x")) for rank in (4, 8))
    np.testing.assert_array_equal(large[:4], small)
    assert float(large.abs().max()) <= 1 / np.sqrt(32)


def test_every_epoch_shows_each_face_once(works):
    one = adapter(works, "w/00", settings(train_batch_size=4))
    rows = np.concatenate([draw_batch(one, step, 1000).rows for step in range(3)])
    assert sorted(rows[:FACES]) == sorted(rows[FACES:]) == list(range(FACES))


def test_rates_follow_their_schedule():
    rates = {
        kind: [rate_at(settings(max_train_steps=10, lr_warmup_steps=2, lr_scheduler=kind), step) for step in range(10)]
        for kind in ("constant", "linear", "cosine")
    }
    for kind, values in rates.items():
        assert values[:3] == [0.0005, 0.001, 0.001], kind
    assert rates["constant"][-1] == 0.001
    assert all(np.diff(rates["linear"][2:]) < 0)
    assert rates["cosine"][6] == pytest.approx(0.0005)
    assert rates["linear"][9] == pytest.approx(0.001 / 8)


def test_min_snr_weights_are_those_of_diffusers(parts):
    import torch
    from diffusers.training_utils import compute_snr

    timesteps = torch.arange(1000)
    weights = loss_weights(parts["scheduler"], timesteps, 5.0)
    snr = compute_snr(parts["scheduler"], timesteps)
    torch.testing.assert_close(weights, snr.clamp(max=5.0) / snr, rtol=1e-6, atol=0)
    assert weights[1] < 0.01 and weights[-1] == 1
    assert (loss_weights(parts["scheduler"], timesteps, None) == 1).all()


def test_targets_choose_layers(parts):
    from egara.loras.training.packed import find_targets

    models = {"unet": parts["unet"]}
    attention, linear = (find_targets(models, kind) for kind in ("attention", "linear"))
    assert set(attention) < set(linear)
    assert find_targets(models, ["attn1.to_q"]) == [name for name in attention if name.endswith("attn1.to_q")]
    with pytest.raises(EgaraError, match=r"target to_z: matches no linear layer of unet"):
        find_targets(models, ["to_q", "to_z"])
    both = find_targets({"unet": parts["unet"], "text_encoder": parts["text_encoder"]}, "attention")
    assert sum(name.startswith("text_encoder.") for name in both) == 8


@pytest.mark.parametrize(
    "change",
    [
        {"rank": 0},
        {"alpha": 0},
        {"max_train_steps": -1},
        {"speed": 3},
        {"lr_scheduler": "wavy"},
        {"lr_warmup_steps": 3},
        {"snr_gamma": 0},
        {"mixed_precision": "bfloat16"},
    ],  # fmt: skip
)
def test_settings_out_of_range_are_one_line(change):
    with pytest.raises(EgaraError, match=next(iter(change))):
        settings(**change)
