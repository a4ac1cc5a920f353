"""The architecture of Stable Diffusion 1.5 with random weights: names, shapes, counts and one real training step."""

import numpy as np
import pytest
from sd15 import sd15_text_config, sd15_unet_config

from egara.loras.training.batches import Adapter
from egara.loras.training.loop import Frozen, make_pack, train_pack
from egara.loras.training.packed import PackedAdapters, find_targets
from egara.loras.training.settings import Training

SMALL = 16  # at the bottom 2 x 2 positions: over one alone, self-attention has no gradient


@pytest.fixture(scope="module")
def bare():
    """U-Net and text model without memory."""
    import torch
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    with torch.device("meta"):
        return {
            "unet": UNet2DConditionModel(**sd15_unet_config()),
            "text_encoder": CLIPTextModel(CLIPTextConfig(**sd15_text_config())),
        }


def numbers(models, targets, rank):
    layers = find_targets(models, targets)
    return len(layers), PackedAdapters(models, layers, [rank], [rank], rank).values.shape[1]


def test_rank_4_on_attention_has_797184_numbers_in_128_layers(bare):
    assert numbers({"unet": bare["unet"]}, "attention", 4) == (128, 797_184)


def test_counts_grow_with_rank_and_targets(bare):
    unet = {"unet": bare["unet"]}
    assert numbers(unet, "attention", 32)[1] == 8 * 797_184
    # Feed-forward of each of 16 blocks of width w: w -> 8 w and 4 w -> w, 14 w numbers a rank.
    widths = 5 * (320 + 640 + 1280) + 1280
    assert numbers(unet, "linear", 4) == (160, 797_184 + 4 * 14 * widths)
    # Text encoder: 12 blocks of four 768 x 768 layers, and two of 768 x 3072.
    text = {"text_encoder": bare["text_encoder"]}
    assert numbers(text, "linear", 1) == (72, 12 * (4 * 2 * 768 + 2 * (768 + 3072)))


def test_layers_have_the_names_and_shapes_that_loaders_expect(bare):
    unet = bare["unet"]
    shapes = {
        name: tuple(unet.get_submodule(name.removeprefix("unet.")).weight.shape)
        for name in find_targets({"unet": unet}, "linear")
    }
    block = "unet.down_blocks.0.attentions.0.transformer_blocks.0"
    assert shapes[f"{block}.attn1.to_q"] == (320, 320)
    assert shapes[f"{block}.attn2.to_k"] == (320, 768)
    assert shapes[f"{block}.ff.net.0.proj"] == (2560, 320)
    assert shapes["unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0"] == (1280, 1280)
    assert not any("down_blocks.3" in name or "up_blocks.0" in name for name in shapes)


def test_one_real_step_trains_a_mixed_pack():
    import torch
    from diffusers import DDPMScheduler, UNet2DConditionModel

    torch.manual_seed(0)
    with torch.device("meta"):
        unet = UNet2DConditionModel(**sd15_unet_config())
    unet = unet.to_empty(device="cpu").bfloat16()
    for weight in unet.parameters():
        torch.nn.init.normal_(weight, std=0.02) if weight.ndim > 1 else torch.nn.init.ones_(weight)
    draw = np.random.default_rng(0)
    mean = draw.normal(size=(2, 2, 4, SMALL, SMALL)).astype(np.float32)
    latents, caption = {"mean": mean, "std": np.zeros_like(mean)}, draw.normal(size=(77, 768))
    adapters = [
        Adapter(
            f"w/{number:02d}",
            Training(
                rank=rank,
                alpha=rank,
                init="independent",
                resolution=64,
                max_train_steps=1,
                train_batch_size=1,
                learning_rate=1e-3,
                seed=0,
                target_modules="attention",
                mixed_precision="bf16",
            ),  # fmt: skip
            latents,
            np.arange(2),
            caption.astype(np.float32),
        )
        for number, rank in enumerate((4, 2))
    ]
    frozen = Frozen({"unet": unet.requires_grad_(False)}, DDPMScheduler(beta_schedule="scaled_linear"))
    pack = make_pack(frozen, adapters)
    tensors = train_pack(frozen, pack)
    assert np.isfinite(pack.losses).all()
    for rank, found in zip((4, 2), tensors, strict=True):
        assert sum(t.numel() for t in found.values()) == 797_184 // 4 * rank
        ups = [t for name, t in found.items() if "lora_B" in name]
        moved = sum(bool(t.abs().max() > 0) for t in ups)
        assert moved == len(ups) == 128
