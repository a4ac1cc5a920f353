"""The content of a LoRA file: layers of two factors, their sizes, and provenance."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Factors(NamedTuple):
    """One layer's factors: ΔW = scaling · lora_B @ lora_A."""

    lora_A: np.ndarray  # (rank, inputs) float32; of a convolution that keeps its shape, (rank, inputs, height, width)
    lora_B: np.ndarray  # (outputs, rank) float32; of a convolution (outputs, rank, 1, 1)
    scaling: float


class Shape(NamedTuple):
    """One layer's sizes."""

    rank: int
    inputs: int
    outputs: int


@dataclass(frozen=True)
class Lora:
    """A LoRA file's layers, sorted by name, and its provenance: the JSON under `egara` in the header, else empty."""

    layers: dict[str, Factors]
    header: dict


@dataclass(frozen=True)
class Layout:
    """A LoRA file's header alone: sizes by layer, sorted by name, and provenance."""

    shapes: dict[str, Shape]
    header: dict
