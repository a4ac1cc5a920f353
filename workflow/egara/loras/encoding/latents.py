"""Encode face crops as latents, once for all sets, cells and runs.

    egara loras encoding latents --sets w.tsv --crops faces/w --base base.json
        --cache latents --output w.safetensors

Each face is looked up in a cache by content first (256 KB per face at 512 px) and written to it as soon as it is
encoded: a killed job loses one face. Then the work's faces are gathered in one file for training. Training samples a
latent at each step from the encoder's mean and standard deviation, so both are kept, plain and mirrored.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.io.errors import EgaraError, counted
from egara.io.progress import logger, parser, track
from egara.io.tables import read_tsv
from egara.io.tensors import write_tensors
from egara.loras.base.components import part_hash, read_description
from egara.loras.encoding.cache import find_missing, read_entry, write_entry
from egara.loras.encoding.inputs import describe_transform, latent_inputs, latent_key
from egara.loras.encoding.vae import encode_picture, enlargement, load_autoencoder, read_crop, read_picture
from egara.settings import Grid, Machine, Training
from egara.settings.arguments import add_setting

if TYPE_CHECKING:
    import pandas as pd


def encode_missing(options: argparse.Namespace, base: dict, inputs: dict, crops: dict[str, tuple[Path, str]]) -> None:
    """Encode crops, given as key -> (path, sha256), and write each to the cache at once."""
    import torch

    from egara.loras.base.devices import choose_device, is_out_of_memory

    torch.set_num_threads(options.threads)
    device = choose_device(options.device)
    transform = inputs["transform"]
    vae = load_autoencoder(Path(base["folder"]), part_hash(base, "vae"), transform["resolution"], device)
    for key, (path, image) in track(crops.items(), len(crops), "face"):
        picture = read_picture(read_crop(path, image), path, transform)
        try:
            encoded = encode_picture(vae, picture, device)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            found = f"device {device} has no memory to encode one picture of {transform['resolution']} px"
            raise EgaraError(f"{found}; lower the resolution or use another device") from error
        if not all(np.isfinite(array).all() for array in encoded.values()):
            raise EgaraError(f"{path}: the autoencoder of {base['base']} returns a latent that is not finite")
        write_entry(options.cache, key, encoded, {"image": image, **inputs})


def gather(cache: Path, keys: list[str]) -> dict[str, np.ndarray]:
    """Return mean and std of all keys, float32 of shape (n_faces, 2, channels, height, width), from the cache."""
    gathered: dict[str, np.ndarray] = {}
    for row, key in enumerate(keys):
        entry = read_entry(cache, key)
        for name in ("mean", "std"):
            if name not in gathered:
                gathered[name] = np.empty((len(keys), *entry[name].shape), np.float32)
            gathered[name][row] = entry[name]
    return gathered


def find_crops(faces: "pd.DataFrame", folder: Path, resolution: int) -> tuple[list[Path], list[float]]:
    """Return each face's crop and its enlargement, after comparing its bytes with the hash in the table."""
    paths = [folder / name for name in faces["file"]]
    factors = [
        enlargement(read_crop(path, image), path, resolution)
        for path, image in zip(paths, faces["sha256"], strict=True)
    ]
    return paths, factors


def main(argv: list[str] | None = None) -> None:
    """Encode every face of the work's sets that is not in the cache; gather them all."""
    arguments = parser(__doc__)
    arguments.add_argument("--sets", type=Path, required=True, help="table of the work's sets")
    arguments.add_argument("--crops", type=Path, required=True, help="folder of the face crops")
    arguments.add_argument("--base", type=Path, required=True, help="description of the base model")
    add_setting(arguments, Grid, "resolution", item=True)
    add_setting(arguments, Training, "image_interpolation_mode")
    add_setting(arguments, Machine, "device")
    arguments.add_argument("--threads", type=int, default=1, help="CPU threads")
    arguments.add_argument("--cache", type=Path, required=True, help="folder of encoded faces, by content")
    arguments.add_argument("--output", type=Path, required=True, help="latents of the work's faces")
    options = arguments.parse_args(argv)
    log, work = logger("loras.latents"), options.sets.stem
    sets = read_tsv(options.sets, ["face", "file", "sha256"], text=["face", "file", "sha256"])
    faces = sets.drop_duplicates("face").sort_values("face")
    base = read_description(options.base)
    inputs = latent_inputs(base, describe_transform(options.resolution, options.image_interpolation_mode))
    paths, factors = find_crops(faces, options.crops, options.resolution)
    images = list(faces["sha256"])
    keys = [latent_key(image, inputs) for image in images]
    missing = set(find_missing(options.cache, keys))
    if enlarged := [factor for factor in factors if factor > 1]:
        note = (work, len(enlarged), len(factors), options.resolution, options.image_interpolation_mode, max(enlarged))
        log.info("%s: %d of %d faces are smaller than %d px; enlarged by %s, at most %.2f times", *note)
    log.info("%s: %s, %d in the cache", work, counted(len(keys), "face"), sum(key not in missing for key in keys))
    if missing:
        crops = {key: (path, image) for key, path, image in zip(keys, paths, images, strict=True) if key in missing}
        encode_missing(options, base, inputs, crops)
    gathered = gather(options.cache, keys)
    listed = list(zip(faces["face"], images, keys, strict=True))
    write_tensors(options.output, gathered, {"faces": listed, "inputs": inputs})
    log.info("%s: latents %s", work, "x".join(map(str, gathered["mean"].shape[2:])))
