"""One part of a base model, hashed and loaded: U-Net, autoencoder, text encoder, tokenizer or scheduler."""

import hashlib
import json
from pathlib import Path

from egara.errors import EgaraError
from egara.files import sha256

PARTS = ("scheduler", "text_encoder", "tokenizer", "unet", "vae")
KEPT = (".json", ".safetensors", ".txt")
VARIANTS = ("fp16", "non_ema")  # other copies of the same weights, which are never loaded


def part_files(folder: Path, part: str) -> list[Path]:
    """Return the weights, configurations and vocabularies of a part, by name."""
    return sorted(
        path
        for path in (folder / part).iterdir()
        if path.suffix in KEPT and not any(variant in path.name for variant in VARIANTS)
    )


def read_index(folder: Path) -> dict[str, object]:
    """Read `model_index.json`, which names the class of each part."""
    path = folder / "model_index.json"
    try:
        index = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise EgaraError(f"base model {folder}: no readable model_index.json; expected diffusers' layout") from error
    if not isinstance(index, dict):
        raise EgaraError(f"{path}: not a JSON object; expected diffusers' layout")
    return index


def hash_part(folder: Path, part: str) -> str:
    """Return one SHA-256 over a part's class and the names and bytes of its files."""
    digest = hashlib.sha256(json.dumps(read_index(folder).get(part)).encode())
    for path in part_files(folder, part):
        digest.update(f"\0{path.name}\0{sha256(path)}".encode())
    return digest.hexdigest()


def load_part(folder: Path, part: str, expected: str | None = None) -> "object":
    """Load one part with the class that its configuration names, in float32.

    Parameters
    ----------
    expected : the part's hash; files that changed since it was taken are refused. Weights are safetensors only:
        a pickle can run code.
    """
    index = read_index(folder)
    if expected is not None and hash_part(folder, part) != expected:
        raise EgaraError(f"base model {folder}: {part} changed since the base was described; describe it again")

    import diffusers
    import torch
    import transformers
    from safetensors import SafetensorError

    try:
        library, name = index[part]
        owner = {"diffusers": diffusers, "transformers": transformers}[library]
        if part in ("tokenizer", "scheduler"):
            return getattr(owner, name).from_pretrained(folder / part)
        model = getattr(owner, name).from_pretrained(folder / part, dtype=torch.float32, use_safetensors=True)
        return model.eval()
    except (OSError, KeyError, TypeError, ValueError, AttributeError, RuntimeError, SafetensorError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise EgaraError(
            f"base model {folder}: {part} cannot be loaded ({reason}); expected diffusers' layout"
        ) from error
