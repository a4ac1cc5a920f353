"""Train the embedded U-Net and text encoder on the pre-training art.

egara pretraining denoiser --art results/base/art.npz --vae results/base/vae --output resources/base
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.demo.artists import HELD_OUT, attribution
from egara.io.arrays import read_arrays
from egara.io.atomic import write_text
from egara.io.progress import bar, logger, parser, track
from egara.pretraining.art import batch_of_art
from egara.seeds import derive_seed, stream

if TYPE_CHECKING:
    import torch
    from diffusers import AutoencoderKL

EMA_DECAY = 0.9995
PLAIN, CLOSEST = 0.85, 0.85  # whole heads, most on white paper: the LoRAs bring the crops of pages
SNR_GAMMA = 5.0  # min-SNR weighting (Hang et al. 2023, arXiv 2303.09556, eq. 9 for noise prediction)


def encode_art(vae: "AutoencoderKL", art: dict, count: int, seed: int) -> tuple["torch.Tensor", list[str]]:
    """Encode `count` augmented heads; returns scaled latents (count, 4, 16, 16) and their captions."""
    import torch

    from egara.pretraining.models import SIDE

    draw, chunk = stream(seed, "denoiser", "art"), 64
    latents, captions = [], []
    with torch.inference_mode():
        for _ in track(range(count // chunk), count // chunk, "batch"):
            pictures, texts = batch_of_art(art, draw, chunk, SIDE, PLAIN, CLOSEST)
            grey = torch.from_numpy(pictures)[:, None].expand(-1, 3, -1, -1)
            latents.append(vae.encode(grey).latent_dist.mean * vae.config.scaling_factor)
            captions += texts
    return torch.cat(latents).clone(), captions


def train_denoiser(
    parts: dict[str, object],
    latents: "torch.Tensor",
    captions: list[str],
    steps: int,
    batch: int,
    seed: int,
    save: Callable[[dict[str, object]], None],
    save_every: int,
) -> None:
    """Train U-Net and text encoder to predict noise; `save` gets the averaged weights every `save_every` steps.

    Learning rate: linear warm-up over 200 steps, then cosine to zero. Weights are averaged exponentially.
    """
    import torch
    from diffusers.training_utils import compute_snr

    unet, text_encoder, scheduler = parts["unet"], parts["text_encoder"], parts["scheduler"]
    texts = sorted(set(captions))
    tokens = parts["tokenizer"](texts, padding="max_length", truncation=True, return_tensors="pt").input_ids
    owners = torch.tensor([texts.index(caption) for caption in captions])
    weights = [*unet.parameters(), *text_encoder.parameters()]
    optimizer = torch.optim.AdamW(weights, 6e-4, betas=(0.9, 0.99), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1, (step + 1) / 200) * 0.5 * (1 + np.cos(np.pi * step / steps))
    )
    average = [weight.detach().clone() for weight in weights]
    draw = torch.Generator().manual_seed(derive_seed(seed, "denoiser", "noise"))
    log, recent = logger("base"), []
    with bar(steps, "step") as watched:
        for step in range(steps):
            rows = torch.randint(len(latents), (batch,), generator=draw)
            clean = latents[rows]
            noise = torch.randn(clean.shape, generator=draw)
            timesteps = torch.randint(scheduler.config.num_train_timesteps, (batch,), generator=draw)
            context = text_encoder(tokens).last_hidden_state[owners[rows]]
            model_pred = unet(scheduler.add_noise(clean, noise, timesteps), timesteps, context).sample
            snr = compute_snr(scheduler, timesteps)
            loss = ((model_pred - noise) ** 2).mean(dim=(1, 2, 3)) * (snr.clamp(max=SNR_GAMMA) / snr)
            optimizer.zero_grad()
            loss.mean().backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            schedule.step()
            decay = min(EMA_DECAY, (step + 1) / (step + 10))
            torch._foreach_lerp_(average, [weight.detach() for weight in weights], 1 - decay)
            recent.append(loss.mean().item())
            watched.update()
            if (step + 1) % 100 == 0:
                log.info("denoiser step %d of %d: loss %.4f", step + 1, steps, np.mean(recent[-100:]))
            if (step + 1) % save_every == 0 or step + 1 == steps:
                _with_weights(weights, average, lambda: save(parts))


def _with_weights(weights: list, average: list, action: Callable[[], None]) -> None:
    """Run `action` while the parts hold the averaged weights."""
    import torch

    saved = [weight.detach().clone() for weight in weights]
    with torch.no_grad():
        torch._foreach_copy_(weights, average)
        action()
        torch._foreach_copy_(weights, saved)


def main(argv: list[str] | None = None) -> None:
    """Train and write the whole base folder with a note of the artists that it was trained on."""
    arguments = parser(__doc__)
    arguments.add_argument("--art", type=Path, required=True, help="pre-training art (.npz)")
    arguments.add_argument("--vae", type=Path, required=True, help="folder of the trained autoencoder")
    arguments.add_argument("--pictures", type=int, default=16000, help="augmented heads to encode")
    arguments.add_argument("--steps", type=int, default=7500, help="optimizer steps")
    arguments.add_argument("--batch", type=int, default=32, help="latents per step")
    arguments.add_argument("--save-every", type=int, default=500, help="steps between two saves of the base")
    arguments.add_argument("--seed", type=int, default=0, help="study seed")
    arguments.add_argument("--threads", type=int, default=1, help="CPU threads")
    arguments.add_argument("--output", type=Path, required=True, help="folder of the base model")
    options = arguments.parse_args(argv)
    import torch
    from diffusers import AutoencoderKL

    from egara.pretraining.models import build_scheduler, build_text_encoder, build_tokenizer, build_unet, save_base

    torch.set_num_threads(options.threads)
    torch.manual_seed(derive_seed(options.seed, "denoiser", "init"))
    tokenizer = build_tokenizer()
    parts = {
        "vae": AutoencoderKL.from_pretrained(options.vae).eval(),
        "unet": build_unet().to(memory_format=torch.channels_last),
        "text_encoder": build_text_encoder(tokenizer),
        "tokenizer": tokenizer,
        "scheduler": build_scheduler(),
    }
    art = read_arrays(options.art, "pre-training art")
    latents, captions = encode_art(parts["vae"], art, options.pictures, options.seed)
    provenance = {
        "trained_on": [attribution(style.name) for style in HELD_OUT],
        "heads": len(art["grey"]),
        "pictures": len(latents),
        "steps": options.steps,
        "batch": options.batch,
        "seed": options.seed,
    }

    def save(parts: dict[str, object]) -> None:
        save_base(options.output, parts)
        write_text(options.output / "provenance.json", json.dumps(provenance, indent=2) + "\n")

    train_denoiser(parts, latents, captions, options.steps, options.batch, options.seed, save, options.save_every)
