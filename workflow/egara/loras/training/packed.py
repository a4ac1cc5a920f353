"""Packed adapters: K LoRAs over one frozen model in one forward and backward pass.

The batch is adapter-major, (K x b, ...). The frozen layer computes it as a whole; each LoRA computes its own b rows, in
two batched matrix products. No layer of these models mixes samples, so each adapter gets the gradient that it would get
alone. PEFT mixes adapters in one batch in inference only (`adapter_names`); training them so is what this module adds.
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
CROSS_ATTENTION = ("attn2.to_k", "attn2.to_v")
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
    """A frozen linear layer with K LoRAs.

    Parameters
    ----------
    base_layer : the frozen layer, of (inputs -> outputs).
    lora_A : the K matrices A, of shape (K, rank, inputs).
    lora_B : the K matrices B, of shape (K, outputs, rank).
    scaling : alpha / rank of each, of shape (K, 1, 1).
    cross_attention : the layer's input is the embedded captions alone, which are the same tensor at every step.
    """

    def __init__(
        self,
        base_layer: torch.nn.Linear,
        lora_A: torch.Tensor,
        lora_B: torch.Tensor,
        scaling: torch.Tensor,
        cross_attention: bool = False,
    ) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.lora_A = torch.nn.Parameter(lora_A)
        self.lora_B = torch.nn.Parameter(lora_B)
        self.scaling = scaling
        self.cross_attention = cross_attention
        self._cached_input, self._cached_output = None, None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (K x b, ..., inputs) to (K x b, ..., outputs)."""
        if self.cross_attention and not x.requires_grad:
            return self._cached_prompt_forward(x)
        weight, bias = self.base_layer.weight, self.base_layer.bias
        return _LinearWithLoras.apply(x, weight, bias, self.lora_A, self.lora_B, self.scaling)

    def _cached_prompt_forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the frozen layer once for captions that do not change, because no text encoder is trained."""
        if self._cached_input is not x:
            self._cached_input, self._cached_output = x, self.base_layer(x)
        y, count = self._cached_output, len(self.lora_A)
        hidden = torch.bmm(x.reshape(count, -1, x.shape[-1]), self.lora_A.mT) * self.scaling  # (K, tokens, rank)
        packed = y.reshape(count, -1, y.shape[-1])
        return torch.baddbmm(packed, hidden.to(y.dtype), self.lora_B.mT.to(y.dtype)).view(y.shape)


class _LinearWithLoras(torch.autograd.Function):
    """x Wᵀ + b + s (x Aᵀ) Bᵀ for K pairs (A, B), with a backward pass of its own.

    Left to autograd, the sums in both passes copy whole activations: 64 -> 512 outputs of 7,680 pixels, for example.
    Here the second product adds in place to the first one's output. No gradient of W or b is computed.
    """

    @staticmethod
    def forward(
        ctx: "torch.autograd.function.FunctionCtx",
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        lora_A: torch.Tensor,
        lora_B: torch.Tensor,
        scaling: torch.Tensor,
    ) -> torch.Tensor:
        dtype = torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else x.dtype
        with torch.autocast(x.device.type, enabled=False):
            inputs = x.reshape(len(lora_A), -1, x.shape[-1]).to(dtype)  # (K, b x tokens, inputs)
            weight, lora_A, lora_B = weight.to(dtype), lora_A.to(dtype), lora_B.to(dtype)
            y = torch.nn.functional.linear(inputs, weight, None if bias is None else bias.to(dtype))
            hidden = torch.bmm(inputs, lora_A.mT).mul_(scaling)  # (K, b x tokens, rank)
            y.baddbmm_(hidden, lora_B.mT)
        ctx.save_for_backward(inputs, hidden, weight, lora_A, lora_B, scaling)
        ctx.shape, ctx.dtype = x.shape, x.dtype
        return y.view(*x.shape[:-1], y.shape[-1])

    @staticmethod
    def backward(ctx: "torch.autograd.function.FunctionCtx", gradient: torch.Tensor) -> tuple:
        inputs, hidden, weight, lora_A, lora_B, scaling = ctx.saved_tensors
        with torch.autocast(gradient.device.type, enabled=False):
            grad_y = gradient.reshape(len(lora_A), -1, gradient.shape[-1]).to(inputs.dtype)
            grad_hidden = torch.bmm(grad_y, lora_B).mul_(scaling)
            grad_B = torch.bmm(grad_y.mT, hidden).float()
            grad_A = torch.bmm(grad_hidden.mT, inputs).float()
            grad_x = None
            if ctx.needs_input_grad[0]:
                grad_x = torch.matmul(grad_y, weight).baddbmm_(grad_hidden, lora_A).view(ctx.shape).to(ctx.dtype)
        return grad_x, None, None, grad_A, grad_B, None


class PackedAdapters:
    """K LoRAs of the linear layers of frozen models, in one matrix of all values with one row per adapter.

    With one matrix AdamW is one fused call, clipping one norm per row, a checkpoint a few tensors, and a split a slice.
    A rank below the pack's largest leaves zeros, which remain zero: their gradients are products with zeros.

    Attributes
    ----------
    values, gradients : float32 of shape (n_adapters, n_values): of each layer A (width, inputs), then B (outputs,
        width).
    width : room for ranks; the largest rank of the pack that the rows were made for.
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
        """Yield each layer's name and its views of `matrix`: A (K, width, inputs) and B (K, outputs, width)."""
        start, (rows, numbers) = matrix.storage_offset(), matrix.shape
        for name, layer in self.frozen.items():
            inputs, outputs = layer.in_features, layer.out_features
            middle = start + self.width * inputs
            lora_A = matrix.as_strided((rows, self.width, inputs), (numbers, inputs, 1), start)
            lora_B = matrix.as_strided((rows, outputs, self.width), (numbers, self.width, 1), middle)
            yield name, lora_A, lora_B
            start = middle + self.width * outputs

    def initialise(self, owners: list[tuple[str | int, ...]]) -> None:
        """Draw every A from the stream of its owner and layer; B is zero, so ΔW starts at zero."""
        self.values.zero_()
        for name, lora_A, _ in self.views(self.values):
            for index, (rank, names) in enumerate(zip(self.ranks, owners, strict=True)):
                lora_A[index, :rank] = init_lora_A(rank, lora_A.shape[2], (*names, "init", name)).to(self.device)

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Replace the frozen layers by ones with LoRAs, and put the frozen layers back at the end."""
        for model in self.models.values():
            model.requires_grad_(False)
        parts = zip(self.views(self.values), self.views(self.gradients), strict=True)
        for (name, lora_A, lora_B), (_, grad_A, grad_B) in parts:
            cross_attention = name.startswith("unet.") and name.endswith(CROSS_ATTENTION)
            layer = PackedLinear(self.frozen[name], lora_A, lora_B, self.scaling, cross_attention)
            layer.lora_A.grad, layer.lora_B.grad = grad_A, grad_B
            self._set_layer(name, layer)
        try:
            with warnings.catch_warnings():
                # Rows of one matrix have other strides than parameters of their own; nothing is copied for it.
                warnings.filterwarnings("ignore", "grad and param do not obey the gradient layout contract")
                yield
        finally:
            for name, layer in self.frozen.items():
                self._set_layer(name, layer)

    def _set_layer(self, name: str, layer: torch.nn.Module) -> None:
        part, _, path = name.partition(".")
        owner, _, child = path.rpartition(".")
        self.models[part].get_submodule(owner).register_module(child, layer)

    def clip(self, max_norms: torch.Tensor) -> torch.Tensor:
        """Scale each adapter's gradient to at most its norm of `max_norms`, (K,); returns the norms before, (K,).

        The rule of `torch.nn.utils.clip_grad_norm_`, applied to every adapter alone.
        """
        norms = torch.linalg.vector_norm(self.gradients, dim=1)
        self.gradients.mul_((max_norms / (norms + 1e-6)).clamp(max=1.0)[:, None])
        return norms

    def tensors(self, index: int) -> dict[str, torch.Tensor]:
        """Return one adapter as `<layer>.lora_A.weight` (rank, inputs) and `<layer>.lora_B.weight` (outputs, rank)."""
        rank, found = self.ranks[index], {}
        for name, lora_A, lora_B in self.views(self.values):
            found[f"{name}.lora_A.weight"] = lora_A[index, :rank].detach().cpu().clone()
            found[f"{name}.lora_B.weight"] = lora_B[index, :, :rank].detach().cpu().clone()
        return found


def init_lora_A(rank: int, inputs: int, names: tuple[str | int, ...]) -> torch.Tensor:
    """Draw A as PEFT does: Kaiming-uniform with a = √5, that is uniform in ±1/√inputs; of shape (rank, inputs).

    The first rows of a larger rank are the rows of a smaller one, so that ranks can be compared.
    """
    bound = 1 / math.sqrt(inputs)
    values = stream(*names).uniform(-bound, bound, (rank, inputs))
    return torch.from_numpy(values).float()
