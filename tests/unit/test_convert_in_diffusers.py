"""A converted LoRA file does the same in diffusers, whichever layout it has."""

import numpy as np
import pytest
from lora_layouts import convert, delta

from egara.loras.files import Factors
from egara.loras.files.writing import write_lora


@pytest.fixture(scope="module")
def pipeline(small_base):
    import torch
    from diffusers import StableDiffusionPipeline

    return StableDiffusionPipeline.from_pretrained(
        small_base, safety_checker=None, dtype=torch.float32, local_files_only=True
    )


def loras_of(model, component, rank_and_scale):
    """Random factors, small enough to keep the output near the base's, for every linear and convolution module."""
    import torch

    layers = {}
    generator = np.random.default_rng(3)
    for name, module in model.named_modules():
        if not isinstance(module, torch.nn.Linear | torch.nn.Conv2d):
            continue
        rank, scale = rank_and_scale(name)
        outputs, *inputs = module.weight.shape
        down = generator.normal(size=(rank, *inputs)) / np.sqrt(np.prod(inputs))
        up = generator.normal(size=(outputs, rank, *[1] * (len(inputs) - 1))) / np.sqrt(rank) / 10
        layers[f"{component}.{name}"] = Factors(down.astype(np.float32), up.astype(np.float32), scale)
    return layers


def outputs_with(pipeline, path):
    """What the U-Net and the text encoder give with a LoRA, and the weights that diffusers really adapted."""
    import torch

    generator = torch.Generator().manual_seed(0)
    noise, context = torch.randn(1, 4, 16, 16, generator=generator), torch.randn(1, 24, 64, generator=generator)
    tokens = torch.arange(24)[None]
    if path is not None:
        pipeline.load_lora_weights(str(path.parent), weight_name=path.name)
    with torch.no_grad():
        image = pipeline.unet(noise, torch.tensor([5]), context).sample.numpy()
        text = pipeline.text_encoder(tokens)[0].numpy()
    updates = {}
    for component in ("unet", "text_encoder"):
        for name, module in getattr(pipeline, component).named_modules():
            if hasattr(module, "get_delta_weight"):
                (adapter,) = module.active_adapters
                updates[f"{component}.{name}"] = module.get_delta_weight(adapter).detach().numpy()
    pipeline.unload_lora_weights()
    return image, text, updates


@pytest.mark.parametrize("kind", ["one", "mixed"])
def test_diffusers_computes_the_same_from_either_layout(pipeline, tmp_path, kind):
    def rank_and_scale(name):
        if kind == "one":
            return 4, 0.5
        return (3, 2.0) if "attn1" in name or "fc" in name else (4, 0.75)

    layers = loras_of(pipeline.unet, "unet", rank_and_scale)
    layers |= loras_of(pipeline.text_encoder, "text_encoder", rank_and_scale)
    write_lora(tmp_path / "peft.safetensors", layers)
    convert(tmp_path / "peft.safetensors", tmp_path / "kohya.safetensors", "kohya")
    convert(tmp_path / "kohya.safetensors", tmp_path / "back.safetensors", "peft")
    plain = outputs_with(pipeline, None)
    first = outputs_with(pipeline, tmp_path / "peft.safetensors")
    assert first[2].keys() == layers.keys()
    for name, update in first[2].items():
        expected = delta(layers[name])
        np.testing.assert_allclose(update.reshape(expected.shape), expected, atol=1e-5, err_msg=name)
    for output, without in zip(first[:2], plain[:2], strict=True):
        assert np.abs(output - without).max() > 1e-2
    for other in ("kohya", "back"):
        found = outputs_with(pipeline, tmp_path / f"{other}.safetensors")
        assert found[2].keys() == layers.keys()
        for output, expected in zip(found[:2], first[:2], strict=True):
            np.testing.assert_allclose(output, expected, atol=1e-4)
