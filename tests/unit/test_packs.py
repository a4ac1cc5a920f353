"""Packs are saved, resumed, halved and sized without changing a result."""

import contextlib
import signal
import subprocess
import sys

import numpy as np
import pytest
from plain_peft import distance

from egara.io.errors import EgaraError
from egara.loras.base.devices import is_out_of_memory
from egara.loras.training.batches import Adapter
from egara.loras.training.checkpoints import checkpoint_path
from egara.loras.training.loop import Frozen
from egara.loras.training.memory import choose_pack, step_bytes
from egara.loras.training.packs import train_adapters
from egara.loras.training.settings import Training

STEPS = 4


def make_study(base, count, mixed_precision="no", ranks=(3,)):
    """Return the frozen base and adapters by key; the same ones in any process."""
    import torch

    from egara.loras.base.components import load_part

    torch.set_num_threads(1)  # another number of threads adds in another order
    draw = np.random.default_rng(0)
    mean = draw.normal(size=(5, 2, 4, 16, 16)).astype(np.float32)
    latents, caption = {"mean": mean, "std": np.full_like(mean, 0.1)}, draw.normal(size=(24, 64))
    frozen = Frozen({"unet": load_part(base, "unet")}, load_part(base, "scheduler"))
    adapters = {}
    for number in range(count):
        rank = ranks[number % len(ranks)]
        training = Training(
            rank=rank, alpha=3, init="independent", resolution=64, max_train_steps=STEPS, train_batch_size=2,
            learning_rate=1e-3, seed=0, mixed_precision=mixed_precision,
        )  # fmt: skip
        caption32 = caption.astype(np.float32)
        adapters[f"key{number}"] = Adapter(f"w/{number:02d}", training, latents, np.arange(5), caption32)
    return frozen, adapters


def collect(study, store, size, every=1e9, on_step=lambda pack: None):
    frozen, adapters = study
    results = train_adapters(frozen, adapters, size, store, every, on_step)
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
sys.path[:0] = {tests!r}
import torch
torch.set_num_threads(1)
from test_packs import collect, make_study

def on_step(pack):
    if pack.step == 3:
        os.kill(os.getpid(), signal.SIGKILL)

collect(make_study(Path({base!r}), 3), Path({store!r}), 3, every=0, on_step=on_step)
"""


def test_killed_training_goes_on_bit_for_bit(study, undisturbed, small_base, tmp_path):
    from pathlib import Path

    script = KILLED.format(
        tests=[str(Path(__file__).parent), str(Path(__file__).parents[1] / "helpers")],
        base=str(small_base),
        store=str(tmp_path),
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == -signal.SIGKILL
    place = checkpoint_path(tmp_path, list(study[1]))
    assert place.is_file()
    steps = []
    resumed = collect(study, tmp_path, 3, on_step=lambda pack: steps.append(pack.step))
    assert steps == [STEPS], "three of four steps were done before"
    assert same_bits(resumed, undisturbed)
    assert not place.exists()


def test_a_checkpoint_serves_what_is_left_of_its_pack(study, undisturbed, tmp_path):
    from egara.loras.store import stored
    from egara.loras.store.pruning import prune_checkpoints

    frozen, adapters = study
    _kill_at(study, tmp_path, 1)
    steps = []
    left = {"key2": adapters["key2"], "other": adapters["key0"]}  # key0 and key1 are finished by now
    found = collect((frozen, left), tmp_path, 3, on_step=lambda pack: steps.append((len(pack.adapters), pack.step)))
    assert steps == [(1, 2), (1, 3), (1, 4), (1, 1), (1, 2), (1, 3), (1, 4)]
    assert distance(found["key2"], undisturbed["key2"]) <= 1e-4
    place = checkpoint_path(tmp_path, list(adapters))
    for key in adapters:
        assert prune_checkpoints(tmp_path) == (0, 0) and place.is_file(), f"{key} is not in the store yet"
        stored(tmp_path, key).parent.mkdir(exist_ok=True)
        stored(tmp_path, key).touch()
    assert prune_checkpoints(tmp_path)[0] == 1 and not place.exists()


def _kill_at(study, store, step):
    """Train until `step`, with checkpoints, and leave them."""

    class Killed(Exception):
        pass

    def on_step(pack):
        if pack.step == step:
            raise Killed

    with pytest.raises(Killed):
        collect(study, store, 3, every=0, on_step=on_step)


@pytest.mark.parametrize("harm", ["cut", "flipped"])
def test_a_corrupt_checkpoint_is_one_line_and_its_loras_start_again(study, undisturbed, tmp_path, caplog, harm):
    _kill_at(study, tmp_path, 3)
    place = checkpoint_path(tmp_path, list(study[1]))
    data = bytearray(place.read_bytes())
    data[-len(data) // 2] ^= 1
    place.write_bytes(data if harm == "flipped" else data[:100])
    steps = []
    with caplog.at_level("WARNING", "egara.loras"):
        found = collect(study, tmp_path, 3, on_step=lambda pack: steps.append(pack.step))
    assert [line for line in caplog.messages if "its LoRAs start again" in line]
    assert steps[0] == 1
    assert same_bits(found, undisturbed)


def test_a_checkpoint_of_another_version_is_one_line_and_its_loras_start_again(study, undisturbed, tmp_path, caplog):
    from egara.io.tensors import open_tensors, write_tensors

    _kill_at(study, tmp_path, 3)
    place = checkpoint_path(tmp_path, list(study[1]))
    with open_tensors(place) as file:
        arrays, note = file.tensors(), file.json()
    write_tensors(place, {"first" if name == "exp_avg" else name: array for name, array in arrays.items()}, note)
    steps = []
    with caplog.at_level("WARNING", "egara.loras"):
        found = collect(study, tmp_path, 3, on_step=lambda pack: steps.append(pack.step))
    assert "not a checkpoint of this version of Egara; its LoRAs start again" in caplog.text
    assert steps[0] == 1
    assert same_bits(found, undisturbed)


def test_what_other_jobs_leave_stops_no_job(study, undisturbed, tmp_path):
    from egara.loras.store.pruning import prune_checkpoints

    folder = checkpoint_path(tmp_path, []).parent
    folder.mkdir()
    (folder / ".being-written.safetensors").write_bytes(b"half")
    (folder / f"{'0' * 64}.safetensors").write_bytes(b"corrupt")
    assert same_bits(collect(study, tmp_path, 3), undisturbed)
    assert len(list(folder.iterdir())) == 2, "what belongs to others stays"
    assert prune_checkpoints(tmp_path)[0] == 2 and not list(folder.iterdir())


def test_the_furthest_checkpoint_of_an_adapter_serves(study, undisturbed, tmp_path):
    frozen, adapters = study
    for keys, step in ((["key0"], 1), (["key1"], 3), (list(adapters), 2)):
        apart = tmp_path / str(step)
        _kill_at((frozen, {key: adapters[key] for key in keys}), apart, step)
        place = checkpoint_path(tmp_path, keys)
        place.parent.mkdir(exist_ok=True)
        checkpoint_path(apart, keys).rename(place)
    steps = []
    found = collect(study, tmp_path, 3, on_step=lambda pack: steps.append((len(pack.adapters), pack.step)))
    assert steps == [(1, 4), (2, 3), (2, 4)]
    assert max(distance(found[key], undisturbed[key]) for key in adapters) <= 1e-4


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


@pytest.fixture(scope="module")
def mixed(small_base):
    return make_study(small_base, 3, ranks=(3, 1, 5))


@pytest.fixture(scope="module")
def mixed_undisturbed(mixed, tmp_path_factory):
    return collect(mixed, tmp_path_factory.mktemp("store"), 3)


def test_halves_of_a_pack_of_several_ranks_keep_its_rows(mixed, mixed_undisturbed, tmp_path):
    import torch

    seen = []

    def limit(_, inputs):
        seen.append(len(inputs[0]))
        if len(seen) > 2 and len(inputs[0]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    class Killed(Exception):
        pass

    def kill(pack):
        if len(pack.adapters) == 1 and pack.step == STEPS - 1:
            raise Killed

    hook = mixed[0].models["unet"].conv_in.register_forward_pre_hook(limit)
    try:
        with pytest.raises(Killed):
            collect(mixed, tmp_path, 3, every=0, on_step=kill)
    finally:
        hook.remove()
    assert len(list((tmp_path / "unfinished").glob("*"))) == 2, "the half that was killed, and the one that waits"
    steps = []
    found = collect(mixed, tmp_path, 3, on_step=lambda pack: steps.append(pack.step))
    assert sorted(steps) == [3, 4, 4], "one LoRA goes on from step 3, two from step 2"
    assert {key: tensors[min(tensors)].shape[0] for key, tensors in found.items()} == {"key0": 3, "key1": 1, "key2": 5}
    assert max(distance(found[key], mixed_undisturbed[key]) for key in found) <= 1e-4


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


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB)"), True),
        (MemoryError(), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED."), False),
        (ValueError("out of memory"), False),
    ],
)
def test_out_of_memory_is_told_from_other_errors(error, expected):
    import torch

    assert is_out_of_memory(error) == expected
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))


def test_pack_size_follows_free_memory(study):
    frozen, adapters = study
    need = step_bytes(frozen, adapters["key0"])
    assert need > 4 * 3 * sum(m.in_features + m.out_features for m in _linear(frozen)) * 4
    free = (0, 2 * need, 3 * need, 100 * need)
    sizes = [choose_pack(frozen, [*adapters.values()], bytes_, gradient_checkpointing=False) for bytes_ in free]
    assert sizes == [1, 1, 2, 3]
    assert not any("lora" in name for name, _ in frozen.models["unet"].named_parameters())


def _linear(frozen):
    from egara.loras.training.packed import find_targets

    return [frozen.models["unet"].get_submodule(n.removeprefix("unet.")) for n in find_targets(frozen.models, "linear")]


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


def test_a_traced_unet_gives_the_same(study, undisturbed):
    """torch.compile's tracing takes packed layers; its code generator, minutes a run, is left out."""
    import torch
    import torch._dynamo.testing

    from egara.loras.training.loop import make_pack, train_pack

    frozen, adapters = study
    torch._dynamo.reset()
    counter = torch._dynamo.testing.CompileCounter()
    tensors = train_pack(
        frozen, make_pack(frozen, list(adapters.values())), wrap_unet=lambda unet: torch.compile(unet, backend=counter)
    )
    assert counter.op_count > 100, "the U-Net went through the tracer"
    found = [{name: tensor.numpy() for name, tensor in part.items()} for part in tensors]
    assert max(distance(one, undisturbed[key]) for one, key in zip(found, adapters, strict=True)) <= 1e-4


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


def test_recomputing_activations_changes_nothing(study, undisturbed, small_base, tmp_path):
    frozen, adapters = make_study(small_base, 3)
    every, plain = [*adapters.values()], step_bytes(frozen, adapters["key0"])
    assert choose_pack(frozen, every, 2.6 * plain, gradient_checkpointing=False) == 2
    assert not frozen.models["unet"].is_gradient_checkpointing
    assert choose_pack(frozen, every, 100 * plain) == 3, "all fit: nothing need be computed twice"
    assert not frozen.models["unet"].is_gradient_checkpointing
    assert choose_pack(frozen, every, 2.6 * plain) == 3
    assert frozen.models["unet"].is_gradient_checkpointing
    assert step_bytes(frozen, adapters["key0"]) < 0.6 * plain
    found = collect((frozen, adapters), tmp_path, 3)
    assert max(distance(found[key], undisturbed[key]) for key in found) <= 1e-4


def test_float16_is_refused_on_a_cpu(study):
    from egara.loras.base.devices import move_to_device

    with pytest.raises(EgaraError, match="fp16, which is not for a CPU"):
        move_to_device(study[0].models["unet"], "cpu", "fp16")
