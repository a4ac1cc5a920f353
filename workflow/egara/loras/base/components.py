"""One part of a base model, hashed and loaded: U-Net, autoencoder, text encoder, tokenizer or scheduler."""

import hashlib
import json
import re
from pathlib import Path

from egara.io.errors import EgaraError
from egara.io.hashing import sha256

PARTS = ("scheduler", "text_encoder", "tokenizer", "unet", "vae")
KEPT = (".json", ".safetensors", ".txt")
MODELS = ("text_encoder", "unet", "vae")
# Weights as diffusers and transformers name them: model.fp16.safetensors, model.fp16-00001-of-00002.safetensors,
# model-00001-of-00002.fp16.safetensors, model.safetensors.index.fp16.json; without `.fp16` they are no variant.
WEIGHTS = re.compile(
    r"(?:diffusion_pytorch_model|model)"
    r"(?:(?:\.(?P<before>[\w-]+?))?(?:-\d{5}-of-\d{5})?(?:\.(?P<after>\w+))?\.safetensors"
    r"|\.safetensors\.index(?:\.(?P<index>\w+))?\.json)"
)


def variant_of(name: str) -> str | None:
    """Return the variant of weights that a file's name states, as `fp16` or `non_ema`; None for all other files."""
    found = WEIGHTS.fullmatch(name)
    return next(filter(None, found.groups()), None) if found else None


def part_variant(folder: Path, part: str) -> str | None:
    """Return the variant of a part that is loaded: none where there are weights without one, else the only one.

    Raises
    ------
    EgaraError : there are two variants or more, and no weights without one.
    """
    names = [path.name for path in (folder / part).iterdir() if path.suffix in KEPT]
    if part not in MODELS or any(name.endswith(".safetensors") and variant_of(name) is None for name in names):
        return None
    variants = sorted({variant for name in names if name.endswith(".safetensors") and (variant := variant_of(name))})
    if len(variants) > 1:
        raise EgaraError(
            f"base model {folder}: {part} has its weights as the variants {' and '.join(variants)};"
            f" expected one: move the files of the others out of {folder / part}"
        )
    return variants[0] if variants else None


def part_files(folder: Path, part: str) -> list[Path]:
    """Return the weights that are loaded, the configurations and vocabularies of a part, by name."""
    variant = part_variant(folder, part)
    return sorted(
        path
        for path in (folder / part).iterdir()
        if path.suffix in KEPT and (variant_of(path.name) == variant or not WEIGHTS.fullmatch(path.name))
    )


def local_files(folder: Path) -> list[Path]:
    """Return all files of a base model that decide what it is; none where it is no folder of this machine."""
    index = [folder / "model_index.json"] if (folder / "model_index.json").is_file() else []
    return index + [path for part in PARTS if (folder / part).is_dir() for path in part_files(folder, part)]


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
        model = getattr(owner, name).from_pretrained(
            folder / part, dtype=torch.float32, use_safetensors=True, variant=part_variant(folder, part)
        )
        return model.eval()
    except (OSError, KeyError, TypeError, ValueError, AttributeError, RuntimeError, SafetensorError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise EgaraError(
            f"base model {folder}: {part} cannot be loaded ({reason}); expected diffusers' layout"
        ) from error
