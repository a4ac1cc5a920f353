"""The store of finished LoRAs: named by what went into them, hard-linked to where the workflow expects them.

Snakemake deletes all outputs of a failed job; the store keeps what was finished, and a re-run trains only the rest.

    python -m egara.loras.store results/store     removes what no result uses any more: LoRAs, latents, captions

Beside the LoRAs lie `latents/` and `captions/`, caches by content, and `unfinished/`, checkpoints of killed jobs.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path

from egara.errors import EgaraError, run
from egara.files import replacing
from egara.progress import logger, parser


def content_key(inputs: dict) -> str:
    """Hash all that decides a LoRA: base, picture bytes in order, caption, settings, seeds and code."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def stored(store: Path, key: str) -> Path:
    """Return where the LoRA of this key lies or would lie."""
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


def prune(store: Path) -> tuple[int, int]:
    """Remove stored LoRAs with no other link; returns how many files and bytes went."""
    if not store.is_dir():
        raise EgaraError(f"{store}: no such store; expected a folder of LoRAs")
    count = freed = 0
    for path in sorted(store.glob("??/*.safetensors")):
        status = path.stat()
        if status.st_nlink == 1:
            path.unlink()
            count, freed = count + 1, freed + status.st_size
    return count, freed


def main(argv: list[str] | None = None) -> None:
    """Prune a store and the caches in it; no job may run meanwhile."""
    arguments = parser(__doc__)
    arguments.add_argument("store", type=Path, help="folder of the store")
    options = arguments.parse_args(argv)
    from egara.loras.cache import prune as prune_cache

    gone = {"LoRAs": prune(options.store)}
    for kind, pattern in (("latents", "*/latents/*/*.safetensors"), ("captions", "*/captions/*.safetensors")):
        gone[kind] = prune_cache(options.store / kind, sorted(options.store.parent.glob(pattern)))
    for kind, (count, freed) in gone.items():
        logger("loras.store").info("removed %d %s, %.1f MB", count, kind, freed / 1e6)


if __name__ == "__main__":
    run(main)
