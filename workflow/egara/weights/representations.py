"""How a LoRA becomes a point: each representation takes one layer of all LoRAs and returns its inner products.

A LoRA's vector is the concatenation over layers, so the Gram matrix is the sum over layers. `{name}-layerwise` gives
every layer's part of every LoRA length 1 first, so that layers of large updates do not drown the others. A new
representation is one function and one entry in `REPRESENTATIONS`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from egara.loras.files import Factors
from egara.weights.products import gram_of_columns
from egara.weights.sides import input_side, output, subspace
from egara.weights.sizes import norms, spectrum
from egara.weights.sketch import sketch
from egara.weights.updates import delta

LAYERWISE = "-layerwise"


@dataclass(frozen=True)
class Representation:
    """One way to look at LoRAs.

    Attributes
    ----------
    gram : one layer of n LoRAs and its name -> (n, n) inner products.
    one_rank : whether it compares factors number by number, and so needs one rank.
    same_for : what may change in a LoRA without a change here, in words.
    """

    gram: Callable[[list[Factors], str], np.ndarray]
    one_rank: bool
    same_for: str


def down(layer: list[Factors]) -> np.ndarray:
    """Inner products of A, flattened. All LoRAs must have one rank; the scale takes no part."""
    return gram_of_columns(np.stack([lora.lora_A.ravel() for lora in layer]))  # of (n, rank * inputs)


def up(layer: list[Factors]) -> np.ndarray:
    """Inner products of B, flattened. All LoRAs must have one rank; the scale takes no part."""
    return gram_of_columns(np.stack([lora.lora_B.ravel() for lora in layer]))  # of (n, outputs * rank)


def factors(layer: list[Factors]) -> np.ndarray:
    """Inner products of A and B, flattened and concatenated (Shimoide & Ito §5.2; Liu et al., arXiv 2412.12048).

    The scale takes no part, as in the papers. All LoRAs must have one rank.
    """
    return down(layer) + up(layer)


def _plain(measure: Callable[[list[Factors]], np.ndarray], one_rank: bool, same_for: str) -> Representation:
    return Representation(lambda layer, name: measure(layer), one_rank, same_for)


SPLIT = "another split of the same update, (B M, M⁻¹ A)"
REPRESENTATIONS: dict[str, Representation] = {
    "factors": _plain(factors, True, "nothing"),
    "down": _plain(down, True, "nothing"),
    "up": _plain(up, True, "nothing"),
    "delta": _plain(delta, False, SPLIT),
    "output": _plain(output, False, f"{SPLIT}; a rotation of the inputs"),
    "input": _plain(input_side, False, f"{SPLIT}; a rotation of the outputs"),
    "subspace": _plain(subspace, False, f"{SPLIT}; a rotation of the inputs; other singular values"),
    "spectrum": _plain(spectrum, False, f"{SPLIT}; rotations of both sides"),
    "norms": _plain(norms, False, f"{SPLIT}; any change that keeps the length"),
    "sketch": Representation(sketch, False, SPLIT),
}


def find(name: str) -> Representation:
    """Return a representation by name, `-layerwise` or not."""
    plain = REPRESENTATIONS[name.removesuffix(LAYERWISE)]
    if not name.endswith(LAYERWISE):
        return plain
    return Representation(lambda layer, called: even(plain.gram(layer, called)), plain.one_rank, plain.same_for)


def even(gram: np.ndarray) -> np.ndarray:
    """Give every vector of a layer's Gram matrix length 1; one of length 0, an untrained layer, stays."""
    lengths = np.sqrt(np.diag(gram))
    weights = np.where(lengths > 0, 1 / np.where(lengths > 0, lengths, 1.0), 0.0)
    return gram * np.outer(weights, weights)


def names() -> list[str]:
    """Return all names that `find` knows."""
    return [name + ending for ending in ("", LAYERWISE) for name in REPRESENTATIONS]
