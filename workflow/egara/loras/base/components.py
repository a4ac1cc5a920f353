"""The parts of a base model, hashed and loaded: U-Net, autoencoder, text encoder, tokenizer and scheduler.

A described base, `base/base.json`, holds its name, folder, sha256, the hashes of its parts and its provenance.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from egara.io.errors import EgaraError
from egara.io.hashing import sha256
from egara.io.json import read_json

if TYPE_CHECKING:
    from diffusers import ModelMixin, SchedulerMixin
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PARTS = ("scheduler", "text_encoder", "tokenizer", "unet", "vae")
KEPT = (".json", ".safetensors", ".txt")
MODELS = ("text_encoder", "unet", "vae")
# Weights as diffusers and transformers name them: model.fp16.safetensors, model.fp16-00001-of-00002.safetensors,
# model-00001-of-00002.fp16.safetensors, model.safetensors.index.fp16.json; without `.fp16` they are not a variant.
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
    """Return all files of a base model that decide what it is; none where it is not a folder on this machine."""
    index = [folder / "model_index.json"] if (folder / "model_index.json").is_file() else []
    return index + [path for part in PARTS if (folder / part).is_dir() for path in part_files(folder, part)]


def read_index(folder: Path) -> dict[str, object]:
    """Read `model_index.json`, which names the class of each part."""
    return read_json(folder / "model_index.json", "the index of a base model in diffusers' layout")


def read_description(path: Path) -> dict[str, object]:
    """Read a base model's description, which `egara.loras.base.find` writes."""
    return read_json(path, "a description of the base model")


def part_hash(base: dict, part: str) -> str:
    """Return the SHA-256 of one part of a described base, such as `vae`."""
    try:
        return base["parts"][part]
    except (KeyError, TypeError) as error:
        name = base.get("base", "?")
        raise EgaraError(f"base model {name}: its description has no hash of {part}; describe it again") from error


def hash_part(folder: Path, part: str) -> str:
    """Return one SHA-256 over a part's class and the names and bytes of its files."""
    digest = hashlib.sha256(json.dumps(read_index(folder).get(part)).encode())
    for path in part_files(folder, part):
        digest.update(f"\0{path.name}\0{sha256(path)}".encode())
    return digest.hexdigest()


def load_part(
    folder: Path, part: str, expected: str | None = None
) -> "ModelMixin | PreTrainedModel | PreTrainedTokenizerBase | SchedulerMixin":
    """Load one part with the class that its configuration names, in float32.

    Parameters
    ----------
    expected : the part's hash; files that changed since then are refused. Weights are safetensors only: a pickle can
        run code.
    """
    index = read_index(folder)
    if expected is not None and hash_part(folder, part) != expected:
        raise EgaraError(f"base model {folder}: {part} changed since the base was described; describe it again")

    import diffusers
    import torch
    import transformers
    from safetensors import SafetensorError  # from_pretrained raises it

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
