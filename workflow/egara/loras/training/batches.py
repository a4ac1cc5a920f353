"""What a step shows an adapter: pictures, mirror images, timesteps and noise.

Every draw has a stream named by study seed, set, purpose and step, so nothing depends on what is packed together, on
the order of sets, on the device or on a resumed run.
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


@dataclass(frozen=True, eq=False)
class Adapter:
    """One LoRA to train: its settings and what it learns from.

    Attributes
    ----------
    name : `work/00`; names its random streams.
    training : its settings.
    latents : `mean` and `deviation`, (faces, 2, channels, height, width), plain and mirrored; shared by a work's sets.
    rows : the faces of its set in the latents, in the set's order.
    caption : (tokens, width), the embedding of the caption of all its pictures.
    ids : (tokens,), the caption's token ids; only the text encoder's LoRAs need them.
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
    times: np.ndarray  # (b,)
    posterior: np.ndarray  # (b, channels, height, width), standard normal
    noise: np.ndarray  # (b, channels, height, width), standard normal


def draw_batch(adapter: Adapter, step: int, timesteps: int) -> Batch:
    """Draw one step; faces come in shuffled epochs, so that all are seen equally often."""
    training, count = adapter.training, len(adapter.rows)
    size, shape = training.train_batch_size, adapter.latents["mean"].shape[2:]
    positions = range(step * size, (step + 1) * size)
    orders = [_order(training.seed, adapter.name, position // count, count) for position in positions]
    draw = stream(training.seed, adapter.name, "step", step)
    return Batch(
        times=draw.integers(timesteps, size=size),
        mirrored=draw.integers(2, size=size) * int(training.random_flip),
        noise=draw.standard_normal((size, *shape), np.float32),
        posterior=draw.standard_normal((size, *shape), np.float32),
        rows=adapter.rows[[order[position % count] for order, position in zip(orders, positions, strict=True)]],
    )


@lru_cache(maxsize=4096)
def _order(seed: int, name: str, epoch: int, count: int) -> np.ndarray:
    return stream(seed, name, "order", epoch).permutation(count)


def noisy_inputs(
    scheduler: "object", adapters: list[Adapter], step: int
) -> tuple["torch.Tensor", "torch.Tensor", "torch.Tensor"]:
    """Return noisy latents (K x b, ...), timesteps (K x b,) and what the model should predict, on the CPU."""
    import torch

    clean, noise, times = [], [], []
    for adapter in adapters:
        batch = draw_batch(adapter, step, scheduler.config.num_train_timesteps)
        mean, deviation = (adapter.latents[name][batch.rows, batch.mirrored] for name in ("mean", "deviation"))
        clean.append(mean + deviation * batch.posterior)
        noise.append(batch.noise)
        times.append(batch.times)
    clean, noise, times = (torch.from_numpy(np.concatenate(parts)) for parts in (clean, noise, times))
    noisy = scheduler.add_noise(clean, noise, times)
    kind = scheduler.config.prediction_type
    if kind not in ("epsilon", "v_prediction"):
        raise EgaraError(f"base model: its scheduler predicts {kind!r}; expected epsilon or v_prediction")
    return noisy, times, noise if kind == "epsilon" else scheduler.get_velocity(clean, noise, times)


def loss_weights(scheduler: "object", times: "torch.Tensor", cap: float | None) -> "torch.Tensor":
    """Return min-SNR weights of timesteps, (b,); ones where `cap` is None.

    min(SNR, cap) / SNR for a model that predicts noise, over SNR + 1 for velocity (Hang et al. 2023, arXiv 2303.09556,
    §3.4 and appendix).
    """
    import torch

    if cap is None:
        return torch.ones(len(times))
    kept = scheduler.alphas_cumprod[times]
    ratio = kept / (1 - kept)
    return ratio.clamp(max=cap) / (ratio if scheduler.config.prediction_type == "epsilon" else ratio + 1)
