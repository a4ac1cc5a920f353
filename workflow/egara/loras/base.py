"""The base model that LoRAs are trained on: a folder in diffusers' layout or a hub id, found and hashed.

python -m egara.loras.base --base resources/base --output results/demo/base/base.json
"""

import hashlib
import json
from pathlib import Path

from egara.errors import EgaraError, run
from egara.files import sha256, write_text
from egara.progress import logger, parser

PARTS = ("scheduler", "text_encoder", "tokenizer", "unet", "vae")
KEPT = (".json", ".safetensors", ".txt")


def find_base(base: str) -> Path:
    """Return the folder of a base model; a hub id is fetched (or found in the local cache) by huggingface_hub.

    Raises
    ------
    EgaraError : neither a folder nor a hub id that can be had, or a part is missing.
    """
    folder = Path(base)
    if not folder.is_dir():
        folder = _fetch(base)
    if missing := [part for part in PARTS if not (folder / part).is_dir()]:
        raise EgaraError(f"base model {base}: no {', '.join(missing)} in {folder}; expected {', '.join(PARTS)}")
    return folder


def _fetch(base: str) -> Path:
    expected = "expected a folder in diffusers' layout or a hub id that can be reached"
    if base.startswith((".", "/", "~")) or base.count("/") != 1 or base.split("/")[0] in ("resources", "results"):
        raise EgaraError(f"base model {base}: no such folder; {expected}")
    from huggingface_hub import snapshot_download

    patterns = ["model_index.json", *(f"{part}/*{suffix}" for part in PARTS for suffix in KEPT)]
    try:
        return Path(snapshot_download(base, allow_patterns=patterns, ignore_patterns=["*fp16*", "*non_ema*"]))
    except Exception as error:
        raise EgaraError(f"base model {base}: cannot be had ({type(error).__name__}); {expected}") from error


def hash_base(folder: Path) -> str:
    """Return one SHA-256 over names and bytes of all weights, configurations and vocabularies of the parts."""
    digest = hashlib.sha256()
    for part in PARTS:
        for path in sorted((folder / part).iterdir()):
            if path.suffix in KEPT:
                digest.update(f"{part}/{path.name}\0{sha256(path)}\0".encode())
    return digest.hexdigest()


def describe_base(base: str) -> dict[str, object]:
    """Return name, folder, hash and, where the base says so, whom it was trained on."""
    folder = find_base(base)
    note = folder / "provenance.json"
    return {
        "base": base,
        "folder": str(folder),
        "sha256": hash_base(folder),
        "provenance": json.loads(note.read_text()) if note.is_file() else None,
    }


def main(argv: list[str] | None = None) -> None:
    """Find the base model and write its description."""
    arguments = parser(__doc__)
    arguments.add_argument("--base", required=True, help="folder in diffusers' layout, or hub id")
    arguments.add_argument("--output", type=Path, required=True, help="description of the base (JSON)")
    options = arguments.parse_args(argv)
    described = describe_base(options.base)
    write_text(options.output, json.dumps(described, indent=2, sort_keys=True) + "\n")
    logger("loras.base").info("base %s: sha256 %s", options.base, described["sha256"][:12])


if __name__ == "__main__":
    run(main)
