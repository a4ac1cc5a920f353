"""Packed adapters: K LoRAs over one frozen model in one forward and backward pass.

The batch is adapter-major, (K x b, ...). The frozen layer sees it whole; each LoRA sees its own b rows by two batched
matrix products. Nothing mixes samples in these models, so each adapter gets the gradient that it would get alone.
"""

import math
from typing import TYPE_CHECKING

import torch

from egara.errors import EgaraError
from egara.seeds import stream

if TYPE_CHECKING:
    from collections.abc import Sequence

# Endings of module names in diffusers' transformer blocks.
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
FEED_FORWARD = ("ff.net.0.proj", "ff.net.2")
TARGETS = {"attention": ATTENTION, "linear": ATTENTION + FEED_FORWARD}


def find_targets(model: torch.nn.Module, targets: "str | Sequence[str]") -> list[str]:
    """Return the sorted names of the linear layers that carry a LoRA.

    Parameters
    ----------
    model : the frozen model.
    targets : `attention`, `linear` (attention and feed-forward) or a list of module name endings.
    """
    endings = TARGETS.get(targets, ()) if isinstance(targets, str) else tuple(targets)
    if not endings:
        raise EgaraError(f"targets {targets!r}: expected attention, linear or a list of module name endings")
    linear = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    for ending in endings:
        if not any(_ends(name, ending) for name in linear):
            raise EgaraError(
                f"target {ending!r}: matches no linear layer of the model; expected an ending such as to_q"
            )
    return sorted(name for name in linear if any(_ends(name, ending) for ending in endings))


def _ends(name: str, ending: str) -> bool:
    return name == ending or name.endswith(f".{ending}")


class PackedLinear(torch.nn.Module):
    """A frozen linear layer with K LoRAs beside it.

    Parameters
    ----------
    base : the frozen layer, outputs x inputs.
    down : (K, rank, inputs), the K matrices A.
    up : (K, outputs, rank), the K matrices B.
    scale : alpha / rank.
    """

    def __init__(self, base: torch.nn.Linear, down: torch.Tensor, up: torch.Tensor, scale: float) -> None:
        super().__init__()
        self.base = base
        self.down = torch.nn.Parameter(down)
        self.up = torch.nn.Parameter(up)
        self.scale = scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (K x b, ..., inputs) to (K x b, ..., outputs)."""
        packs = len(self.down)
        y = self.base(x)
        hidden = torch.bmm(x.reshape(packs, -1, x.shape[-1]), self.down.mT)  # (K, b x tokens, rank)
        update = torch.baddbmm(y.reshape(packs, -1, y.shape[-1]), hidden, self.up.mT, alpha=self.scale)
        return update.reshape(y.shape)


def initial_down(rank: int, inputs: int, names: tuple[str | int, ...]) -> torch.Tensor:
    """Draw A as PEFT does: Kaiming-uniform with a = √5, that is uniform in ±1/√inputs; float32 (rank, inputs).

    The first rows of a larger rank are the rows of a smaller one, so that ranks can be compared.
    """
    bound = 1 / math.sqrt(inputs)
    values = stream(*names).uniform(-bound, bound, (rank, inputs))
    return torch.from_numpy(values).float()


def attach_adapters(
    model: torch.nn.Module, layers: list[str], sets: list[str], rank: int, alpha: float, init: str, seed: int
) -> dict[str, PackedLinear]:
    """Put one LoRA a set beside every named layer of `model`, in place, and freeze the rest.

    `init: independent` draws A from (seed, set, layer), `init: shared` from (seed, layer) alone; B starts at zero.
    """
    if init not in ("independent", "shared"):
        raise EgaraError(f"init {init!r}: expected independent or shared")
    model.requires_grad_(False)
    packed = {}
    for name in layers:
        owner, _, child = name.rpartition(".")
        parent = model.get_submodule(owner)
        base = parent.get_submodule(child)
        owners = [(seed, "init", name) if init == "shared" else (seed, one, "init", name) for one in sets]
        down = torch.stack([initial_down(rank, base.in_features, names) for names in owners])
        up = torch.zeros(len(sets), base.out_features, rank)
        device = base.weight.device
        packed[name] = PackedLinear(base, down.to(device), up.to(device), alpha / rank)
        parent.register_module(child, packed[name])
    return packed


def detach_adapters(model: torch.nn.Module, packed: dict[str, PackedLinear]) -> None:
    """Put the frozen layers back, in place."""
    for name, layer in packed.items():
        owner, _, child = name.rpartition(".")
        model.get_submodule(owner).register_module(child, layer.base)


def clip_gradients(packed: dict[str, PackedLinear], limit: float) -> torch.Tensor:
    """Scale each adapter's gradient to a norm of at most `limit`; returns the norms before, (K,).

    The same rule as `torch.nn.utils.clip_grad_norm_`, applied to every adapter alone.
    """
    gradients = [weight.grad for layer in packed.values() for weight in (layer.down, layer.up)]
    norms = torch.stack([g.flatten(1).square().sum(1) for g in gradients]).sum(0).sqrt()
    factor = (limit / (norms + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(factor[:, None, None])
    return norms
