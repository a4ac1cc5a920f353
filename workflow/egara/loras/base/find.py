"""Find, check and hash the base model: a diffusers folder or a hub id.

egara loras base find --base resources/base --output results/demo/base/base.json
"""

import hashlib
import json
from pathlib import Path

from egara.io.atomic import write_text
from egara.io.errors import EgaraError
from egara.io.hashing import sha256
from egara.io.json import read_json
from egara.io.progress import logger, parser
from egara.io.tensors import open_tensors
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
    """Return the folder of a base model; a hub id is downloaded, or found in the local cache, by huggingface_hub.

    Raises
    ------
    EgaraError : neither a folder nor a hub id that can be downloaded, or a part is missing.
    """
    folder = Path(base)
    if folder.is_file():
        raise EgaraError(f"base model {base}: a single file; expected a folder in diffusers' layout or a hub id")
    if not folder.is_dir():
        folder = _download(base)
    if missing := [part for part in PARTS if not (folder / part).is_dir()]:
        raise EgaraError(f"base model {base}: no {', '.join(missing)} in {folder}; expected {', '.join(PARTS)}")
    return folder


def _download(base: str) -> Path:
    expected = "expected a folder in diffusers' layout or a hub id that can be downloaded"
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
        raise EgaraError(f"base model {base}: cannot be downloaded ({kind}); {expected}") from error


def _has_weights(folder: Path) -> bool:
    return any(variant_of(path.name) is None for path in folder.glob("*.safetensors"))


def check_base(folder: Path) -> None:
    """Check that every part is there and whole, and that the parts fit together as in Stable Diffusion 1.5.

    Raises
    ------
    EgaraError : a configuration or weights are missing or corrupt, weights are a pickle, or widths do not agree.
    """
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
            raise EgaraError(f"base model {folder}: {part} lacks {absent[0]}, which its index names; download it")
        for path in weights:
            with open_tensors(path, f"the weights of {part}", "download it again"):
                pass
    _check_widths(folder, *(_configuration(folder, part) for part in MODELS))


def _shards(files: list[Path]) -> list[str]:
    """Return the files of weights that a part's index names; none where the weights are one file."""
    names: dict[str, None] = {}
    for path in files:
        if ".safetensors.index" in path.name:
            weight_map = read_json(path, "an index of weights").get("weight_map")
            if not isinstance(weight_map, dict):
                raise EgaraError(f"{path}: no weight_map; expected an index of weights, download it again")
            names |= dict.fromkeys(weight_map.values())
    return list(names)


def _configuration(folder: Path, part: str) -> dict:
    return read_json(folder / part / "config.json", f"the configuration of {part}")


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
    """Return name, folder, hash of the whole and of each part, variants of weights, and what the base was trained on.

    The last two are there where the base has them. Each part has its own hash so that a changed U-Net leaves latents
    and embeddings as they are.
    """
    folder = find_base(base)
    check_base(folder)
    note = folder / "provenance.json"
    provenance = read_json(note, "the art that the base was trained on") if note.is_file() else None
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
