"""The base model that LoRAs are trained on: a folder in diffusers' layout or a hub id, found, checked and hashed.

python -m egara.loras.base.find --base resources/base --output results/demo/base/base.json
"""

import hashlib
import json
from pathlib import Path

from egara.io.atomic import write_text
from egara.io.errors import EgaraError, run
from egara.io.hashing import sha256
from egara.io.progress import logger, parser
from egara.loras.base.components import KEPT, MODELS, PARTS, hash_part, part_files, part_variant, read_index, variant_of

# A part is there when one of these files is; a model also needs weights.
CONFIGURATIONS = {
    "scheduler": ("scheduler_config.json",),
    "text_encoder": ("config.json",),
    "tokenizer": ("tokenizer.json", "vocab.json"),
    "unet": ("config.json",),
    "vae": ("config.json",),
}


def find_base(base: str) -> Path:
    """Return the folder of a base model; a hub id is fetched (or found in the local cache) by huggingface_hub.

    Raises
    ------
    EgaraError : neither a folder nor a hub id that can be had, or a part is missing.
    """
    folder = Path(base)
    if folder.is_file():
        raise EgaraError(f"base model {base}: a single file; expected a folder in diffusers' layout or a hub id")
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
        folder = Path(snapshot_download(base, allow_patterns=patterns, ignore_patterns=["*.fp16*", "*.non_ema*"]))
        if all(_has_weights(folder / part) for part in MODELS):
            return folder
        return Path(snapshot_download(base, allow_patterns=patterns))  # there are variants only
    except Exception as error:
        kind = type(error).__name__
        if kind in ("LocalEntryNotFoundError", "OfflineModeIsEnabled"):
            kind = "not in huggingface_hub's cache, and the hub cannot be reached"
        raise EgaraError(f"base model {base}: cannot be fetched ({kind}); {expected}") from error


def _has_weights(folder: Path) -> bool:
    return any(variant_of(path.name) is None for path in folder.glob("*.safetensors"))


def check_base(folder: Path) -> None:
    """Check that every part has its files, whole, and that the parts fit together as Stable Diffusion 1.5's do.

    Raises
    ------
    EgaraError : a configuration or weights are missing or cut short, weights are a pickle, or widths do not agree.
    """
    from safetensors import SafetensorError, safe_open

    index = read_index(folder)
    for part in PARTS:
        kind = index.get(part)
        if not (isinstance(kind, list) and len(kind) == 2 and kind[0] in ("diffusers", "transformers")):
            raise EgaraError(f"base model {folder}: model_index.json names no class for {part}; found {kind}")
        files = part_files(folder, part)
        names = [path.name for path in files]
        if not any(name in names for name in CONFIGURATIONS[part]):
            raise EgaraError(f"base model {folder}: {part} has no {' or '.join(CONFIGURATIONS[part])}")
        weights = [path for path in files if path.suffix == ".safetensors"]
        if part in MODELS and not weights:
            found = ", ".join(sorted(path.name for path in (folder / part).iterdir()))
            raise EgaraError(f"base model {folder}: {part} has no weights in .safetensors; found {found[:160]}")
        if absent := [name for name in _shards(files) if name not in names]:
            raise EgaraError(f"base model {folder}: {part} lacks {absent[0]}, which its index names; fetch it again")
        for path in weights:
            try:
                with safe_open(path, framework="np"):
                    pass
            except (SafetensorError, OSError) as error:
                raise EgaraError(f"{path}: not a whole file of weights ({error}); fetch it again") from error
    _check_widths(folder, *(_configuration(folder, part) for part in MODELS))


def _shards(files: list[Path]) -> list[str]:
    """Return the files of weights that a part's index names; none where the weights are one file."""
    names: dict[str, None] = {}
    for path in files:
        if ".safetensors.index" in path.name:
            try:
                names |= dict.fromkeys(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values())
            except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
                raise EgaraError(f"{path}: no index of weights ({type(error).__name__}); fetch it again") from error
    return list(names)


def _configuration(folder: Path, part: str) -> dict:
    path = folder / part / "config.json"
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise EgaraError(f"{path}: cannot be read ({error}); expected the configuration of {part}") from error


def _check_widths(folder: Path, text_encoder: dict, unet: dict, vae: dict) -> None:
    pairs = [
        ("in_channels", unet, "latent_channels", "vae", vae, "channels"),
        ("cross_attention_dim", unet, "hidden_size", "text_encoder", text_encoder, "wide text"),
    ]
    for name, taker, other, giver, given, what in pairs:
        wanted, found = taker.get(name), given.get(other)
        if None not in (wanted, found) and wanted != found:
            raise EgaraError(
                f"base model {folder}: unet reads {wanted} {what}, {giver} gives {found};"
                " expected a text-to-image base built as Stable Diffusion 1.5 is"
            )


def hash_base(folder: Path) -> str:
    """Return one SHA-256 over names and bytes of all weights, configurations and vocabularies of the parts."""
    digest = hashlib.sha256()
    for part in PARTS:
        for path in part_files(folder, part):
            digest.update(f"{part}/{path.name}\0{sha256(path)}\0".encode())
    return digest.hexdigest()


def describe_base(base: str) -> dict[str, object]:
    """Return name, folder, hash of the whole and of each part, variants of weights, and whom the base was trained on.

    The last two are there where the base has them. Each part has its own hash so that a changed U-Net leaves latents
    and embeddings as they are.
    """
    folder = find_base(base)
    check_base(folder)
    note = folder / "provenance.json"
    try:
        provenance = json.loads(note.read_text()) if note.is_file() else None
    except ValueError as error:
        raise EgaraError(f"{note}: not JSON ({error}); expected whom the base was trained on") from error
    described = {
        "base": base,
        "folder": str(folder),
        "sha256": hash_base(folder),
        "parts": {part: hash_part(folder, part) for part in PARTS},
        "provenance": provenance,
    }
    variants = {part: variant for part in MODELS if (variant := part_variant(folder, part))}
    return described | ({"variants": variants} if variants else {})


def main(argv: list[str] | None = None) -> None:
    """Find the base model and write its description."""
    arguments = parser(__doc__)
    arguments.add_argument("--base", required=True, help="folder in diffusers' layout, or hub id")
    arguments.add_argument("--output", type=Path, required=True, help="description of the base (JSON)")
    options = arguments.parse_args(argv)
    described = describe_base(options.base)
    write_text(options.output, json.dumps(described, indent=2, sort_keys=True) + "\n")
    for part, variant in described.get("variants", {}).items():
        logger("loras.base").info("base %s: %s in the variant %s, the only one there", options.base, part, variant)
    logger("loras.base").info("base %s: sha256 %s", options.base, described["sha256"][:12])


if __name__ == "__main__":
    run(main)
