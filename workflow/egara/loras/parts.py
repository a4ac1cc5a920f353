"""Load one part of a base model: U-Net, autoencoder, text encoder, tokenizer or scheduler."""

import json
from pathlib import Path

from egara.errors import EgaraError


def load_part(folder: Path, part: str) -> "object":
    """Load one part with the class that its configuration names, in float32."""
    import diffusers
    import torch
    import transformers

    index = folder / "model_index.json"
    try:
        library, name = json.loads(index.read_text())[part]
        owner = {"diffusers": diffusers, "transformers": transformers}[library]
        if part in ("tokenizer", "scheduler"):
            return getattr(owner, name).from_pretrained(folder / part)
        if library == "diffusers":
            return getattr(owner, name).from_pretrained(folder / part, dtype=torch.float32).eval()
        return getattr(owner, name).from_pretrained(folder / part, dtype=torch.float32).eval()
    except (OSError, KeyError, ValueError, AttributeError, RuntimeError) as error:
        reason = str(error).splitlines()[0][:160]
        raise EgaraError(
            f"base model {folder}: {part} cannot be loaded ({reason}); expected diffusers' layout"
        ) from error
