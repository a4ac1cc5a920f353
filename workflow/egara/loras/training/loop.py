"""Train one pack: K adapters over one frozen base, step by step, each with its own data, caption, rank and rate.

A pack can be resumed: it holds values, moments and losses, one row per adapter, and the number of steps done. It can be
saved, split in two or trained further, and resumes as if it had not been interrupted.
"""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from egara.io.errors import EgaraError
from egara.loras.training.batches import Adapter, loss_weights, noisy_inputs
from egara.loras.training.settings import COMMON, rate_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from diffusers import SchedulerMixin

    from egara.loras.training.packed import PackedAdapters

# A model that predicts zero has a mean squared error of 1, for noise and for velocity. An adapter whose mean loss over
# a window of steps is above that has diverged; the loss does not get far above 1, because a U-Net's last normalisation
# bounds its output.
DIVERGENCE_LOSS, DIVERGENCE_WINDOW = 1.0, 20
# float16 gradients underflow without a loss scale, as in `torch.amp.GradScaler`. Each adapter has its own, so that
# packing changes nothing.
INIT_SCALE, GROWTH_INTERVAL = 2.0**12, 200
ROWS = (
    *("adapters", "values", "exp_avg", "exp_avg_sq", "losses", "stopped"),
    *("optimizer_steps", "loss_scale", "growth_tracker"),
)


@dataclass
class Pack:
    """K adapters in training, one row per adapter.

    Attributes
    ----------
    adapters : the adapters.
    values : A and B of all layers, float32 of shape (n_adapters, n_values).
    exp_avg, exp_avg_sq : AdamW's two moments, of the same shape.
    losses : float32 of shape (n_adapters, n_steps), nan where a step has not been done.
    stopped : step at which an adapter that diverged was stopped, -1 for the others; of shape (n_adapters,).
    optimizer_steps : steps of the optimizer; float16 skips one where a gradient overflows.
    loss_scale, growth_tracker : float16's loss scale, and the steps since it last changed.
    width : the largest rank of the pack that these rows were made for; a part of a pack keeps it.
    step : steps done.
    """

    adapters: list[Adapter]
    values: "torch.Tensor"
    exp_avg: "torch.Tensor"
    exp_avg_sq: "torch.Tensor"
    losses: np.ndarray
    stopped: np.ndarray
    optimizer_steps: np.ndarray
    loss_scale: np.ndarray
    growth_tracker: np.ndarray
    width: int
    step: int = 0

    def part(self, start: int, stop: int) -> "Pack":
        """Return rows `start` to `stop` as a pack of their own that shares this one's memory."""
        return replace(self, **{name: getattr(self, name)[start:stop] for name in ROWS})


@dataclass(frozen=True)
class Frozen:
    """The frozen base: `models` holds `unet` and, where it carries LoRAs too, `text_encoder`; both on one device."""

    models: dict[str, "torch.nn.Module"]
    scheduler: "SchedulerMixin"


def make_pack(frozen: Frozen, adapters: list[Adapter], width: int | None = None) -> Pack:
    """Start a pack: every A is drawn from its named stream, every B is zero.

    `width` is the room for ranks, by default the largest rank. `init: independent` draws A from (seed, set, layer),
    `init: shared` from (seed, layer) alone.
    """
    import torch

    first = adapters[0].training
    for adapter in adapters[1:]:
        for name in COMMON:
            if getattr(adapter.training, name) != getattr(first, name):
                raise EgaraError(f"{adapter.name}: another {name} than {adapters[0].name}; a pack needs one for all")
    width = width or max(adapter.training.rank for adapter in adapters)
    packed = _packed(frozen, adapters, width)
    owners = [(a.training.seed, *(() if a.training.init == "shared" else (a.name,))) for a in adapters]
    packed.initialise(owners)
    count = len(adapters)
    return Pack(
        adapters=list(adapters),
        values=packed.values,
        exp_avg=torch.zeros_like(packed.values),
        exp_avg_sq=torch.zeros_like(packed.values),
        losses=np.full((count, first.max_train_steps), np.nan, np.float32),
        stopped=np.full(count, -1),
        optimizer_steps=np.zeros(count, int),
        loss_scale=np.full(count, INIT_SCALE if first.mixed_precision == "fp16" else 1.0, np.float32),
        growth_tracker=np.zeros(count, int),
        width=width,
    )


def _packed(frozen: Frozen, adapters: list[Adapter], width: int) -> "PackedAdapters":
    from egara.loras.training.packed import PackedAdapters, find_targets

    training = [adapter.training for adapter in adapters]
    layers = find_targets(frozen.models, training[0].target_modules)
    ranks, alphas = [one.rank for one in training], [one.alpha for one in training]
    return PackedAdapters(frozen.models, layers, ranks, alphas, width)


def train_pack(
    frozen: Frozen,
    pack: Pack,
    on_step: Callable[[Pack], None] = lambda pack: None,
    wrap_unet: Callable[["torch.nn.Module"], Callable] = lambda unet: unet,
) -> list[dict[str, "torch.Tensor"]]:
    """Train a pack, in place, from its current step to its last one.

    Parameters
    ----------
    frozen : the base; it is unchanged afterwards.
    pack : of `make_pack`, or one that was saved.
    on_step : called after every step.
    wrap_unet : applied to the prepared U-Net before it is called, for `torch.compile`.

    Returns
    -------
    One dictionary per adapter: `<layer>.lora_A.weight` and `<layer>.lora_B.weight`, float32 on the CPU.
    """
    import torch

    packed = _packed(frozen, pack.adapters, pack.width)
    packed.values = pack.values
    device, training, count = packed.device, pack.adapters[0].training, len(pack.adapters)
    with packed.attached(), _packed_attention(frozen.models["unet"]), matmul_precision(training.allow_tf32):
        optimizer = _optimizer(pack, packed)
        max_norms = torch.tensor([adapter.training.max_grad_norm for adapter in pack.adapters], device=device)
        unet = wrap_unet(frozen.models["unet"])
        prompt_embeds = None
        while pack.step < training.max_train_steps:
            for group, adapter in zip(optimizer.param_groups, pack.adapters, strict=True):
                group["lr"] = rate_at(adapter.training, pack.step)
            noisy_latents, timesteps, target = (
                part.to(device) for part in noisy_inputs(frozen.scheduler, pack.adapters, pack.step)
            )
            weights = _weights(frozen, pack.adapters, timesteps.cpu()).to(device)
            if prompt_embeds is None or training.train_text_encoder:
                prompt_embeds = _prompt_embeds(frozen, pack.adapters, device)
            with autocast(training.mixed_precision, device):
                model_pred = unet(noisy_latents, timesteps, prompt_embeds).sample
            errors = (model_pred.float() - target).square().flatten(1).mean(1)  # (K x b,)
            losses = (errors * weights).view(count, -1).mean(1)  # (K,)
            packed.gradients.zero_()
            (losses * torch.from_numpy(pack.loss_scale).to(device)).sum().backward()
            _optimizer_step(pack, packed, optimizer, max_norms, errors.detach().view(count, -1).mean(1).cpu().numpy())
            pack.step += 1
            on_step(pack)
    return [packed.tensors(index) for index in range(count)]


@contextmanager
def _packed_attention(unet: "torch.nn.Module") -> "Iterator[None]":
    from egara.loras.training.attention import use_packed_attention

    before = use_packed_attention(unet)
    try:
        yield
    finally:
        unet.set_attn_processor(before)


@contextmanager
def matmul_precision(allow_tf32: bool) -> "Iterator[None]":
    """Allow TF32 products where the settings ask for them."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if allow_tf32 else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def autocast(mixed_precision: str, device: "torch.device") -> "torch.autocast":
    """Return a context in which the frozen model computes in half precision where the settings ask for it."""
    import torch

    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(mixed_precision)
    return torch.autocast(device.type, kind, enabled=kind is not None)


def _optimizer(pack: Pack, packed: "PackedAdapters") -> "torch.optim.AdamW":
    """Return AdamW over the rows, one group per row for its own rate and decay, with the pack's moments in it."""
    import torch

    rows = [torch.nn.Parameter(row) for row in pack.values]
    groups = [
        {"params": [row], "lr": adapter.training.learning_rate, "weight_decay": adapter.training.adam_weight_decay}
        for row, adapter in zip(rows, pack.adapters, strict=True)
    ]
    optimizer = torch.optim.AdamW(groups, fused=True)
    for index, row in enumerate(rows):
        step = torch.tensor(float(pack.optimizer_steps[index]), device=packed.device)
        optimizer.state[row] = {"step": step, "exp_avg": pack.exp_avg[index], "exp_avg_sq": pack.exp_avg_sq[index]}
    return optimizer


def _optimizer_step(
    pack: Pack, packed: "PackedAdapters", optimizer: "torch.optim.AdamW", max_norms: "torch.Tensor", losses: np.ndarray
) -> None:
    """Take one optimizer step for every active adapter; stop those that diverged."""
    import torch

    scaled = pack.adapters[0].training.mixed_precision == "fp16"
    if scaled:
        packed.gradients.div_(torch.from_numpy(pack.loss_scale).to(packed.device)[:, None])
    norms = packed.clip(max_norms).cpu().numpy()
    pack.losses[:, pack.step] = losses
    diverged = ~np.isfinite(losses) | _diverged(pack.losses[:, : pack.step + 1])
    for index, group in enumerate(optimizer.param_groups):
        overflow = not np.isfinite(norms[index])
        if pack.stopped[index] < 0 and (diverged[index] or (overflow and not scaled)):
            pack.stopped[index] = pack.step
            packed.values[index] = 0.0  # ΔW = 0: what is still computed for it is finite
        if scaled:
            _update_scale(pack, index, overflow)
        active = pack.stopped[index] < 0 and not overflow
        group["params"][0].grad = packed.gradients[index] if active else None
        pack.optimizer_steps[index] += active
    optimizer.step()


def _update_scale(pack: Pack, index: int, overflow: bool) -> None:
    """Halve an adapter's loss scale after an overflow, double it after enough steps without one."""
    pack.growth_tracker[index] = 0 if overflow else pack.growth_tracker[index] + 1
    if overflow or pack.growth_tracker[index] == GROWTH_INTERVAL:
        pack.loss_scale[index] *= 0.5 if overflow else 2.0
        pack.growth_tracker[index] = 0


def _diverged(losses: np.ndarray) -> np.ndarray:
    """Tell for each adapter whether its losses so far, of shape (n_adapters, n_steps), say that it has diverged."""
    if losses.shape[1] < DIVERGENCE_WINDOW:
        return np.zeros(len(losses), bool)
    return losses[:, -DIVERGENCE_WINDOW:].mean(1) > DIVERGENCE_LOSS


def _weights(frozen: Frozen, adapters: list[Adapter], timesteps: "torch.Tensor") -> "torch.Tensor":
    import torch

    parts = timesteps.view(len(adapters), -1)
    return torch.cat(
        [loss_weights(frozen.scheduler, part, a.training.snr_gamma) for part, a in zip(parts, adapters, strict=True)]
    )


def _prompt_embeds(frozen: Frozen, adapters: list[Adapter], device: "torch.device") -> "torch.Tensor":
    """Return the captions' embeddings, of shape (n_adapters, n_tokens, width).

    They go through the text encoder where it carries LoRAs.
    """
    import torch

    if not adapters[0].training.train_text_encoder:
        return torch.from_numpy(np.stack([adapter.caption for adapter in adapters])).to(device)
    ids = torch.from_numpy(np.stack([adapter.ids for adapter in adapters])).to(device)
    with autocast(adapters[0].training.mixed_precision, device):
        return frozen.models["text_encoder"](ids).last_hidden_state
