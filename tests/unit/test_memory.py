"""Packs are sized by the free memory and halved where it runs out, without changing a result."""

import pytest
from packs import STEPS, collect, make_study
from plain_peft import distance

from egara.io.errors import EgaraError
from egara.loras.base.devices import is_out_of_memory
from egara.loras.training.memory import choose_pack, step_bytes


@pytest.fixture(scope="module")
def study(small_base):
    return make_study(small_base, 3)


@pytest.fixture(scope="module")
def undisturbed(study, tmp_path_factory):
    return collect(study, tmp_path_factory.mktemp("store"), 3)


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
