"""Packed adapters: K LoRAs over one frozen model in one forward and backward pass.

The batch is adapter-major, (K x b, ...). The frozen layer sees it whole; each LoRA sees its own b rows by two batched
matrix products. Nothing mixes samples in these models, so each adapter gets the gradient that it would get alone.
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from egara.io.errors import EgaraError
from egara.seeds import stream

# Endings of module names in diffusers' transformer blocks and in CLIP's text model.
ATTENTION = {"unet": ("to_q", "to_k", "to_v", "to_out.0"), "text_encoder": ("q_proj", "k_proj", "v_proj", "out_proj")}
FEED_FORWARD = {"unet": ("ff.net.0.proj", "ff.net.2"), "text_encoder": ("fc1", "fc2")}
CAPTIONED = ("attn2.to_k", "attn2.to_v")
TARGETS = {
    "attention": ATTENTION,
    "linear": {part: ATTENTION[part] + FEED_FORWARD[part] for part in ATTENTION},
}


def find_targets(models: dict[str, torch.nn.Module], targets: str | Sequence[str]) -> list[str]:
    """Return the sorted names, `unet.…` and `text_encoder.…`, of the linear layers that carry a LoRA.

    Parameters
    ----------
    models : the frozen models by part.
    targets : `attention`, `linear` (attention and feed-forward) or a list of module name endings.
    """
    if isinstance(targets, str) and targets not in TARGETS or not targets:
        raise EgaraError(f"targets {targets!r}: expected attention, linear or a list of module name endings")
    found, unmatched = [], set(() if isinstance(targets, str) else targets)
    for part, model in models.items():
        endings = TARGETS[targets][part] if isinstance(targets, str) else targets
        for name, module in model.named_modules():
            matching = [ending for ending in endings if name == ending or name.endswith(f".{ending}")]
            if matching and isinstance(module, torch.nn.Linear):
                found.append(f"{part}.{name}")
                unmatched -= set(matching)
    if unmatched or not found:
        raise EgaraError(
            f"target {', '.join(sorted(unmatched)) or targets}: matches no linear layer of {' or '.join(models)}; "
            "expected an ending such as to_q"
        )
    return sorted(found)


class PackedLinear(torch.nn.Module):
    """A frozen linear layer with K LoRAs beside it.

    Parameters
    ----------
    base : the frozen layer, outputs x inputs.
    down : (K, rank, inputs), the K matrices A.
    up : (K, outputs, rank), the K matrices B.
    scale : (K, 1, 1), alpha / rank of each.
    captioned : the layer sees nothing but the embedded captions, which come again at every step.
    """

    def __init__(
        self,
        base: torch.nn.Linear,
        down: torch.Tensor,
        up: torch.Tensor,
        scale: torch.Tensor,
        captioned: bool = False,
    ) -> None:
        super().__init__()
        self.base = base
        self.lora_A = torch.nn.Parameter(down)
        self.lora_B = torch.nn.Parameter(up)
        self.scaling = scale
        self.captioned = captioned
        self._seen, self._answer = None, None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (K x b, ..., inputs) to (K x b, ..., outputs)."""
        if self.captioned and not x.requires_grad:
            return self._of_caption(x)
        weight, bias = self.base.weight, self.base.bias
        return _LinearWithLoras.apply(x, weight, bias, self.lora_A, self.lora_B, self.scaling)

    def _of_caption(self, x: torch.Tensor) -> torch.Tensor:
        """Keep the frozen layer's answer to captions that no text encoder's LoRA changes."""
        if self._seen is not x:
            self._seen, self._answer = x, self.base(x)
        y, packs = self._answer, len(self.lora_A)
        hidden = torch.bmm(x.reshape(packs, -1, x.shape[-1]), self.lora_A.mT) * self.scaling  # (K, tokens, rank)
        packed = y.reshape(packs, -1, y.shape[-1])
        return torch.baddbmm(packed, hidden.to(y.dtype), self.lora_B.mT.to(y.dtype)).view(y.shape)


class _LinearWithLoras(torch.autograd.Function):
    """x Wᵀ + b + s (x Aᵀ) Bᵀ for K pairs (A, B), with a backward pass of its own.

    Left to autograd, the sums on the way forth and back copy whole activations: 64 -> 512 outputs of 7,680 pixels, say.
    Here each second product adds in place to what the first has written. No gradient of W or b is formed.
    """

    @staticmethod
    def forward(
        ctx: "torch.autograd.function.FunctionCtx",
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        down: torch.Tensor,
        up: torch.Tensor,
        scale: torch.Tensor,
    ) -> torch.Tensor:
        kind = torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else x.dtype
        with torch.autocast(x.device.type, enabled=False):
            inner = x.reshape(len(down), -1, x.shape[-1]).to(kind)  # (K, b x tokens, inputs)
            weight, down_kind, up_kind = weight.to(kind), down.to(kind), up.to(kind)
            y = torch.nn.functional.linear(inner, weight, None if bias is None else bias.to(kind))
            hidden = torch.bmm(inner, down_kind.mT).mul_(scale)  # (K, b x tokens, rank)
            y.baddbmm_(hidden, up_kind.mT)
        ctx.save_for_backward(inner, hidden, weight, down_kind, up_kind, scale)
        ctx.shape, ctx.kind = x.shape, x.dtype
        return y.view(*x.shape[:-1], y.shape[-1])

    @staticmethod
    def backward(ctx: "torch.autograd.function.FunctionCtx", gradient: torch.Tensor) -> tuple:
        inner, hidden, weight, down, up, scale = ctx.saved_tensors
        with torch.autocast(gradient.device.type, enabled=False):
            outer = gradient.reshape(len(down), -1, gradient.shape[-1]).to(inner.dtype)
            of_hidden = torch.bmm(outer, up).mul_(scale)
            of_up = torch.bmm(outer.mT, hidden).float()
            of_down = torch.bmm(of_hidden.mT, inner).float()
            of_x = None
            if ctx.needs_input_grad[0]:
                of_x = torch.matmul(outer, weight).baddbmm_(of_hidden, down).view(ctx.shape).to(ctx.kind)
        return of_x, None, None, of_down, of_up, None


class PackedAdapters:
    """K LoRAs beside the linear layers of frozen models, one row an adapter in one matrix of all values.

    One matrix makes AdamW one fused call, clipping one norm a row, a checkpoint a few tensors, and a split a slice.
    A smaller rank than the widest of the pack leaves zeros, which stay zero: their gradients are products with zeros.

    Attributes
    ----------
    values, gradients : float32 (K, numbers), a layer's A (width, inputs) and B (outputs, width) one after the other.
    width : room for ranks; the widest of the pack that the rows were made for.
    """

    def __init__(
        self,
        models: dict[str, torch.nn.Module],
        layers: list[str],
        ranks: Sequence[int],
        alphas: Sequence[float],
        width: int,
    ) -> None:
        self.models, self.ranks, self.width = models, list(ranks), width
        self.device = next(next(iter(models.values())).parameters()).device
        self.frozen = {name: models[name.partition(".")[0]].get_submodule(name.partition(".")[2]) for name in layers}
        sizes = [self.width * (layer.in_features + layer.out_features) for layer in self.frozen.values()]
        self.values = torch.zeros(len(ranks), sum(sizes), device=self.device)
        self.gradients = torch.zeros_like(self.values)
        self.scaling = torch.tensor([a / r for a, r in zip(alphas, ranks, strict=True)], device=self.device)[
            :, None, None
        ]

    def views(self, matrix: torch.Tensor) -> Iterator[tuple[str, torch.Tensor, torch.Tensor]]:
        """Yield each layer's name and its parts of `matrix`: A (K, rank, inputs) and B (K, outputs, rank)."""
        start, (rows, numbers) = matrix.storage_offset(), matrix.shape
        for name, layer in self.frozen.items():
            inputs, outputs = layer.in_features, layer.out_features
            middle = start + self.width * inputs
            down = matrix.as_strided((rows, self.width, inputs), (numbers, inputs, 1), start)
            up = matrix.as_strided((rows, outputs, self.width), (numbers, self.width, 1), middle)
            yield name, down, up
            start = middle + self.width * outputs

    def initialise(self, owners: list[tuple[str | int, ...]]) -> None:
        """Draw every A from the stream that its owner and layer name; B is zero, so ΔW starts at zero."""
        self.values.zero_()
        for name, down, _ in self.views(self.values):
            for index, (rank, names) in enumerate(zip(self.ranks, owners, strict=True)):
                down[index, :rank] = initial_down(rank, down.shape[2], (*names, "init", name)).to(self.device)

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Put the LoRAs beside their layers, and the frozen layers back at the end."""
        for model in self.models.values():
            model.requires_grad_(False)
        parts = zip(self.views(self.values), self.views(self.gradients), strict=True)
        for (name, down, up), (_, down_gradient, up_gradient) in parts:
            captioned = name.startswith("unet.") and name.endswith(CAPTIONED)
            layer = PackedLinear(self.frozen[name], down, up, self.scaling, captioned)
            layer.lora_A.grad, layer.lora_B.grad = down_gradient, up_gradient
            self._place(name, layer)
        try:
            with warnings.catch_warnings():
                # Rows of one matrix are not laid out as lone parameters would be; nothing is copied for it.
                warnings.filterwarnings("ignore", "grad and param do not obey the gradient layout contract")
                yield
        finally:
            for name, layer in self.frozen.items():
                self._place(name, layer)

    def _place(self, name: str, layer: torch.nn.Module) -> None:
        part, _, path = name.partition(".")
        owner, _, child = path.rpartition(".")
        self.models[part].get_submodule(owner).register_module(child, layer)

    def clip(self, limits: torch.Tensor) -> torch.Tensor:
        """Scale each adapter's gradient to a norm of at most its limit, (K,); returns the norms before, (K,).

        The rule of `torch.nn.utils.clip_grad_norm_`, applied to every adapter alone.
        """
        norms = torch.linalg.vector_norm(self.gradients, dim=1)
        self.gradients.mul_((limits / (norms + 1e-6)).clamp(max=1.0)[:, None])
        return norms

    def tensors(self, index: int) -> dict[str, torch.Tensor]:
        """Return one adapter as `<layer>.lora_A.weight` (rank, inputs) and `<layer>.lora_B.weight` (outputs, rank)."""
        rank, found = self.ranks[index], {}
        for name, down, up in self.views(self.values):
            found[f"{name}.lora_A.weight"] = down[index, :rank].detach().cpu().clone()
            found[f"{name}.lora_B.weight"] = up[index, :, :rank].detach().cpu().clone()
        return found


def initial_down(rank: int, inputs: int, names: tuple[str | int, ...]) -> torch.Tensor:
    """Draw A as PEFT does: Kaiming-uniform with a = √5, that is uniform in ±1/√inputs; float32 (rank, inputs).

    The first rows of a larger rank are the rows of a smaller one, so that ranks can be compared.
    """
    bound = 1 / math.sqrt(inputs)
    values = stream(*names).uniform(-bound, bound, (rank, inputs))
    return torch.from_numpy(values).float()
