"""The embedded base: any text has tokens, it ships small, and it never saw an evaluated artist."""

import json
from pathlib import Path

import numpy as np
import pytest

from egara.demo.artists import EVALUATED, HELD_OUT, attribution
from egara.pretraining.art import WORDS, batch_of_art, draw_heads

SHIPPED = Path(__file__).resolve().parents[2] / "resources" / "base"


@pytest.fixture(scope="module")
def art():
    return draw_heads(1, 0)


def test_art_is_drawn_by_held_out_artists_only(art):
    assert len(art["grey"]) == len(HELD_OUT) == len(WORDS)
    taught = {attribution(style.name)["creator"] for style in HELD_OUT}
    assert not taught & {attribution(style.name)["creator"] for style in EVALUATED}
    assert (art["alpha"].reshape(len(HELD_OUT), -1).max(1) > 200).all()


def test_batches_vary_and_stay_in_range(art):
    pictures, captions = batch_of_art(art, np.random.default_rng(0), 32, 64)
    assert pictures.shape == (32, 64, 64)
    assert pictures.min() >= -1 and pictures.max() <= 1 and pictures.std(axis=0).mean() > 0.2
    assert len(set(captions)) > 1 and "" in captions


def test_the_shared_caption_takes_few_tokens_and_any_script_has_some(small_base):
    from egara.loras.base.components import load_part

    tokenizer = load_part(small_base, "tokenizer")
    words = tokenizer.tokenize("solo, manga style, face, v011")
    assert [word.removesuffix("</w>") for word in words] == [
        *("solo", ",", "manga", "style", ",", "face", ",", "v", "0", "1", "1")
    ]
    assert tokenizer.unk_token_id not in tokenizer("絵柄").input_ids[1:-1]


def test_shipped_base_is_small_and_says_who_taught_it():
    weights = sorted(SHIPPED.glob("*/*.safetensors"))
    assert len(weights) == 3
    assert sum(path.stat().st_size for path in weights) < 20e6
    note = json.loads((SHIPPED / "provenance.json").read_text())
    evaluated = {attribution(style.name)["creator"] for style in EVALUATED}
    assert {row["creator"] for row in note["trained_on"]} and not {
        row["creator"] for row in note["trained_on"]
    } & evaluated


def test_shipped_autoencoder_keeps_the_strokes_of_an_artist_it_never_saw():
    import torch
    from PIL import Image

    from egara.demo.drawings import draw_figure
    from egara.loras.base.components import load_part

    drawing = draw_figure("lorelei", "someone", "now", size=128)
    page = Image.new("L", drawing.image.size, 255)
    page.paste(drawing.image.getchannel("L"), mask=drawing.image.getchannel("A"))
    picture = torch.from_numpy(np.asarray(page.resize((64, 64)), np.float32) / 127.5 - 1).expand(1, 3, 64, 64)
    vae = load_part(SHIPPED, "vae")
    with torch.no_grad():
        latents = vae.encode(picture).latent_dist.mean
        drawn = vae.decode(latents).sample
    assert (drawn - picture).abs().mean() < 0.12
    assert (latents * vae.config.scaling_factor).std().item() == pytest.approx(1, abs=0.5)


def test_shipped_denoiser_predicts_noise_better_than_nothing():
    """On a clean latent with noise of medium strength the U-Net must explain most of the noise."""
    import torch

    from egara.loras.base.components import load_part

    vae, unet, scheduler = (load_part(SHIPPED, part) for part in ("vae", "unet", "scheduler"))
    tokenizer, encoder = load_part(SHIPPED, "tokenizer"), load_part(SHIPPED, "text_encoder")
    pictures, _ = batch_of_art(draw_heads(1, 99), np.random.default_rng(1), 8, 64)
    tokens = tokenizer(["solo, manga style, face"], padding="max_length", return_tensors="pt").input_ids
    noise, times = torch.randn(8, 4, 16, 16, generator=torch.Generator().manual_seed(0)), torch.full((8,), 400)
    with torch.no_grad():
        latents = vae.encode(torch.from_numpy(pictures)[:, None].expand(-1, 3, -1, -1)).latent_dist.mean
        noisy = scheduler.add_noise(latents * vae.config.scaling_factor, noise, times)
        guess = unet(noisy, times, encoder(tokens).last_hidden_state.expand(8, -1, -1)).sample
    assert ((guess - noise) ** 2).mean() < 0.5
