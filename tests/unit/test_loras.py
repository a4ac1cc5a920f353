"""LoRAs: packing changes nothing, files load elsewhere, the store keeps what is finished, bad input is one line."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from egara.errors import EgaraError
from egara.loras.training import Set, Training, draw_batch, train_pack

FACES = 6


def settings(**changes):
    chosen = {"rank": 4, "alpha": 2, "init": "independent", "resolution": 64, "steps": 2, "batch": 2}
    return Training.from_json(chosen | {"learning_rate": 1e-2, "seed": 3, "clip": 0.05} | changes)


@pytest.fixture(scope="module")
def parts(small_base):
    from egara.loras.parts import load_part

    return load_part(small_base, "unet"), load_part(small_base, "scheduler")


@pytest.fixture(scope="module")
def data():
    draw = np.random.default_rng(0)
    latents = {
        "mean": draw.normal(size=(FACES, 2, 4, 16, 16)).astype(np.float32),
        "deviation": np.full((FACES, 2, 4, 16, 16), 0.1, np.float32),
    }
    return latents, draw.normal(size=(24, 64)).astype(np.float32)


def train(parts, data, sets, **changes):
    unet, scheduler = parts
    return train_pack(unet, scheduler, *data, [Set(name, np.arange(FACES)) for name in sets], settings(**changes))


def with_peft(parts, data, name, training):
    """Train the same adapter with PEFT's own layers and a plain loop: what packing must equal."""
    import copy

    import torch
    from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model

    from egara.loras.packed import TARGETS, initial_down

    unet, scheduler = parts
    model = copy.deepcopy(unet).requires_grad_(False)
    config = LoraConfig(r=training.rank, lora_alpha=training.alpha, target_modules=list(TARGETS["linear"]))
    model = inject_adapter_in_model(config, model)
    for module_name, module in model.named_modules():
        if hasattr(module, "lora_A") and "default" in module.lora_A:
            down = module.lora_A["default"].weight
            down.data = initial_down(training.rank, down.shape[1], (training.seed, name, "init", module_name))
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, training.learning_rate, weight_decay=training.weight_decay)
    latents, caption = data
    for step in range(training.steps):
        batch = draw_batch(Set(name, np.arange(FACES)), step, (4, 16, 16), 1000, training)
        mean = latents["mean"][batch.rows, batch.mirrored]
        clean = torch.from_numpy(mean + latents["deviation"][batch.rows, batch.mirrored] * batch.posterior)
        noise, times = torch.from_numpy(batch.noise), torch.from_numpy(batch.times)
        context = torch.from_numpy(caption).expand(len(clean), -1, -1)
        guess = model(scheduler.add_noise(clean, noise, times), times, context).sample
        optimiser.zero_grad()
        ((guess - noise) ** 2).mean().backward()
        torch.nn.utils.clip_grad_norm_(weights, training.clip)
        optimiser.step()
    state = get_peft_model_state_dict(model)
    return {key.removeprefix("base_model.model."): value.detach().numpy() for key, value in state.items()}


def test_packed_adapters_equal_peft_alone(parts, data):
    names = ["w/00", "w/01", "w/02"]
    packed, _ = train(parts, data, names)
    for name, ours in zip(names, packed, strict=True):
        theirs = with_peft(parts, data, name, settings())
        assert set(ours) == set(theirs)
        for part in ("lora_A", "lora_B"):
            one, other = (np.concatenate([t[key].ravel() for key in sorted(t) if part in key]) for t in (ours, theirs))
            assert np.linalg.norm(other) > 0
            assert np.linalg.norm(one - other) <= 1e-4 * np.linalg.norm(other), part


def test_packing_and_order_change_nothing(parts, data):
    together, _ = train(parts, data, ["w/00", "w/01"])
    alone, _ = train(parts, data, ["w/01"])
    one, other = (np.concatenate([t[key].ravel() for key in sorted(t)]) for t in (together[1], alone[0]))
    assert np.linalg.norm(one - other) <= 1e-4 * np.linalg.norm(other)


def test_training_leaves_the_base_as_it_was(parts, data):
    before = {name: weight.clone() for name, weight in parts[0].state_dict().items()}
    train(parts, data, ["w/00"])
    after = parts[0].state_dict()
    assert set(before) == set(after)
    assert all(bool((before[name] == after[name]).all()) for name in before)


def test_shared_init_starts_all_sets_from_one_a(parts, data):
    shared, _ = train(parts, data, ["w/00", "w/01"], init="shared", learning_rate=1e-9)
    independent, _ = train(parts, data, ["w/00", "w/01"], learning_rate=1e-9)
    key = next(key for key in shared[0] if "lora_A" in key)
    np.testing.assert_allclose(shared[0][key], shared[1][key], atol=1e-6)
    assert np.abs(independent[0][key] - independent[1][key]).max() > 0.01


def test_a_larger_rank_starts_with_the_rows_of_a_smaller_one():
    from egara.loras.packed import initial_down

    small, large = (initial_down(rank, 32, (0, "w/00", "init", "x")) for rank in (4, 8))
    np.testing.assert_array_equal(large[:4], small)
    assert float(large.abs().max()) <= 1 / np.sqrt(32)


def test_every_epoch_shows_each_face_once():
    training = settings(batch=4)
    rows = np.concatenate([draw_batch(Set("w/00", np.arange(10)), s, (1, 2, 2), 1000, training).rows for s in range(5)])
    assert sorted(rows[:10]) == list(range(10))
    assert sorted(rows[10:]) == list(range(10))


def test_targets_choose_layers(parts):
    from egara.loras.packed import find_targets

    attention, linear = (find_targets(parts[0], kind) for kind in ("attention", "linear"))
    assert set(attention) < set(linear)
    assert find_targets(parts[0], ["attn1.to_q"]) == [name for name in attention if name.endswith("attn1.to_q")]
    with pytest.raises(EgaraError, match="to_z"):
        find_targets(parts[0], ["to_q", "to_z"])


@pytest.mark.parametrize("change", [{"rank": 0}, {"alpha": 0}, {"steps": -1}, {"speed": 3}])
def test_settings_out_of_range_are_one_line(change):
    with pytest.raises(EgaraError, match=next(iter(change))):
        settings(**change)


@pytest.fixture(scope="module")
def study(small_base, tmp_path_factory):
    """Crops, sets, latents and captions of a small work, made by the stages' own commands."""
    from PIL import Image

    from egara.files import sha256, write_tsv
    from egara.loras import base, embeddings, latents

    root = tmp_path_factory.mktemp("study")
    (root / "crops").mkdir()
    draw, rows = np.random.default_rng(1), []
    for number in range(FACES):
        path = root / "crops" / f"{number:05d}.png"
        Image.fromarray(draw.integers(0, 255, (80, 70), np.uint8)).save(path)
        rows.append({"face": f"{number:05d}", "file": path.name, "sha256": sha256(path)})
    faces = pd.DataFrame(rows)
    sets = [faces.assign(set=f"{number:02d}", order=range(FACES)) for number in range(3)]
    write_tsv(root / "sets.tsv", pd.concat(sets))
    base.main(["--base", str(small_base), "--output", str(root / "base.json")])
    common = ["--base", str(root / "base.json")]
    embeddings.main([*common, "--captions", '["solo, face"]', "--output", str(root / "captions.safetensors")])
    shape = ["--sets", str(root / "sets.tsv"), "--crops", str(root / "crops"), "--resolution", "64", "--device", "cpu"]
    latents.main([*common, *shape, "--output", str(root / "latents.safetensors")])
    return root


def command(study, output, **changes):
    chosen = {"rank": 4, "alpha": 2, "init": "independent", "resolution": 64, "steps": 2, "batch": 2}
    chosen |= {"learning_rate": 1e-2, "seed": 3} | changes
    places = {name: str(study / f"{name}.safetensors") for name in ("latents", "captions")}
    return [
        *("--sets", str(study / "sets.tsv"), "--latents", places["latents"], "--captions", places["captions"]),
        *("--base", str(study / "base.json"), "--author", "A", "--work", "w", "--token", "none"),
        *("--caption", "solo, face", "--settings", json.dumps(chosen), "--device", "cpu", "--pack", "2"),
        *("--store", str(study / "store"), "--output", str(output)),
    ]


def test_files_load_in_diffusers_and_say_how_they_were_trained(study, small_base, tmp_path):
    import torch
    from diffusers import StableDiffusionPipeline

    from egara.loras.__main__ import main
    from egara.loras.formats import read_lora

    assert main(command(study, tmp_path)) == 0
    files = sorted(tmp_path.glob("*.safetensors"))
    assert [path.stem for path in files] == ["00", "01", "02"]
    lora = read_lora(files[0])
    assert lora.header["work"] == "w"
    assert len(lora.header["images"]) == FACES
    assert lora.header["training"]["rank"] == 4
    assert all(factors.scale == 0.5 for factors in lora.layers.values())

    pipeline = StableDiffusionPipeline.from_pretrained(
        small_base, safety_checker=None, dtype=torch.float32, local_files_only=True
    )
    noise, times, context = torch.randn(1, 4, 16, 16), torch.tensor([5]), torch.randn(1, 24, 64)
    with torch.no_grad():
        plain = pipeline.unet(noise, times, context).sample
        pipeline.load_lora_weights(str(tmp_path), weight_name="00.safetensors")
        changed = pipeline.unet(noise, times, context).sample
    assert (plain - changed).abs().max() > 1e-4
    name, factors = next(iter(lora.layers.items()))
    module = pipeline.unet.get_submodule(name.removeprefix("unet."))
    assert next(iter(module.scaling.values())) == factors.scale


def test_store_keeps_finished_work_and_trains_only_what_is_missing(study, tmp_path, monkeypatch):
    from egara.loras import __main__ as stage

    assert stage.main(command(study, tmp_path / "a", learning_rate=2e-2)) == 0
    first = (tmp_path / "a" / "01.safetensors").read_bytes()
    monkeypatch.setattr(stage, "train_pack", None)  # a second run must not train
    assert stage.main(command(study, tmp_path / "b", learning_rate=2e-2)) == 0
    assert (tmp_path / "b" / "01.safetensors").read_bytes() == first
    with pytest.raises(TypeError):
        stage.main(command(study, tmp_path / "c", learning_rate=3e-2))


def test_prune_removes_only_what_nothing_links_to(study, tmp_path):
    from egara.loras.__main__ import main
    from egara.loras.store import prune

    output = tmp_path / "loras"
    options = command(study, output, seed=11)
    options[options.index("--store") + 1] = str(tmp_path / "store")
    assert main(options) == 0
    (output / "02.safetensors").unlink()
    count, freed = prune(tmp_path / "store")
    assert (count, len(list((tmp_path / "store").glob("*/*")))) == (1, 2)
    assert freed > 0


def test_diverging_lora_stops_alone(study, tmp_path, monkeypatch, caplog):
    from egara.loras import __main__ as stage

    real = stage.train_pack

    def with_a_nan(*arguments):
        tensors, losses = real(*arguments)
        losses[0] = np.nan
        return tensors, losses

    monkeypatch.setattr(stage, "train_pack", with_a_nan)
    options = command(study, tmp_path, seed=12)
    options[options.index("--pack") + 1] = "3"
    assert stage.main(options) == 1
    assert sorted(path.stem for path in tmp_path.glob("*")) == ["01", "02"]
    assert "00" in caplog.text


def test_changed_crop_and_wrong_latents_are_refused(study, tmp_path):
    from egara.loras import latents
    from egara.loras.__main__ import main

    with pytest.raises(EgaraError, match="another base or resolution"):
        main(command(study, tmp_path, resolution=128))
    (tmp_path / "crops").mkdir()
    for path in (study / "crops").iterdir():
        (tmp_path / "crops" / path.name).write_bytes(path.read_bytes() + b" ")
    with pytest.raises(EgaraError, match="changed since the sets were drawn"):
        latents.main(
            [
                *("--sets", str(study / "sets.tsv"), "--crops", str(tmp_path / "crops")),
                *("--base", str(study / "base.json"), "--output", str(tmp_path / "x.safetensors")),
            ]
        )
    assert not (tmp_path / "x.safetensors").exists()


def test_missing_base_is_one_line_and_exit_1(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-m", "egara.loras.base", "--base", "no/such/base", "--output", str(tmp_path / "b.json")],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1
    assert len(ran.stderr.strip().splitlines()) == 1
    assert "no/such/base" in ran.stderr
    assert not list(tmp_path.iterdir())


def test_base_without_a_part_is_named(small_base, tmp_path):
    import shutil

    from egara.loras.base import find_base

    shutil.copytree(small_base, tmp_path / "base")
    shutil.rmtree(tmp_path / "base" / "vae")
    with pytest.raises(EgaraError, match="no vae"):
        find_base(str(tmp_path / "base"))


def test_long_caption_is_refused(small_base):
    from egara.loras.embeddings import embed_captions

    with pytest.raises(EgaraError, match="shorten"):
        embed_captions(small_base, ["words " * 40])
