"""Read LoRA files in any of the layouts that `names` covers, as NumPy arrays without torch.

A layer's scaling is alpha / rank. Alpha is a tensor next to the factors (kohya-ss), is in the header's
`lora_adapter_metadata` (diffusers and PEFT), or is missing: then it is the rank.
"""

import math
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from egara.io.errors import EgaraError
from egara.io.tensors import BFLOAT16, TensorFile, open_tensors
from egara.loras.files.layers import Factors, Layout, Lora, Shape
from egara.loras.files.names import parse_name

DTYPES = (BFLOAT16, "F16", "F32", "F64")
# Alpha may be an integer, too.
ALPHA_DTYPES = (*DTYPES, "I8", "I16", "I32", "I64", "U8")
# What float32 holds, the type in which updates are computed.
_LARGEST = float(np.finfo(np.float32).max)
# A pattern that the file chooses must end in reasonable time: few repetitions, and none of a group.
_REPEATS = re.compile(r"[*+?{]")
_NESTED = re.compile(r"\)[*+{]")


@dataclass
class _Parts:
    """Names of one layer's tensors, by role, and the module as the file calls it."""

    module: str
    names: dict[str, str] = field(default_factory=dict)


def read_lora(path: str | Path, only: list[str] | None = None, flat: bool = True) -> Lora:
    """Read a LoRA file; float16, bfloat16 and float64 become float32.

    Parameters
    ----------
    path : safetensors file in the layout of diffusers, PEFT or kohya, or of diffusers' attention processors.
    only : names of the layers to read, all when None; tensors of other layers are neither read nor checked.
    flat : give factors of convolutions as matrices, (rank, inputs · height · width) and (outputs, rank).

    Raises
    ------
    EgaraError : the file is missing, cut short, a pickle or another kind of adapter, ranks disagree, or a value is not
        finite.
    """
    path = Path(path)
    with _open(path) as file:
        parts = _parts(file)
        for layer in only or []:
            if layer not in parts:
                raise EgaraError(f"{path}: layer {layer} is missing; the file holds {len(parts)} other layers")
        wanted = parts if only is None else {layer: parts[layer] for layer in sorted(only)}
        shapes = _shapes(file, wanted)
        settings = file.json("lora_adapter_metadata")
        layers = {}
        for layer, part in wanted.items():
            names = part.names
            lora_A, lora_B = (_factor(file.tensor(names[role]), flat) for role in ("lora_A", "lora_B"))
            if not (np.isfinite(lora_A).all() and np.isfinite(lora_B).all()):
                raise EgaraError(f"{path}: layer {layer} holds values that are not finite numbers")
            rank = shapes[layer].rank
            if "alpha" in names:
                scaling = _scaling_of_tensor(path, layer, file.tensor(names["alpha"]).item(), rank)
            else:
                scaling = _scaling_in_header(path, settings, layer, part.module, rank)
            layers[layer] = Factors(lora_A, lora_B, scaling)
    return Lora(layers, file.json())


def read_layout(path: str | Path) -> Layout:
    """Read a LoRA file's header only; raises as `read_lora`, but checks no value."""
    path = Path(path)
    with _open(path) as file:
        return Layout(_shapes(file, _parts(file)), file.json())


def check_lora(path: str | Path) -> None:
    """Read a whole file and check all that a file can say of itself: its layers, their numbers, and their checksums.

    Raises what `read_lora` raises.
    """
    read_lora(path)


def read_metadata(path: str | Path) -> dict[str, str]:
    """Read all texts of a file's header, ours or another program's."""
    with _open(Path(path)) as file:
        return file.metadata


def _open(path: Path) -> AbstractContextManager[TensorFile]:
    return open_tensors(path, "a LoRA file", "where it is a result, delete it and run again")


def _parts(file: TensorFile) -> dict[str, _Parts]:
    """Sort the tensors into layers, by their names alone; layers are sorted by name."""
    parts: dict[str, _Parts] = {}
    for name in file.names:
        try:
            place = parse_name(name)
        except ValueError as error:
            raise EgaraError(
                f"{file.path}: tensor {name} belongs to {error}; expected a LoRA of two factors per layer, of Stable "
                "Diffusion 1 or 2, in the layout of diffusers, PEFT or kohya"
            ) from error
        names = parts.setdefault(place.layer, _Parts(place.module)).names
        if place.role in names:
            raise EgaraError(f"{file.path}: {names[place.role]} and {name} are the same tensor of layer {place.layer}")
        names[place.role] = name
    if not parts:
        raise EgaraError(f"{file.path}: holds no tensor; expected a LoRA in the layout of diffusers, PEFT or kohya")
    return dict(sorted(parts.items()))


def _shapes(file: TensorFile, parts: dict[str, _Parts]) -> dict[str, Shape]:
    """Check that the two factors of every layer fit, from the header alone."""
    shapes = {}
    for layer, part in parts.items():
        for role in ("lora_A", "lora_B"):
            if role not in part.names:
                raise EgaraError(f"{file.path}: layer {layer} has no {role}; both factors are needed")
        for role, name in part.names.items():
            dtypes = ALPHA_DTYPES if role == "alpha" else DTYPES
            if (dtype := file.dtype(name)) not in dtypes:
                raise EgaraError(
                    f"{file.path}: {role} of layer {layer} is stored as {dtype}; expected {', '.join(DTYPES)}"
                )
        sizes = {role: file.shape(name) for role, name in part.names.items()}
        lora_A, lora_B = sizes["lora_A"], sizes["lora_B"]
        if len(lora_A) < 2 or len(lora_B) < 2 or math.prod(lora_B[2:]) != 1 or 0 in [*lora_A, *lora_B]:
            raise EgaraError(
                f"{file.path}: layer {layer} has factors of {lora_A} and {lora_B}; expected (r, inputs), (outputs, r)"
            )
        if lora_A[0] != lora_B[1]:
            raise EgaraError(
                f"{file.path}: layer {layer} has rank {lora_A[0]} in A but {lora_B[1]} in B; they must agree"
            )
        if math.prod(sizes.get("alpha", [])) != 1:
            raise EgaraError(f"{file.path}: alpha of layer {layer} has the shape {sizes['alpha']}; expected one number")
        shapes[layer] = Shape(lora_A[0], math.prod(lora_A[1:]), lora_B[0])
    return shapes


def _factor(values: np.ndarray, flat: bool) -> np.ndarray:
    with np.errstate(over="ignore"):  # a value beyond float32 becomes infinite, and is refused
        return np.ascontiguousarray(values.reshape(values.shape[0], -1) if flat else values, dtype=np.float32)


def _scaling_of_tensor(path: Path, layer: str, alpha: float, rank: int) -> float:
    """Return alpha / rank; kohya-ss treats an alpha of 0 as the rank (sd-scripts, `networks/lora.py`)."""
    if not math.isfinite(alpha):
        raise EgaraError(f"{path}: alpha of layer {layer} is {alpha}; expected a finite number")
    return float(alpha or rank) / rank


def _scaling_in_header(path: Path, settings: dict, layer: str, module: str, rank: int) -> float:
    """Return alpha / rank as diffusers and PEFT do; alpha is the rank where the header has none."""
    component = layer.partition(".")[0]

    def setting(key: str, default: object) -> object:
        # Without a component where the file was saved from one model alone.
        return settings.get(f"{component}.{key}", settings.get(key, default))

    alpha = setting("lora_alpha", rank)
    patterns = setting("alpha_pattern", None) or {}
    if not isinstance(patterns, dict):
        raise EgaraError(f"{path}: alpha_pattern in the header is not a JSON object")
    for pattern, value in patterns.items():
        try:
            if len(_REPEATS.findall(pattern)) > 3 or _NESTED.search(pattern):
                raise re.error("too many repetitions")
            # PEFT takes a key for a layer's whole name, or for its end after a point.
            found = re.match(rf"(.*\.)?({pattern})$", module)
        except (re.error, OverflowError, RecursionError) as error:
            raise EgaraError(
                f"{path}: alpha_pattern {pattern!r} in the header is an invalid pattern ({error})"
            ) from error
        if found:
            alpha = value
            break
    if not isinstance(alpha, int | float) or not abs(alpha) <= _LARGEST:
        raise EgaraError(f"{path}: alpha of layer {layer} is {alpha!r} in the header; expected a number")
    return float(alpha) / (math.sqrt(rank) if setting("use_rslora", False) else rank)
