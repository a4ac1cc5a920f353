"""LoRA files: the layout of PEFT and diffusers, read as NumPy arrays without torch.

A layer `unet.<module>` has two tensors, `.lora_A.weight` (rank x inputs) and `.lora_B.weight` (outputs x rank), and
its update is ΔW = alpha / rank · B A. Alpha stands in the header's `lora_adapter_metadata`, as diffusers writes it.
"""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from egara.errors import EgaraError

DOWN, UP = ".lora_A.weight", ".lora_B.weight"
KINDS = ("F64", "F32", "F16", "BF16")


class Factors(NamedTuple):
    """One layer's factors: ΔW = scale · up @ down."""

    down: np.ndarray  # (rank, inputs) float32
    up: np.ndarray  # (outputs, rank) float32
    scale: float


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
    """What a LoRA file holds, known without reading a tensor: sizes by layer, sorted by name, and its provenance."""

    shapes: dict[str, Shape]
    header: dict


def read_lora(path: str | Path, only: list[str] | None = None) -> Lora:
    """Read a LoRA file; float16, bfloat16 and float64 become float32.

    Parameters
    ----------
    path : safetensors file in PEFT's or diffusers' layout. Factors of convolutions are flattened to matrices.
    only : names of the layers to read; the others' tensors are not touched. All layers when None.

    Raises
    ------
    EgaraError : the file is missing, cut short or a pickle, ranks disagree, or a value is not finite.
    """
    path = Path(path)
    with _open(path) as file:
        metadata = file.metadata() or {}
        shapes = _shapes(path, file)
        settings = _json(path, metadata, "lora_adapter_metadata")
        raw = _brain_floats(path) if any(_kind(file, name) == "BF16" for name in file.keys()) else {}  # noqa: SIM118
        layers = {}
        for name in shapes if only is None else sorted(only):
            if name not in shapes:
                raise EgaraError(f"{path}: layer {name} is missing; the file holds {len(shapes)} other layers")
            down, up = (_tensor(file, raw, name + suffix) for suffix in (DOWN, UP))
            if not (np.isfinite(down).all() and np.isfinite(up).all()):
                raise EgaraError(f"{path}: layer {name} holds values that are not finite numbers")
            layers[name] = Factors(down, up, _scale(path, settings, name, shapes[name].rank))
    return Lora(layers, _json(path, metadata, "egara"))


def read_layout(path: str | Path) -> Layout:
    """Read a LoRA file's header only; it raises what `read_lora` raises, values aside."""
    path = Path(path)
    with _open(path) as file:
        return Layout(_shapes(path, file), _json(path, file.metadata() or {}, "egara"))


def _open(path: Path):
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise EgaraError(f"{path}: no such LoRA file")
    if path.suffix != ".safetensors":
        raise EgaraError(f"{path}: LoRAs are read from .safetensors only; a pickle (.pt, .ckpt, .bin) can run code")
    try:
        return safe_open(str(path), framework="np")
    except (SafetensorError, OSError) as error:
        reason = str(error).removeprefix("Error while deserializing header: ")
        raise EgaraError(f"{path}: not a whole safetensors file ({reason})") from error


def _kind(file, name: str) -> str:
    return file.get_slice(name).get_dtype()


def _shapes(path: Path, file) -> dict[str, Shape]:
    """Pair A and B of every layer and check that they fit, from the header alone."""
    names = set(file.keys())
    layers = sorted({name.removesuffix(suffix) for name in names for suffix in (DOWN, UP) if name.endswith(suffix)})
    if not layers:
        example = f"; found {min(names)}" if names else ""
        raise EgaraError(f"{path}: no LoRA in the layout of PEFT or diffusers; expected tensors *{DOWN}{example}")
    shapes = {}
    for layer in layers:
        for suffix in (DOWN, UP):
            if layer + suffix not in names:
                raise EgaraError(f"{path}: layer {layer} has no {suffix[1:]}; both factors are needed")
            if (kind := _kind(file, layer + suffix)) not in KINDS:
                raise EgaraError(
                    f"{path}: layer {layer} is stored as {kind}; expected one of {', '.join(sorted(KINDS))}"
                )
        down, up = (file.get_slice(layer + suffix).get_shape() for suffix in (DOWN, UP))
        if len(down) < 2 or len(up) < 2 or math.prod(up[2:]) != 1 or 0 in [*down, *up]:
            raise EgaraError(
                f"{path}: layer {layer} has factors of {down} and {up}; expected (r, inputs), (outputs, r)"
            )
        if down[0] != up[1]:
            raise EgaraError(f"{path}: layer {layer} has rank {down[0]} in A but {up[1]} in B; they must agree")
        shapes[layer] = Shape(down[0], math.prod(down[1:]), up[0])
    return shapes


def _tensor(file, raw: dict[str, np.ndarray], name: str) -> np.ndarray:
    values = raw[name] if name in raw else file.get_tensor(name)
    return np.ascontiguousarray(values.reshape(values.shape[0], -1), dtype=np.float32)


def _brain_floats(path: Path) -> dict[str, np.ndarray]:
    """Read bfloat16 tensors, which NumPy lacks: a bfloat16 is the upper half of a float32."""
    from safetensors import deserialize

    return {
        name: (np.frombuffer(tensor["data"], "<u2").astype(np.uint32) << 16).view(np.float32).reshape(tensor["shape"])
        for name, tensor in deserialize(path.read_bytes())
        if tensor["dtype"] == "BF16"
    }


def _json(path: Path, metadata: dict[str, str], key: str) -> dict:
    try:
        value = json.loads(metadata.get(key) or "{}")
    except ValueError as error:
        raise EgaraError(f"{path}: {key} in the header is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise EgaraError(f"{path}: {key} in the header is not a JSON object")
    return value


def _scale(path: Path, settings: dict, layer: str, rank: int) -> float:
    """Return alpha / rank of a layer as diffusers and PEFT do; alpha is the rank where the header is silent."""
    component, _, module = layer.partition(".")
    alpha = settings.get(f"{component}.lora_alpha", rank)
    for pattern, value in (settings.get(f"{component}.alpha_pattern") or {}).items():
        # PEFT takes a key for a layer's whole name, or for its end after a point.
        if re.match(rf"(.*\.)?({pattern})$", module):
            alpha = value
            break
    if not isinstance(alpha, int | float) or not math.isfinite(alpha):
        raise EgaraError(f"{path}: alpha of layer {layer} is {alpha!r} in the header; expected a number")
    return float(alpha) / (math.sqrt(rank) if settings.get(f"{component}.use_rslora") else rank)
