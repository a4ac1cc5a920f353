"""Packs are saved, resumed, halved and sized without changing a result."""

import signal
import subprocess
import sys

import numpy as np
import pytest
from plain_peft import distance

from egara.errors import EgaraError
from egara.loras.batches import Adapter
from egara.loras.checkpoints import checkpoint_path
from egara.loras.memory import choose_pack, is_out_of_memory, step_bytes
from egara.loras.packs import train_adapters
from egara.loras.settings import Training
from egara.loras.training import Frozen

STEPS = 4


def make_study(base, count, precision="float32"):
    """Return the frozen base and adapters by key; the same ones in any process."""
    import torch

    from egara.loras.parts import load_part

    torch.set_num_threads(1)  # another number of threads adds in another order
    draw = np.random.default_rng(0)
    mean = draw.normal(size=(5, 2, 4, 16, 16)).astype(np.float32)
    latents, caption = {"mean": mean, "deviation": np.full_like(mean, 0.1)}, draw.normal(size=(24, 64))
    frozen = Frozen({"unet": load_part(base, "unet")}, load_part(base, "scheduler"))
    adapters = {}
    for number in range(count):
        training = Training(3, 3, "independent", 64, STEPS, 2, 1e-3, 0, precision=precision)
        caption32 = caption.astype(np.float32)
        adapters[f"key{number}"] = Adapter(f"w/{number:02d}", training, latents, np.arange(5), caption32)
    return frozen, adapters


def collect(study, store, size, every=1e9, tick=lambda pack: None):
    frozen, adapters = study
    results = train_adapters(frozen, adapters, size, store, every, tick)
    return {key: {name: t.numpy() for name, t in tensors.items()} for key, _, tensors, _, _ in results}


def same_bits(one, other):
    return set(one) == set(other) and all(
        np.array_equal(one[key][name], other[key][name]) for key in one for name in one[key]
    )


@pytest.fixture(scope="module")
def study(small_base):
    return make_study(small_base, 3)


@pytest.fixture(scope="module")
def undisturbed(study, tmp_path_factory):
    return collect(study, tmp_path_factory.mktemp("store"), 3)


def test_pack_size_changes_nothing(study, undisturbed, tmp_path):
    for size in (1, 2, 7):
        found = collect(study, tmp_path, size)
        assert max(distance(found[key], undisturbed[key]) for key in found) <= 1e-4


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
from test_packs import collect, make_study

def tick(pack):
    if pack.step == 3:
        os.kill(os.getpid(), signal.SIGKILL)

collect(make_study(Path({base!r}), 3), Path({store!r}), 3, every=0, tick=tick)
"""


def test_killed_training_goes_on_bit_for_bit(study, undisturbed, small_base, tmp_path):
    from pathlib import Path

    script = KILLED.format(tests=str(Path(__file__).parent), base=str(small_base), store=str(tmp_path))
    assert subprocess.run([sys.executable, "-c", script]).returncode == -signal.SIGKILL
    place = checkpoint_path(tmp_path, list(study[1]))
    assert place.is_file()
    steps = []
    resumed = collect(study, tmp_path, 3, tick=lambda pack: steps.append(pack.step))
    assert steps == [STEPS], "three of four steps were done before"
    assert same_bits(resumed, undisturbed)
    assert not place.exists()


def test_a_checkpoint_of_other_adapters_is_left_alone(study, tmp_path):
    class Killed(Exception):
        pass

    def tick(pack):
        raise Killed

    frozen, adapters = study
    with pytest.raises(Killed):
        collect((frozen, adapters), tmp_path, 3, every=0, tick=tick)
    one = {"key0": adapters["key0"]}
    steps = []
    collect((frozen, one), tmp_path, 3, tick=lambda pack: steps.append(pack.step))
    assert steps == [1, 2, 3, 4]
    assert checkpoint_path(tmp_path, list(adapters)).is_file()


def test_a_checkpoint_cut_short_is_one_line(study, tmp_path):
    place = checkpoint_path(tmp_path, list(study[1]))
    place.parent.mkdir()
    place.write_bytes(b"\x10\0\0\0\0\0\0\0{")
    with pytest.raises(EgaraError, match=r"not a whole checkpoint .* delete it"):
        collect(study, tmp_path, 3)


def test_running_out_of_memory_halves_packs_and_loses_nothing(study, undisturbed, tmp_path, caplog):
    import torch

    frozen, adapters = study
    seen = []

    def limit(_, inputs):
        seen.append(len(inputs[0]))
        if len(seen) > 2 and len(inputs[0]) > 2:  # two pictures an adapter: room for one adapter from the third step on
            raise torch.OutOfMemoryError("CUDA out of memory")

    hook = frozen.models["unet"].conv_in.register_forward_pre_hook(limit)
    try:
        with caplog.at_level("INFO"):
            found = collect(study, tmp_path, 3)
    finally:
        hook.remove()
    assert set(found) == set(adapters)
    assert max(distance(found[key], undisturbed[key]) for key in found) <= 1e-4
    assert "out of memory with 3 LoRAs at once; going on with 1" in caplog.text
    assert seen.count(6) == 3, "the two steps done before count, the third is tried once"
    assert not list((tmp_path / "unfinished").glob("*"))


def test_no_room_for_one_lora_is_one_line(study, tmp_path):
    import torch

    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    hook = study[0].models["unet"].conv_in.register_forward_pre_hook(fail)
    try:
        with pytest.raises(EgaraError, match=r"w/00: not enough memory to train one LoRA"):
            collect(study, tmp_path, 3)
    finally:
        hook.remove()


def test_other_errors_pass(study, tmp_path):
    def fail(*_):
        raise RuntimeError("shapes do not fit")

    hook = study[0].models["unet"].conv_in.register_forward_pre_hook(fail)
    try:
        with pytest.raises(RuntimeError, match="shapes"):
            collect(study, tmp_path, 3)
    finally:
        hook.remove()
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_pack_size_follows_free_memory(study):
    frozen, adapters = study
    need = step_bytes(frozen, adapters["key0"])
    assert need > 4 * 3 * sum(m.in_features + m.out_features for m in _linear(frozen)) * 4
    sizes = [choose_pack(frozen, [*adapters.values()], free) for free in (0, 2 * need, 3 * need, 100 * need)]
    assert sizes == [1, 1, 2, 3]
    assert not any("lora" in name for name, _ in frozen.models["unet"].named_parameters())


def _linear(frozen):
    from egara.loras.packed import find_targets

    return [frozen.models["unet"].get_submodule(n.removeprefix("unet.")) for n in find_targets(frozen.models, "linear")]


def test_half_precision_stays_near_full(study, undisturbed, small_base, tmp_path):
    from egara.loras.devices import place_frozen

    frozen, adapters = make_study(small_base, 2, "bfloat16")
    place_frozen(frozen.models["unet"], "cpu", "bfloat16")
    found = collect((frozen, adapters), tmp_path, 2)
    assert all(array.dtype == np.float32 for array in found["key0"].values())
    for key, tensors in found.items():
        up, full = (
            np.concatenate([t[name].ravel() for name in sorted(t) if "lora_B" in name])
            for t in (tensors, undisturbed[key])
        )
        assert up @ full / np.linalg.norm(up) / np.linalg.norm(full) > 0.9


def test_recomputing_activations_changes_nothing(study, undisturbed, small_base, tmp_path):
    frozen, adapters = make_study(small_base, 3)
    plain = step_bytes(frozen, adapters["key0"])
    frozen.models["unet"].enable_gradient_checkpointing()
    assert step_bytes(frozen, adapters["key0"]) < 0.6 * plain
    found = collect((frozen, adapters), tmp_path, 3)
    assert max(distance(found[key], undisturbed[key]) for key in found) <= 1e-4


def test_float16_is_refused_on_a_cpu(study):
    from egara.loras.devices import place_frozen

    with pytest.raises(EgaraError, match="float16: not for a CPU"):
        place_frozen(study[0].models["unet"], "cpu", "float16")
