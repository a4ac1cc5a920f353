"""The trainer's command: files load elsewhere, the store keeps what is finished, bad input is one line."""

import json
import subprocess
import sys

import numpy as np
import pytest
from small_training import FACES, command, write_inputs

from egara.io.errors import EgaraError


@pytest.fixture(scope="module")
def study(small_base, tmp_path_factory):
    """Inputs of a small training run."""
    return write_inputs(tmp_path_factory.mktemp("study"), small_base)


@pytest.mark.parametrize("text_encoder", [False, True])
def test_files_load_in_diffusers_and_say_how_they_were_trained(study, small_base, tmp_path, text_encoder):
    import torch
    from diffusers import StableDiffusionPipeline

    from egara.loras.__main__ import main
    from egara.loras.files import read_lora

    assert main(command(study, tmp_path, train_text_encoder=text_encoder)) == 0
    files = sorted(tmp_path.glob("*.safetensors"))
    assert [path.stem for path in files] == ["00", "01", "02"]
    lora = read_lora(files[0])
    assert lora.header["work"] == "w"
    assert len(lora.header["images"]) == FACES
    assert (lora.header["training"]["rank"], lora.header["training"]["resolution"]) == (4, 64)
    assert all(factors.scaling == 0.5 for factors in lora.layers.values())
    assert {name.partition(".")[0] for name in lora.layers} == ({"unet", "text_encoder"} if text_encoder else {"unet"})

    pipeline = StableDiffusionPipeline.from_pretrained(
        small_base, safety_checker=None, dtype=torch.float32, local_files_only=True
    )
    noise, times, context = torch.randn(1, 4, 16, 16), torch.tensor([5]), torch.randn(1, 24, 64)
    ids = torch.arange(24)[None]
    with torch.no_grad():
        plain, said = pipeline.unet(noise, times, context).sample, pipeline.text_encoder(ids).last_hidden_state
        pipeline.load_lora_weights(str(tmp_path), weight_name="00.safetensors")
        changed, heard = pipeline.unet(noise, times, context).sample, pipeline.text_encoder(ids).last_hidden_state
    assert (plain - changed).abs().max() > 1e-4
    assert bool((said - heard).abs().max() > 1e-4) == text_encoder
    for name, factors in lora.layers.items():
        part, _, path = name.partition(".")
        module = getattr(pipeline, part).get_submodule(path)
        assert next(iter(module.scaling.values())) == factors.scaling
        np.testing.assert_array_equal(module.lora_B["default_0"].weight.detach().numpy(), factors.lora_B)


def test_store_keeps_finished_work_and_trains_only_what_is_missing(study, tmp_path, monkeypatch):
    from egara.loras import __main__ as stage

    assert stage.main(command(study, tmp_path / "a", learning_rate=2e-2)) == 0
    first = (tmp_path / "a" / "01.safetensors").read_bytes()
    monkeypatch.setattr(stage, "train_missing", None)  # a second run must not train
    assert stage.main(command(study, tmp_path / "b", learning_rate=2e-2)) == 0
    assert (tmp_path / "b" / "01.safetensors").read_bytes() == first
    with pytest.raises(TypeError):
        stage.main(command(study, tmp_path / "c", learning_rate=3e-2))


def test_training_again_writes_the_same_bytes(study, tmp_path):
    """In two processes, as safetensors' own writer orders a header by chance."""
    for name in ("a", "b"):
        options = command(study, tmp_path / name, seed=7)
        options[options.index("--store") + 1] = str(tmp_path / f"store-{name}")
        subprocess.run([sys.executable, "-m", "egara", "loras", *options], check=True, capture_output=True)
    for one in sorted((tmp_path / "a").iterdir()):
        assert one.read_bytes() == (tmp_path / "b" / one.name).read_bytes()


def test_losses_travel_in_the_header(study, tmp_path):
    from safetensors import safe_open

    from egara.loras.__main__ import main

    assert main(command(study, tmp_path, max_train_steps=3)) == 0
    with safe_open(tmp_path / "00.safetensors", framework="np") as file:
        losses = json.loads(file.metadata()["egara_losses"])
    assert losses["step"] == [1, 2, 3]
    assert all(0 < loss < 5 for loss in losses["loss"])


def test_long_curves_are_block_means():
    from egara.loras.files.writing import summarise_losses

    curve = summarise_losses(np.arange(1000, dtype=np.float32), points=200)
    assert curve["step"][:2] == [5, 10]
    assert curve["loss"][:2] == [2.0, 7.0]
    assert (len(curve["loss"]), curve["step"][-1]) == (200, 1000)


def test_prune_removes_only_what_nothing_links_to(study, tmp_path):
    from egara.loras.__main__ import main
    from egara.loras.store.pruning import prune_loras

    output = tmp_path / "loras"
    options = command(study, output, seed=11)
    options[options.index("--store") + 1] = str(tmp_path / "store")
    assert main(options) == 0
    (output / "02.safetensors").unlink()
    count, freed = prune_loras(tmp_path / "store")
    assert (count, len(list((tmp_path / "store").glob("*/*")))) == (1, 2)
    assert freed > 0


@pytest.mark.parametrize("damage", ["flipped", "cut"])
def test_a_corrupt_lora_in_the_store_is_named_and_trained_again(study, tmp_path, damage, caplog):
    from egara.loras.__main__ import main

    options = command(study, tmp_path / "loras", seed=13)
    options[options.index("--store") + 1] = str(tmp_path / "store")
    options[options.index("--pack") + 1] = "1"  # bits depend on how many go together
    assert main(options) == 0
    whole = {path: path.read_bytes() for path in sorted((tmp_path / "store").glob("??/*.safetensors"))}
    path, content = next(iter(whole.items()))
    path.write_bytes(content[:-9] if damage == "cut" else content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    caplog.clear()
    with caplog.at_level("INFO", "egara"):
        assert main(options) == 0
    assert "3 LoRAs, 2 in the store" in caplog.text and path.name in caplog.text
    assert {path: path.read_bytes() for path in whole} == whole
    assert {path.read_bytes() for path in (tmp_path / "loras").iterdir()} == set(whole.values())


def test_a_diverging_lora_is_reported_and_the_others_finish(study, tmp_path, monkeypatch, caplog):
    from egara.loras.training import loop as training

    monkeypatch.setattr(training, "_diverged", lambda losses: np.arange(len(losses)) == 0)
    options = command(study, tmp_path, seed=12)
    options[options.index("--pack") + 1] = "3"
    from egara.loras.__main__ import main

    assert main(options) == 1
    assert sorted(path.stem for path in tmp_path.glob("*")) == ["01", "02"]
    assert "set 00 diverged at step 1; only this LoRA was stopped" in caplog.text


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"target_modules": ["to_z"]}, "target to_z: matches no linear layer of unet"),
        ({"rank": 0}, "rank is 0; expected a whole number from 1"),
        ({"alpha": 0}, "alpha is 0; expected a number above 0"),
        ({"mixed_precision": "fp16"}, "mixed_precision is fp16, which is not for a CPU"),
    ],
)
def test_bad_settings_are_one_line_and_leave_nothing(study, tmp_path, change, line):
    from egara.loras.__main__ import main

    with pytest.raises(EgaraError, match=line):
        main(command(study, tmp_path / "out", **change))
    assert not (tmp_path / "out").exists()


def test_latents_of_another_resolution_are_not_trained_on(study, tmp_path):
    from egara.loras.__main__ import main

    with pytest.raises(EgaraError, match="another transform .resolution 64, expected 128"):
        main(command(study, tmp_path, resolution=128))


def test_missing_base_is_one_line_and_exit_1(tmp_path):
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "egara",
            "loras",
            "base",
            "find",
            "--base",
            "no/such/base",
            "--output",
            str(tmp_path / "b.json"),
        ],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1
    assert len(ran.stderr.strip().splitlines()) == 1
    assert "no/such/base" in ran.stderr
    assert not list(tmp_path.iterdir())
