"""Half precision stays near full precision; float16 has one loss scale per LoRA."""

import contextlib

import numpy as np
import pytest
from packs import STEPS, collect, make_study

from egara.io.errors import EgaraError


@pytest.fixture(scope="module")
def study(small_base):
    return make_study(small_base, 3)


@pytest.fixture(scope="module")
def undisturbed(study, tmp_path_factory):
    return collect(study, tmp_path_factory.mktemp("store"), 3)


def test_half_precision_stays_near_full(study, undisturbed, small_base, tmp_path):
    from egara.loras.base.devices import move_to_device

    frozen, adapters = make_study(small_base, 2, "bf16")
    move_to_device(frozen.models["unet"], "cpu", "bf16")
    found = collect((frozen, adapters), tmp_path, 2)
    assert all(array.dtype == np.float32 for array in found["key0"].values())
    for key, tensors in found.items():
        up, full = (
            np.concatenate([t[name].ravel() for name in sorted(t) if "lora_B" in name])
            for t in (tensors, undisturbed[key])
        )
        assert up @ full / np.linalg.norm(up) / np.linalg.norm(full) > 0.9


def half_pack(small_base, scale, steps=STEPS):
    """Train two LoRAs in float16 arithmetic; the second one's loss scale starts at `scale`."""
    from egara.loras.training.loop import make_pack, train_pack

    frozen, adapters = make_study(small_base, 2, "fp16")
    pack = make_pack(frozen, list(adapters.values()))
    pack.loss_scale[1] = scale
    seen = []

    def note(pack):
        seen.append((pack.loss_scale.tolist(), pack.optimizer_steps.tolist(), pack.values.clone()))
        if pack.step == steps:
            raise StopIteration

    with contextlib.suppress(StopIteration):
        train_pack(frozen, pack, note)
    return frozen, pack, seen


def test_float16_keeps_near_full_precision(small_base, undisturbed):
    _, pack, _ = half_pack(small_base, 2.0**12)
    assert (pack.stopped == -1).all() and (pack.optimizer_steps == STEPS).all()
    from egara.loras.training.loop import _packed

    packed = _packed(make_study(small_base, 2)[0], pack.adapters, pack.width)
    packed.values = pack.values
    for index in range(2):
        tensors = packed.tensors(index)
        names = sorted(name for name in tensors if "lora_B" in name)
        up, full = (
            np.concatenate([np.ravel(t[name]) for name in names]) for t in (tensors, undisturbed[f"key{index}"])
        )
        assert up @ full / np.linalg.norm(up) / np.linalg.norm(full) > 0.9


def test_an_overflow_in_float16_concerns_one_lora_alone(small_base, monkeypatch):
    import torch

    _, calm, plain = half_pack(small_base, 2.0**12)
    _, pack, seen = half_pack(small_base, 2.0**40)
    assert [scales[0] for scales, _, _ in seen] == [2.0**12] * STEPS
    assert seen[0][0][1] == 2.0**39 and seen[0][1] == [1, 0], "half the scale, and no step"
    assert torch.equal(seen[0][2][1], make_first(small_base)[1]), "its values stay"
    assert all(torch.equal(one[2][0], other[2][0]) for one, other in zip(seen, plain, strict=True))
    assert (pack.stopped == -1).all(), "an overflow is no divergence"
    monkeypatch.setattr("egara.loras.training.loop.GROWTH_INTERVAL", 2)
    _, pack, seen = half_pack(small_base, 2.0**12)
    assert [scales[1] for scales, _, _ in seen] == [2.0**12, 2.0**13, 2.0**13, 2.0**14]


def make_first(small_base):
    from egara.loras.training.loop import make_pack

    frozen, adapters = make_study(small_base, 2, "fp16")
    return make_pack(frozen, list(adapters.values())).values


def test_skipped_steps_survive_a_checkpoint(small_base, tmp_path, monkeypatch):
    import torch

    from egara.loras.training.checkpoints import load_checkpoint, save_checkpoint
    from egara.loras.training.loop import train_pack

    # Its scale falls below the overflow within the run: some steps are skipped, others are not.
    for start in (2.0**26, 2.0**24, 2.0**22, 2.0**20, 2.0**18):
        frozen, whole, _ = half_pack(small_base, start)
        if 0 < whole.optimizer_steps[1] < STEPS:
            break
    assert 0 < whole.optimizer_steps[1] < STEPS
    frozen, pack, _ = half_pack(small_base, start, steps=STEPS - 1)
    save_checkpoint(tmp_path / "x.safetensors", pack, ["a", "b"])
    keys, again = load_checkpoint(tmp_path / "x.safetensors", frozen, dict(zip("ab", pack.adapters, strict=True)))
    assert keys == ["a", "b"]
    assert again.optimizer_steps.tolist() == pack.optimizer_steps.tolist()
    train_pack(frozen, again)
    assert torch.equal(again.values, whole.values)


def test_float16_is_refused_on_a_cpu(study):
    from egara.loras.base.devices import move_to_device

    with pytest.raises(EgaraError, match="fp16, which is not for a CPU"):
        move_to_device(study[0].models["unet"], "cpu", "fp16")
