"""Packs are saved, resumed and traced without changing a result."""

import signal
import subprocess
import sys

import pytest
from packs import STEPS, collect, make_study, same_bits
from plain_peft import distance

from egara.loras.training.checkpoints import checkpoint_path


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
from packs import collect, make_study

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
