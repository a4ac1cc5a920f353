"""The training data of one step: images, mirror images, timesteps and noise.

Every random draw has a stream named by study seed, set, purpose and step. So no draw depends on the other adapters of
the pack, on the order of sets, on the device, or on whether a run was resumed.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from egara.io.errors import EgaraError
from egara.loras.training.settings import Training
from egara.seeds import stream

if TYPE_CHECKING:
    import torch
    from diffusers import SchedulerMixin


@dataclass(frozen=True, eq=False)
class Adapter:
    """One LoRA to train: its settings and its training data.

    Attributes
    ----------
    name : `work/00`; names its random streams.
    training : its settings.
    latents : `mean` and `std` of shape (n_faces, 2, channels, height, width), plain and mirrored; shared by a work's
        sets.
    rows : the faces of its set in the latents, in the set's order.
    caption : the embedding of the caption of all its images, of shape (n_tokens, width).
    ids : the caption's token ids, of shape (n_tokens,); only LoRAs of the text encoder need them.
    """

    name: str
    training: Training
    latents: dict[str, np.ndarray]
    rows: np.ndarray
    caption: np.ndarray
    ids: np.ndarray | None = None


@dataclass(frozen=True)
class Batch:
    """The random draws of one step for one adapter of batch size b."""

    rows: np.ndarray  # (b,)
    mirrored: np.ndarray  # (b,) 0 or 1
    timesteps: np.ndarray  # (b,)
    posterior: np.ndarray  # (b, channels, height, width), standard normal
    noise: np.ndarray  # (b, channels, height, width), standard normal


def draw_batch(adapter: Adapter, step: int, num_train_timesteps: int) -> Batch:
    """Draw one step; faces are drawn in shuffled epochs, so that all are seen equally often."""
    training, count = adapter.training, len(adapter.rows)
    size, shape = training.train_batch_size, adapter.latents["mean"].shape[2:]
    positions = range(step * size, (step + 1) * size)
    orders = [_order(training.seed, adapter.name, position // count, count) for position in positions]
    draw = stream(training.seed, adapter.name, "step", step)
    return Batch(
        timesteps=draw.integers(num_train_timesteps, size=size),
        mirrored=draw.integers(2, size=size) * int(training.random_flip),
        noise=draw.standard_normal((size, *shape), np.float32),
        posterior=draw.standard_normal((size, *shape), np.float32),
        rows=adapter.rows[[order[position % count] for order, position in zip(orders, positions, strict=True)]],
    )


@lru_cache(maxsize=4096)
def _order(seed: int, name: str, epoch: int, count: int) -> np.ndarray:
    return stream(seed, name, "order", epoch).permutation(count)


def noisy_inputs(
    scheduler: "SchedulerMixin", adapters: list[Adapter], step: int
) -> tuple["torch.Tensor", "torch.Tensor", "torch.Tensor"]:
    """Return noisy latents (K x b, ...), timesteps (K x b,) and the target of the model's prediction, on the CPU."""
    import torch

    latents, noise, timesteps = [], [], []
    for adapter in adapters:
        batch = draw_batch(adapter, step, scheduler.config.num_train_timesteps)
        mean, std = (adapter.latents[name][batch.rows, batch.mirrored] for name in ("mean", "std"))
        latents.append(mean + std * batch.posterior)
        noise.append(batch.noise)
        timesteps.append(batch.timesteps)
    latents, noise, timesteps = (torch.from_numpy(np.concatenate(parts)) for parts in (latents, noise, timesteps))
    noisy_latents = scheduler.add_noise(latents, noise, timesteps)
    kind = scheduler.config.prediction_type
    if kind not in ("epsilon", "v_prediction"):
        raise EgaraError(f"base model: its scheduler predicts {kind!r}; expected epsilon or v_prediction")
    target = noise if kind == "epsilon" else scheduler.get_velocity(latents, noise, timesteps)
    return noisy_latents, timesteps, target


def loss_weights(scheduler: "SchedulerMixin", timesteps: "torch.Tensor", snr_gamma: float | None) -> "torch.Tensor":
    """Return min-SNR weights of timesteps, of shape (b,); ones where `snr_gamma` is None.

    min(SNR, snr_gamma) / SNR for a model that predicts noise, over SNR + 1 for velocity (Hang et al. 2023, arXiv
    2303.09556, §3.4 and appendix). diffusers' `compute_snr` divides and squares the roots of numerator and denominator,
    so it rounds differently in the last bits; this is the same ratio with one rounding fewer.
    """
    import torch

    if snr_gamma is None:
        return torch.ones(len(timesteps))
    alpha_bar = scheduler.alphas_cumprod[timesteps]
    snr = alpha_bar / (1 - alpha_bar)
    return snr.clamp(max=snr_gamma) / (snr if scheduler.config.prediction_type == "epsilon" else snr + 1)
