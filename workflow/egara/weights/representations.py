"""How a LoRA becomes a point: each representation gives the inner products of one layer of n LoRAs.

A LoRA's vector is the concatenation over layers, so its Gram matrix is the sum over layers. `{name}-layerwise` first
normalises each layer's part of each LoRA to unit norm, so that layers of large updates do not drown the others.

A new representation is one decorated function on this page, at its place in the order of tables. The command line,
the configuration, tables, figures and the report take its name, label and order from here.

ΔW = s B A with s = alpha / rank, lora_A = A of shape (rank, inputs), lora_B = B of shape (outputs, rank). Most
representations of ΔW are invariant to (B M, M⁻¹ A), another factorisation of the same update.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from egara.loras.files import Factors
from egara.registry import Registry
from egara.seeds import stream
from egara.weights.products import (
    column_space,
    delta_by_ranks,
    delta_by_rows,
    gram_of_columns,
    inner_side,
    outer_side,
    rows_are_cheaper,
    singular_values,
    squared_norm,
    squared_products,
)  # fmt: skip

LAYERWISE = "-layerwise"
FACTORISATION = "another factorisation (B M, M⁻¹ A) of the same update"


class Layer(NamedTuple):
    """One layer of n LoRAs: its module name, and the factors of each LoRA."""

    name: str
    loras: list[Factors]


@dataclass(frozen=True)
class Representation:
    """How a LoRA becomes a point.

    Attributes
    ----------
    gram : one layer of n LoRAs -> its inner products, of shape (n, n).
    label : in tables, figures and the report.
    formula : the vector whose inner products these are.
    any_rank : whether LoRAs of different ranks can be compared.
    invariant_to : what may change in a LoRA without a change here.
    vectors : one layer of n LoRAs -> their vectors, of shape (n, d) float32; IncrementalPCA runs where they are given.
    short : the vectors are short enough to be cached, and the Gram matrix is computed from them.
    from_delta : the layer's Gram matrix in `delta` -> that in this representation, where it can be computed from it.
    """

    gram: Callable[[Layer], np.ndarray]
    label: str
    formula: str
    any_rank: bool
    invariant_to: str
    vectors: Callable[[Layer], np.ndarray] | None = None
    short: bool = False
    from_delta: Callable[[np.ndarray], np.ndarray] | None = None


REPRESENTATIONS: Registry[Representation] = Registry("representation")


def representation(name: str, **attributes: object) -> Callable[[Callable], Callable]:
    """Register the decorated function as the `gram` of a representation; for `attributes` see `Representation`."""

    def register(gram: Callable[[Layer], np.ndarray]) -> Callable[[Layer], np.ndarray]:
        REPRESENTATIONS.add(name, Representation(gram, **attributes))
        return gram

    return register


def names() -> list[str]:
    """Return all names that `find` knows."""
    return [name + ending for ending in ("", LAYERWISE) for name in REPRESENTATIONS]


def find(name: str) -> Representation:
    """Return a representation by name, `-layerwise` or not; an unknown name is an `EgaraError`."""
    plain = REPRESENTATIONS[name.removesuffix(LAYERWISE)]
    if not name.endswith(LAYERWISE):
        return plain
    derive = plain.from_delta
    return replace(
        plain,
        gram=lambda layer: normalise_layer(plain.gram(layer)),
        label=f"{plain.label}, layer by layer",
        vectors=None,
        short=False,
        from_delta=derive and (lambda gram: normalise_layer(derive(gram))),
    )


def label_of(name: str) -> str:
    """Return the label of a representation, `-layerwise` or not; an unknown name stays as it is."""
    return find(name).label if name.removesuffix(LAYERWISE) in REPRESENTATIONS else name


def vector_length(name: str, rank: int, inputs: int, outputs: int) -> int:
    """Return how many numbers the vector of one LoRA has for a layer of these sizes."""
    lora = Factors(np.zeros((rank, inputs), np.float32), np.zeros((outputs, rank), np.float32), 1.0)
    return find(name).vectors(Layer("", [lora])).shape[1]


def normalise_layer(gram: np.ndarray) -> np.ndarray:
    """Scale each vector of a layer's Gram matrix, of shape (n, n), to unit norm; zero vectors stay zero."""
    norms = np.sqrt(np.diag(gram))
    scales = np.where(norms > 0, 1 / np.where(norms > 0, norms, 1.0), 0.0)
    return gram * np.outer(scales, scales)


def _flat(layer: Layer) -> np.ndarray:
    return np.stack([np.concatenate([lora.lora_A.ravel(), lora.lora_B.ravel()]) for lora in layer.loras])


@representation(
    "factors", label="factors A and B", formula="(A, B), flattened", any_rank=False, invariant_to="nothing",
    vectors=_flat,
)  # fmt: skip
def factors(layer: Layer) -> np.ndarray:
    """Inner products of A and B, flattened and concatenated, as published; without the scaling.

    Shimoide & Ito §5.2; Liu et al., arXiv 2412.12048.
    """
    return down(layer) + up(layer)


def _itself(gram: np.ndarray) -> np.ndarray:
    return gram


@representation(
    "delta", label="update ΔW = BA", formula="ΔW", any_rank=True, invariant_to=FACTORISATION, from_delta=_itself
)
def delta(layer: Layer) -> np.ndarray:
    """Inner products of the updates, without forming them where ranks are small; both ways are exact.

    ⟨ΔW₁, ΔW₂⟩ = s₁ s₂ Σ (B₁ᵀ B₂) ∘ (A₁ A₂ᵀ) needs rank x rank products only.
    """
    return delta_by_rows(layer.loras) if rows_are_cheaper(layer.loras) else delta_by_ranks(layer.loras)


@representation("down", label="factor A", formula="A, flattened", any_rank=False, invariant_to="a change of B")
def down(layer: Layer) -> np.ndarray:
    """Inner products of A, flattened; without the scaling."""
    return gram_of_columns(np.stack([lora.lora_A.ravel() for lora in layer.loras]))  # of (n, rank * inputs)


@representation("up", label="factor B", formula="B, flattened", any_rank=False, invariant_to="a change of A")
def up(layer: Layer) -> np.ndarray:
    """Inner products of B, flattened; without the scaling."""
    return gram_of_columns(np.stack([lora.lora_B.ravel() for lora in layer.loras]))  # of (n, outputs * rank)


@representation(
    "output", label="output side ΔWΔWᵀ", formula="ΔW ΔWᵀ", any_rank=True,
    invariant_to=f"{FACTORISATION}; a rotation of the inputs",
)  # fmt: skip
def output(layer: Layer) -> np.ndarray:
    """Inner products of what updates write: with ΔW ΔWᵀ = C Cᵀ, ⟨ΔW₁ ΔW₁ᵀ, ΔW₂ ΔW₂ᵀ⟩ = ‖C₁ᵀ C₂‖².

    Fourth powers of weights: layers of large updates weigh far more than in `delta`, unless `-layerwise`.
    """
    return squared_products([outer_side(lora).T for lora in layer.loras])


@representation(
    "input", label="input side ΔWᵀΔW", formula="ΔWᵀ ΔW", any_rank=True,
    invariant_to=f"{FACTORISATION}; a rotation of the outputs",
)  # fmt: skip
def input_side(layer: Layer) -> np.ndarray:
    """Inner products of what updates read, as in `output`."""
    return squared_products([inner_side(lora).T for lora in layer.loras])


@representation(
    "subspace", label="column space of ΔW", formula="U Uᵀ with ΔW = U Σ Vᵀ", any_rank=True,
    invariant_to=f"{FACTORISATION}; a rotation of the inputs; other singular values",
)  # fmt: skip
def subspace(layer: Layer) -> np.ndarray:
    """Inner products of the projectors on the column spaces, ‖U₁ᵀ U₂‖² = Σ cos² of the principal angles.

    The squared norm of a LoRA is the dimension of its space.
    """
    return squared_products([column_space(lora).T for lora in layer.loras])


@representation(
    "spectrum", label="singular values of ΔW", formula="σ(ΔW), descending", any_rank=True,
    invariant_to=f"{FACTORISATION}; rotations of both sides",
)  # fmt: skip
def spectrum(layer: Layer) -> np.ndarray:
    """Inner products of the singular values.

    They reveal the size of the training set (Salama et al., DSiRe, arXiv 2406.19395), so sets must be equally large.
    """
    values = singular_values(layer.loras)  # (n, largest rank)
    return values @ values.T


def _norms_of(gram: np.ndarray) -> np.ndarray:
    lengths = np.sqrt(np.clip(np.diag(gram), 0.0, None))
    return np.outer(lengths, lengths)


@representation(
    "norms", label="norms of layers (control)", formula="‖ΔW‖", any_rank=True,
    invariant_to=f"{FACTORISATION}; any change that keeps the norm", from_delta=_norms_of,
)  # fmt: skip
def norms(layer: Layer) -> np.ndarray:
    """Inner products of one number per layer: a control that cannot know a style, only how far training went."""
    lengths = np.sqrt(np.clip([squared_norm(lora) for lora in layer.loras], 0, None))
    return np.outer(lengths, lengths)


SKETCH_SIDE = 16  # k: 256 numbers per layer, 40,960 for the 160 linear layers of Stable Diffusion 1.5, for any rank


@lru_cache(maxsize=8)
def sketch_matrices(name: str, outputs: int, inputs: int, side: int = SKETCH_SIDE) -> tuple[np.ndarray, np.ndarray]:
    """R₁ of shape (outputs, side) and R₂ of shape (inputs, side), float32, from the layer's name and sizes."""
    drawn = (
        stream("sketch", place, name, size, side).standard_normal((size, side)) / np.sqrt(side)
        for place, size in (("outputs", outputs), ("inputs", inputs))
    )
    first, second = (values.astype(np.float32) for values in drawn)
    return first, second


def sketches(layer: Layer, side: int = SKETCH_SIDE) -> np.ndarray:
    """R₁ᵀ ΔW R₂ = s (R₁ᵀ B) (A R₂) of each LoRA, of shape (n, side²) float32; ΔW is never formed."""
    lora = layer.loras[0]
    first, second = sketch_matrices(layer.name, lora.lora_B.shape[0], lora.lora_A.shape[1], side)
    return np.stack([(lora.scaling * (first.T @ lora.lora_B) @ (lora.lora_A @ second)).ravel() for lora in layer.loras])


@representation(
    "sketch", label="sketch of ΔW", formula="R₁ᵀ ΔW R₂, random R₁ and R₂", any_rank=True, invariant_to=FACTORISATION,
    vectors=sketches, short=True,
)  # fmt: skip
def sketch(layer: Layer) -> np.ndarray:
    """Inner products of short vectors whose length is the same for any rank and any study: for search.

    With entries N(0, 1/k) their mean is ⟨ΔW₁, ΔW₂⟩ (Johnson & Lindenstrauss 1984, on both sides). For two updates of
    rank one the variance is at most (4 / k + 4 / k²) ‖ΔW₁‖² ‖ΔW₂‖² per layer; many layers average it down.
    """
    rows = sketches(layer).astype(np.float64)
    return rows @ rows.T
