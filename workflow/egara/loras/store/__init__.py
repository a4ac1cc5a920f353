"""The store of finished LoRAs: named by a hash of their inputs, hard-linked to the outputs that the workflow declares.

Snakemake deletes all outputs of a failed job; the store keeps finished LoRAs, and a new run trains only the rest.

Next to the LoRAs are `latents/` and `captions/`, caches by content, and `unfinished/`, checkpoints of killed jobs.
Commands: `egara loras store --help`.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path

from egara.io.atomic import replacing


def content_key(inputs: dict) -> str:
    """Hash all that decides a LoRA: base, images in order, caption, settings, seed and `TRAINING_VERSION`."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def stored(store: Path, key: str) -> Path:
    """Return the path of the file of this key, whether or not it exists."""
    return store / key[:2] / f"{key}.safetensors"


def link(source: Path, target: Path) -> None:
    """Put a stored LoRA at a declared output: a hard link, or a copy where the file system has none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        with replacing(target) as part:
            shutil.copyfile(source, part)
