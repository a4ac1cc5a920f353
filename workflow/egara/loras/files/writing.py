"""Write LoRA files in the layout of diffusers and PEFT, or in that of kohya-ss, which most other programs read.

Both say the same ΔW = alpha / rank · B A. kohya-ss stores one alpha per layer, but diffusers 0.42.1 loses the alphas of
attention and text layers and uses the commonest one for them. So a file in this layout has one alpha for all layers,
and where alphas differ, the difference goes into B: diffusers, kohya-ss and `read_lora` then compute the same ΔW.
"""

import json
from collections import Counter
from pathlib import Path

import numpy as np

from egara.io.errors import EgaraError
from egara.io.tensors import NOTE, TENSORS_CRC, TEXTS_CRC, write_tensors
from egara.loras.files.layers import Factors
from egara.loras.files.names import kohya_name

LAYOUTS = ("peft", "kohya")
TYPES = ("float32", "float16", "bfloat16")
CURVE_POINTS = 200  # of a loss curve in the header
# Texts of another file's header that are not copied: written again, or hashes of that file's bytes.
_OWN = {"format", NOTE, "lora_adapter_metadata", TENSORS_CRC, TEXTS_CRC} | {
    "sshs_model_hash", "sshs_legacy_hash", "modelspec.hash_sha256",
}  # fmt: skip
_KOHYA = {"ss_network_dim", "ss_network_alpha", "ss_network_module", "ss_network_args"}


def write_lora(
    path: str | Path,
    layers: dict[str, Factors],
    header: dict | None = None,
    layout: str = "peft",
    dtype: str = "float32",
    metadata: dict[str, str] | None = None,
) -> list[str]:
    """Write a LoRA file in one step; the same content gives the same bytes.

    Parameters
    ----------
    path : the file, ending in .safetensors.
    layers : factors by layer name, `unet.<module>` or `text_encoder.<module>`; those of convolutions keep four sizes,
        (rank, inputs, height, width) and (outputs, rank, 1, 1), if programs are to load them.
    header : provenance, stored as JSON under `egara`.
    layout : `peft` (diffusers loads it, too) or `kohya`.
    dtype : `float32`, `float16` or `bfloat16`; alphas stay float32.
    metadata : more texts for the header; texts of a layout and hashes of another file's bytes are left out.

    Returns
    -------
    Names of the layers whose B was rescaled, because their alpha is not the file's (kohya only).

    Raises
    ------
    EgaraError : an unknown layout, type or layer, factors that do not fit, or values that the type cannot hold.
    """
    path = Path(path)
    if layout not in LAYOUTS or dtype not in TYPES:
        raise EgaraError(f"{path}: layout {layout}, type {dtype}; expected one of {LAYOUTS} and of {TYPES}")
    if path.suffix != ".safetensors":
        raise EgaraError(f"{path}: expected a file name that ends in .safetensors")
    if not layers:
        raise EgaraError(f"{path}: no layer to write")
    for name, pair in layers.items():
        if pair.lora_A.shape[0] != pair.lora_B.shape[1] or not np.isfinite(pair.scaling):
            shapes = f"{pair.lora_A.shape} and {pair.lora_B.shape}, scale {pair.scaling}"
            raise EgaraError(f"{path}: layer {name} has factors of {shapes}; expected (r, inputs), (outputs, r)")
    texts = {key: text for key, text in (metadata or {}).items() if key not in _OWN | _KOHYA} | {"format": "pt"}
    folded: list[str] = []
    if layout == "peft":
        tensors = _peft_tensors(layers)
        texts["lora_adapter_metadata"] = json.dumps(_adapter_metadata(path, layers), sort_keys=True)
    else:
        layers, alpha, folded = with_one_alpha(layers)
        tensors = _kohya_tensors(path, layers, alpha)
        texts = _kohya_texts(layers, alpha) | texts
    stored = {
        name: values if name.endswith(".alpha") else _cast(path, name, values, dtype)
        for name, values in tensors.items()
    }
    halves = [name for name in stored if dtype == "bfloat16" and not name.endswith(".alpha")]
    write_tensors(path, stored, header, texts, bfloat16=halves)
    return folded


def save_lora(
    path: Path,
    tensors: dict[str, np.ndarray],
    rank: int,
    alpha: float,
    header: dict,
    losses: np.ndarray,
    save_dtype: str = "float32",
) -> None:
    """Write a trained LoRA in PEFT's layout, with all that it takes to train it again.

    Parameters
    ----------
    path : the file, written in one step.
    tensors : `<part>.<module>.lora_A.weight` of shape (rank, inputs) and `….lora_B.weight` of shape (outputs, rank);
        a part is `unet` or `text_encoder`.
    rank, alpha : ΔW = alpha / rank · B A.
    header : provenance, stored as JSON under `egara`.
    losses : (steps,), the loss of each step; means of consecutive steps are stored under `egara_losses`.
    save_dtype : `float32` or `float16`.
    """
    layers = {
        name: Factors(tensors[f"{name}.lora_A.weight"], tensors[f"{name}.lora_B.weight"], alpha / rank)
        for name in sorted({name.rsplit(".lora_", 1)[0] for name in tensors})
    }
    curve = json.dumps(summarise_losses(losses))
    write_lora(path, layers, header, dtype=save_dtype, metadata={"egara_losses": curve})


def summarise_losses(losses: np.ndarray, points: int = CURVE_POINTS) -> dict[str, list]:
    """Return a loss curve of at most `points` points: the mean of each block of steps, at the block's last step."""
    ends = np.unique(np.linspace(0, len(losses), min(points, len(losses)) + 1).round().astype(int)[1:])
    blocks = np.split(losses.astype(float), ends[:-1])
    return {"step": ends.tolist(), "loss": [round(float(block.mean()), 5) for block in blocks]}


def _cast(path: Path, name: str, values: np.ndarray, dtype: str) -> np.ndarray:
    """Return float32 values in the type that they are stored in; bfloat16 as the upper halves of float32, uint16."""
    if dtype == "bfloat16":
        bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
        # To the nearest, ties to even: half of the dropped part, plus one where the part that stays is odd.
        stored = ((bits + (0x7FFF + (bits >> 16 & 1))) >> 16).astype(np.uint16)
        fits = np.isfinite(values).all() and (stored & 0x7F80 != 0x7F80).all()
    else:
        with np.errstate(over="ignore"):
            stored = values.astype(dtype)
        fits = np.isfinite(stored).all()
    if not fits:
        raise EgaraError(f"{path}: {name} holds values beyond {dtype}, or not finite; nothing was written")
    return stored


def alpha_of(pair: Factors) -> float:
    """Return a layer's alpha, rounded to float32: what a file keeps, and free of the rounding of alpha / rank."""
    return float(np.float32(pair.scaling * pair.lora_A.shape[0]))


def with_one_alpha(layers: dict[str, Factors]) -> tuple[dict[str, Factors], float, list[str]]:
    """Give all layers one alpha, the commonest that is not zero, without changing any ΔW.

    It cannot be zero, which kohya-ss treats as the rank. Where all are zero, alpha is 1 and every B becomes zero.

    Returns
    -------
    The layers, alpha, and the names of the layers whose B was multiplied by the layer's alpha / alpha.
    """
    alphas = {name: alpha_of(pair) for name, pair in layers.items()}
    counts = Counter(alpha for alpha in alphas.values() if alpha)
    common = min(counts, key=lambda alpha: (-counts[alpha], alpha), default=1.0)
    changed, folded = {}, []
    for name, pair in layers.items():
        rank = pair.lora_A.shape[0]
        up = pair.lora_B
        if alphas[name] != common:
            up = (up.astype(np.float64) * (pair.scaling * rank / common)).astype(np.float32)
            folded.append(name)
        changed[name] = Factors(pair.lora_A, up, common / rank)
    return changed, common, folded


def _peft_tensors(layers: dict[str, Factors]) -> dict[str, np.ndarray]:
    return {
        f"{name}.{letter}.weight": values
        for name, pair in layers.items()
        for letter, values in (("lora_A", pair.lora_A), ("lora_B", pair.lora_B))
    }


def _adapter_metadata(path: Path, layers: dict[str, Factors]) -> dict[str, object]:
    """Return what PEFT's `LoraConfig` takes, by component: the commonest rank and alpha, and the layers that differ."""
    metadata: dict[str, object] = {}
    for component in sorted({name.partition(".")[0] for name in layers}):
        if component not in ("unet", "text_encoder"):
            raise EgaraError(f"{path}: layer {component}.* is of no known part; expected unet.* or text_encoder.*")
        own = {
            name.partition(".")[2]: pair for name, pair in sorted(layers.items()) if name.startswith(f"{component}.")
        }
        ranks = {module: pair.lora_A.shape[0] for module, pair in own.items()}
        alphas = {module: _plain(alpha_of(pair)) for module, pair in own.items()}
        for values, key, pattern in ((ranks, "r", "rank_pattern"), (alphas, "lora_alpha", "alpha_pattern")):
            counts = Counter(values.values())
            common = min(counts, key=lambda value: (-counts[value], value))
            metadata[f"{component}.{key}"] = common
            if odd := {f"^{module}": value for module, value in values.items() if value != common}:
                metadata[f"{component}.{pattern}"] = odd
        metadata[f"{component}.target_modules"] = sorted(own)
    return metadata


def _plain(alpha: float) -> int | float:
    return int(alpha) if alpha.is_integer() else alpha


def _kohya_tensors(path: Path, layers: dict[str, Factors], alpha: float) -> dict[str, np.ndarray]:
    tensors = {}
    for name, pair in layers.items():
        stem = kohya_name(name)
        if stem is None:
            raise EgaraError(
                f"{path}: layer {name} has no name in kohya's layout, which covers Stable Diffusion 1 and 2"
            )
        tensors[f"{stem}.alpha"] = np.float32(alpha)
        tensors[f"{stem}.lora_down.weight"] = pair.lora_A
        tensors[f"{stem}.lora_up.weight"] = pair.lora_B
    return tensors


def _kohya_texts(layers: dict[str, Factors], alpha: float) -> dict[str, str]:
    """Return the texts of the header that other programs show, as kohya's trainer writes them."""
    ranks = {pair.lora_A.shape[0] for pair in layers.values()}
    texts = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(ranks.pop()) if len(ranks) == 1 else "Dynamic",
        "ss_network_alpha": str(alpha),
    }
    widths = {pair.lora_A.shape[1] for name, pair in layers.items() if name.endswith(".attn2.to_k")}
    # Only Stable Diffusion 1 reads captions of this width; of the second there are two kinds, which look alike.
    if widths == {768}:
        texts["ss_base_model_version"] = "sd_v1"
    return texts
