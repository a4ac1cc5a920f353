"""Train one pack of LoRAs: the sets of one work in one cell, on cached latents and one embedded caption.

Every draw (order, flip, posterior, timestep, noise) has a stream named by study seed, set, purpose and step, so nothing
depends on what is packed together.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from egara.errors import EgaraError
from egara.seeds import stream

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Training:
    """Settings of a training run; the names are config's.

    Attributes
    ----------
    rank, alpha, init : the adapter, ΔW = alpha / rank · B A.
    targets : `attention`, `linear` or a list of module name endings.
    steps, batch, learning_rate, weight_decay, clip : AdamW with a constant rate; gradients clipped per adapter.
    flip : draw the mirrored picture half of the time.
    precision : `float32`, or `bfloat16` for the frozen model's arithmetic.
    resolution : side of the pictures in pixels.
    seed : study seed.
    """

    rank: int
    alpha: float
    init: str
    resolution: int
    steps: int
    batch: int
    learning_rate: float
    seed: int
    targets: str | tuple[str, ...] = "linear"
    weight_decay: float = 0.01
    clip: float = 1.0
    flip: bool = True
    precision: str = "float32"

    @classmethod
    def from_json(cls, settings: dict) -> "Training":
        """Build from a decoded JSON object and check ranges; an unknown or missing key is an error."""
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(settings) - known):
            raise EgaraError(
                f"training settings: unknown key {', '.join(unknown)}; expected {', '.join(sorted(known))}"
            )
        try:
            training = cls(**settings)
        except TypeError as error:
            raise EgaraError(f"training settings: {error}") from error
        for name in ("rank", "alpha", "steps", "batch", "learning_rate", "resolution", "clip"):
            if not getattr(training, name) > 0:
                raise EgaraError(f"training settings: {name} is {getattr(training, name)}; expected more than 0")
        return training

    def as_json(self) -> dict:
        """Return a plain object that `from_json` reads."""
        return asdict(self)


@dataclass(frozen=True)
class Set:
    """One training set: its name (`work/00`) and the rows of its faces in the latents, in the set's order."""

    name: str
    rows: np.ndarray


@dataclass
class Batch:
    """The random draws of one step for one set: rows, mirrored, timesteps and two standard normal fields."""

    rows: np.ndarray  # (b,)
    mirrored: np.ndarray  # (b,) 0 or 1
    times: np.ndarray  # (b,)
    posterior: np.ndarray  # (b, channels, height, width)
    noise: np.ndarray  # (b, channels, height, width)


def draw_batch(one: Set, step: int, shape: tuple[int, ...], timesteps: int, training: Training) -> Batch:
    """Draw one step of one set; faces come in shuffled epochs, so that all are seen equally often."""
    seed, size = training.seed, training.batch
    positions = np.arange(step * size, (step + 1) * size)
    rows = np.empty(size, int)
    for epoch in np.unique(positions // len(one.rows)):
        order = stream(seed, one.name, "order", int(epoch)).permutation(one.rows)
        here = positions // len(one.rows) == epoch
        rows[here] = order[positions[here] % len(one.rows)]
    draw = stream(seed, one.name, "step", step)
    return Batch(
        times=draw.integers(timesteps, size=size),
        mirrored=draw.integers(2, size=size) * int(training.flip),
        noise=draw.standard_normal((size, *shape), np.float32),
        posterior=draw.standard_normal((size, *shape), np.float32),
        rows=rows,
    )


def train_pack(
    unet: "torch.nn.Module",
    scheduler: "object",
    latents: dict[str, np.ndarray],
    caption: np.ndarray,
    sets: list[Set],
    training: Training,
    tick: Callable[[int, np.ndarray], None] = lambda step, losses: None,
) -> tuple[list[dict[str, np.ndarray]], np.ndarray]:
    """Train one LoRA a set.

    Parameters
    ----------
    unet : the frozen denoiser, on its device; it leaves as it came.
    scheduler : the base's noise scheduler; its prediction type (`epsilon` or `v_prediction`) is honoured.
    latents : `mean` and `deviation`, (faces, 2, channels, height, width).
    caption : (tokens, width), the embedded caption of all pictures.
    sets : the sets of the pack.
    tick : called after each step with its number and the losses, (K,).

    Returns
    -------
    tensors : per set, `<layer>.lora_A.weight` and `<layer>.lora_B.weight` in float32.
    losses : (K,), the mean loss of the last tenth of the steps; not finite where a LoRA diverged.
    """
    import torch

    from egara.loras.packed import attach_adapters, clip_gradients, detach_adapters, find_targets

    device = next(unet.parameters()).device
    names = [one.name for one in sets]
    layers = find_targets(unet, training.targets)
    packed = attach_adapters(unet, layers, names, training.rank, training.alpha, training.init, training.seed)
    try:
        weights = [weight for layer in packed.values() for weight in (layer.down, layer.up)]
        optimiser = torch.optim.AdamW(weights, training.learning_rate, weight_decay=training.weight_decay)
        context = torch.from_numpy(caption).to(device).expand(len(sets) * training.batch, -1, -1)
        sums, counted = torch.zeros(len(sets), device=device), 0
        for step in range(training.steps):
            batches = [
                draw_batch(one, step, latents["mean"].shape[2:], scheduler.config.num_train_timesteps, training)
                for one in sets
            ]
            noisy, times, target = _noisy_inputs(scheduler, latents, batches, device)
            with torch.autocast(device.type, torch.bfloat16, enabled=training.precision == "bfloat16"):
                guess = unet(noisy, times, context).sample
            error = (guess.float() - target).square().reshape(len(sets), -1).mean(1)  # (K,)
            error.sum().backward()
            clip_gradients(packed, training.clip)
            optimiser.step()
            optimiser.zero_grad()
            losses = error.detach()
            tick(step, losses)
            if step >= training.steps - max(1, training.steps // 10):
                sums, counted = sums + losses, counted + 1
        return _tensors(packed, len(sets)), (sums / counted).cpu().numpy()
    finally:
        detach_adapters(unet, packed)


def _noisy_inputs(
    scheduler: "object", latents: dict[str, np.ndarray], batches: list[Batch], device: "torch.device"
) -> tuple["torch.Tensor", "torch.Tensor", "torch.Tensor"]:
    """Return noisy latents (K x b, ...), timesteps (K x b,) and what the model should predict."""
    import torch

    rows = np.concatenate([batch.rows for batch in batches])
    mirrored = np.concatenate([batch.mirrored for batch in batches])
    posterior = np.concatenate([batch.posterior for batch in batches])
    clean = torch.from_numpy(latents["mean"][rows, mirrored] + latents["deviation"][rows, mirrored] * posterior)
    noise = torch.from_numpy(np.concatenate([batch.noise for batch in batches]))
    times = torch.from_numpy(np.concatenate([batch.times for batch in batches]))
    noisy = scheduler.add_noise(clean, noise, times)
    kind = scheduler.config.prediction_type
    if kind not in ("epsilon", "v_prediction"):
        raise EgaraError(f"base model: its scheduler predicts {kind!r}; expected epsilon or v_prediction")
    target = noise if kind == "epsilon" else scheduler.get_velocity(clean, noise, times)
    return noisy.to(device), times.to(device), target.to(device)


def _tensors(packed: dict, count: int) -> list[dict[str, np.ndarray]]:
    return [
        {
            f"{name}.{part}.weight": tensor[index].detach().cpu().numpy().copy()
            for name, layer in packed.items()
            for part, tensor in (("lora_A", layer.down), ("lora_B", layer.up))
        }
        for index in range(count)
    ]
