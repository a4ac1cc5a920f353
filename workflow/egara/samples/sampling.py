"""Sample images of a base model, with or without a LoRA: from given noise, so that images can be compared."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.loras.base.components import load_part
from egara.seeds import stream
from egara.settings import Grid, Machine, Samples, Settings
from egara.settings.arguments import add_setting

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from diffusers import StableDiffusionPipeline

# Pixels per batch: 4 images of 512 x 512 fit a small GPU, and small images are still sampled in large batches.
BATCH_PIXELS = 2**20
MAX_BATCH = 32


def add_arguments(arguments: "ArgumentParser", resolution: int) -> None:
    """Add what every command that draws takes; `resolution` is its default."""
    add_setting(arguments, Grid, "resolution", item=True, default=resolution, help="side of an image in pixels")
    add_setting(arguments, Samples, "num_inference_steps")
    add_setting(arguments, Samples, "guidance_scale")
    add_setting(arguments, Settings, "seed")
    add_setting(arguments, Machine, "device")
    arguments.add_argument("--threads", type=int, default=1, help="CPU threads")


def load_pipeline(folder: Path, device: str) -> "StableDiffusionPipeline":
    """Load a base model for sampling with DDIM, which adds no noise of its own."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    parts = {name: load_part(folder, name) for name in ("vae", "unet", "text_encoder", "tokenizer")}
    scheduler = DDIMScheduler.from_config(load_part(folder, "scheduler").config)
    pipeline = StableDiffusionPipeline(
        **parts, scheduler=scheduler, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    ).to(device)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def draw_noise(pipeline: "StableDiffusionPipeline", count: int, resolution: int, seed: int) -> np.ndarray:
    """Draw initial latents, float32 of shape (n_images, channels, height, width).

    Each has its own stream, so that more images never change the first ones.
    """
    side = resolution // pipeline.vae_scale_factor
    shape = (pipeline.unet.config.in_channels, side, side)
    return np.stack([stream(seed, "samples", number).standard_normal(shape, np.float32) for number in range(count)])


def sample_images(
    pipeline: "StableDiffusionPipeline", caption: str, noise: np.ndarray, steps: int, guidance: float
) -> np.ndarray:
    """Sample one image from each noise, uint8 of shape (n_images, height, width, 3).

    `guidance` is the scale of classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598, eq. 6, as 1 + w).
    """
    import torch

    pixels = noise.shape[2] * noise.shape[3] * pipeline.vae_scale_factor**2
    size = min(MAX_BATCH, max(1, BATCH_PIXELS // pixels))
    images = []
    for start in range(0, len(noise), size):
        part = torch.from_numpy(noise[start : start + size]).to(pipeline.device)
        result = pipeline(
            caption,
            num_images_per_prompt=len(part),
            latents=part,
            height=part.shape[2] * pipeline.vae_scale_factor,
            width=part.shape[3] * pipeline.vae_scale_factor,
            num_inference_steps=steps,
            guidance_scale=guidance,
            output_type="np",
        )
        images.append(result.images)
    return (np.concatenate(images) * 255).round().astype(np.uint8)
