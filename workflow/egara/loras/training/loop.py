"""Train one pack: K adapters over one frozen base, step by step, each with its own data, caption, rank and rate.

A pack is a resumable thing: values, moments and losses by rows, and the number of steps done. It can be saved, split
between two packs or trained on, and goes on as if nothing had happened.
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

    from egara.loras.training.packed import PackedAdapters

# Predicting nothing at all has a mean squared error of 1, for noise and for velocity. An adapter that is worse than
# that over a stretch of steps is ruined; it does not get far above 1, because a U-Net's last normalisation bounds its
# output.
WORTHLESS, STRETCH = 1.0, 20
# float16 gradients underflow without a factor. Each adapter has its own, so that packing changes nothing.
FIRST_FACTOR, PATIENCE = 2.0**12, 200


@dataclass
class Pack:
    """K adapters in training, a row each.

    Attributes
    ----------
    adapters : who they are.
    values, first, second : float32 (K, numbers): A and B of all layers, and AdamW's two moments.
    losses : float32 (K, steps), nan where a step has not been done.
    stopped : (K,) step at which a diverging adapter was stopped, -1 for the others.
    updates : (K,) optimiser steps taken; float16 skips one where a gradient overflows.
    factors, calm : (K,) loss factor of float16 and the steps since it last changed.
    width : the widest rank of the pack that these rows were made for; a part of a pack keeps it.
    step : steps done.
    """

    adapters: list[Adapter]
    values: "torch.Tensor"
    first: "torch.Tensor"
    second: "torch.Tensor"
    losses: np.ndarray
    stopped: np.ndarray
    updates: np.ndarray
    factors: np.ndarray
    calm: np.ndarray
    width: int
    step: int = 0

    def part(self, start: int, stop: int) -> "Pack":
        """Return rows `start` to `stop` as a pack of their own that shares this one's memory."""
        rows = slice(start, stop)
        names = ("adapters", "values", "first", "second", "losses", "stopped", "updates", "factors", "calm")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})


@dataclass(frozen=True)
class Frozen:
    """The frozen base: `models` holds `unet` and, where it carries LoRAs too, `text_encoder`; both on one device."""

    models: dict[str, "torch.nn.Module"]
    scheduler: object


def make_pack(frozen: Frozen, adapters: list[Adapter], width: int | None = None) -> Pack:
    """Start a pack: every A drawn from its named stream, every B zero.

    `width` is the room for ranks, the widest rank when None. `init: independent` draws A from (seed, set, layer),
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
        first=torch.zeros_like(packed.values),
        second=torch.zeros_like(packed.values),
        losses=np.full((count, first.max_train_steps), np.nan, np.float32),
        stopped=np.full(count, -1),
        updates=np.zeros(count, int),
        factors=np.full(count, FIRST_FACTOR if first.mixed_precision == "fp16" else 1.0, np.float32),
        calm=np.zeros(count, int),
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
    tick: Callable[[Pack], None] = lambda pack: None,
    call: Callable[["torch.nn.Module"], Callable] = lambda unet: unet,
) -> list[dict[str, "torch.Tensor"]]:
    """Train a pack, in place, from where it stands to its last step.

    Parameters
    ----------
    frozen : the base; it leaves as it came.
    pack : of `make_pack`, or one that was saved.
    tick : called after every step.
    call : turns the prepared U-Net into what is called, for `torch.compile`.

    Returns
    -------
    One dictionary an adapter: `<layer>.lora_A.weight` and `<layer>.lora_B.weight`, float32 on the CPU.
    """
    import torch

    packed = _packed(frozen, pack.adapters, pack.width)
    packed.values = pack.values
    device, training = packed.device, pack.adapters[0].training
    with packed.attached(), _packed_attention(frozen.models["unet"]), arithmetic(training.allow_tf32):
        optimiser = _optimiser(pack, packed)
        limits = torch.tensor([adapter.training.max_grad_norm for adapter in pack.adapters], device=device)
        predict = call(frozen.models["unet"])
        captions = None
        while pack.step < training.max_train_steps:
            noisy, times, target = (
                part.to(device) for part in noisy_inputs(frozen.scheduler, pack.adapters, pack.step)
            )
            weights = _weights(frozen, pack.adapters, times.cpu()).to(device)
            if captions is None or training.train_text_encoder:
                captions = _captions(frozen, pack.adapters, device)
            with autocast(training.mixed_precision, device):
                guess = predict(noisy, times, captions).sample
            error = (guess.float() - target).square().flatten(1).mean(1)  # (K x b,)
            each = (error * weights).view(len(pack.adapters), -1).mean(1)  # (K,)
            packed.gradients.zero_()
            (each * torch.from_numpy(pack.factors).to(device)).sum().backward()
            _update(pack, packed, optimiser, limits, error.detach().view(len(pack.adapters), -1).mean(1).cpu().numpy())
            pack.step += 1
            tick(pack)
    return [packed.tensors(index) for index in range(len(pack.adapters))]


@contextmanager
def _packed_attention(unet: "torch.nn.Module") -> "Iterator[None]":
    from egara.loras.training.attention import use_packed_attention

    before = use_packed_attention(unet)
    try:
        yield
    finally:
        unet.set_attn_processor(before)


@contextmanager
def arithmetic(allow_tf32: bool) -> "Iterator[None]":
    """Allow TF32 products where the settings ask for them."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if allow_tf32 else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def autocast(mixed_precision: str, device: "torch.device") -> "torch.autocast":
    """Return the context in which the frozen model's products are half precision where the settings ask for it."""
    import torch

    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(mixed_precision)
    return torch.autocast(device.type, kind, enabled=kind is not None)


def _optimiser(pack: Pack, packed: "PackedAdapters") -> "torch.optim.AdamW":
    """Return AdamW over the rows, one group a row for its own rate and decay, with the pack's moments in it."""
    import torch

    rows = [torch.nn.Parameter(row) for row in pack.values]
    groups = [
        {"params": [row], "lr": adapter.training.learning_rate, "weight_decay": adapter.training.adam_weight_decay}
        for row, adapter in zip(rows, pack.adapters, strict=True)
    ]
    optimiser = torch.optim.AdamW(groups, fused=True)
    for index, row in enumerate(rows):
        step = torch.tensor(float(pack.updates[index]), device=packed.device)
        optimiser.state[row] = {"step": step, "exp_avg": pack.first[index], "exp_avg_sq": pack.second[index]}
    return optimiser


def _update(
    pack: Pack, packed: "PackedAdapters", optimiser: "torch.optim.AdamW", limits: "torch.Tensor", losses: np.ndarray
) -> None:
    """Take one optimiser step for every adapter that is well; stop the others where they are."""
    import torch

    half = pack.adapters[0].training.mixed_precision == "fp16"
    if half:
        packed.gradients.div_(torch.from_numpy(pack.factors).to(packed.device)[:, None])
    norms = packed.clip(limits).cpu().numpy()
    pack.losses[:, pack.step] = losses
    diverging = _diverging(pack.losses[:, : pack.step + 1])
    for index, (adapter, group) in enumerate(zip(pack.adapters, optimiser.param_groups, strict=True)):
        ill = not np.isfinite(losses[index]) or diverging[index]
        overflow = not np.isfinite(norms[index])
        if pack.stopped[index] < 0 and (ill or (overflow and not half)):
            pack.stopped[index] = pack.step
            packed.values[index] = 0.0  # ΔW = 0: what is still computed for it stays finite
        if half:
            pack.calm[index] = 0 if overflow else pack.calm[index] + 1
            if overflow or pack.calm[index] == PATIENCE:
                pack.factors[index] *= 0.5 if overflow else 2.0
                pack.calm[index] = 0
        well = pack.stopped[index] < 0 and not overflow
        group["params"][0].grad = packed.gradients[index] if well else None
        pack.updates[index] += well
        group["lr"] = rate_at(adapter.training, pack.step)
    optimiser.step()


def _diverging(losses: np.ndarray) -> np.ndarray:
    """Tell for each adapter whether its losses so far, (K, steps), say that it has diverged."""
    if losses.shape[1] < STRETCH:
        return np.zeros(len(losses), bool)
    return losses[:, -STRETCH:].mean(1) > WORTHLESS


def _weights(frozen: Frozen, adapters: list[Adapter], times: "torch.Tensor") -> "torch.Tensor":
    import torch

    parts = times.view(len(adapters), -1)
    return torch.cat(
        [loss_weights(frozen.scheduler, part, a.training.snr_gamma) for part, a in zip(parts, adapters, strict=True)]
    )


def _captions(frozen: Frozen, adapters: list[Adapter], device: "torch.device") -> "torch.Tensor":
    """Return the captions' embeddings, (K, tokens, width); through the text encoder where it carries LoRAs."""
    import torch

    if not adapters[0].training.train_text_encoder:
        return torch.from_numpy(np.stack([adapter.caption for adapter in adapters])).to(device)
    ids = torch.from_numpy(np.stack([adapter.ids for adapter in adapters])).to(device)
    with autocast(adapters[0].training.mixed_precision, device):
        return frozen.models["text_encoder"](ids).last_hidden_state
