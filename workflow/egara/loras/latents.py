"""Face crops -> latents, computed once for all sets and cells of a work.

    python -m egara.loras.latents --sets sets/w.tsv --crops faces/w --base base/base.json --output latents/w.safetensors

A latent is drawn anew at each training step from the encoder's mean and deviation, so both are kept; a horizontal flip
is a second picture, not the flip of a latent.
"""

import json
from pathlib import Path

import numpy as np

from egara.errors import EgaraError, run
from egara.files import read_tsv, replacing, sha256
from egara.loras.description import read_description
from egara.loras.parts import load_part
from egara.progress import logger, parser, track


def read_picture(path: Path, resolution: int) -> np.ndarray:
    """Read a crop as float32 (3, resolution, resolution) in [-1, 1]; the short side is fitted, the middle kept.

    Resampling is Lanczos both for larger and for smaller crops.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            fitted = ImageOps.fit(image.convert("RGB"), (resolution, resolution), Image.Resampling.LANCZOS)
    except OSError as error:
        raise EgaraError(f"{path}: cannot be read as a picture ({error})") from error
    return np.asarray(fitted, np.float32).transpose(2, 0, 1) / 127.5 - 1


def encode_faces(vae: "object", paths: list[Path], resolution: int, batch: int, device: str) -> dict[str, np.ndarray]:
    """Encode crops and their mirror images.

    Returns
    -------
    mean, deviation : float32 (faces, 2, channels, height, width), scaled by the autoencoder's factor; the second axis
    is plain and mirrored.
    """
    import torch

    mean, deviation = [], []
    with torch.inference_mode():
        for start in track(range(0, len(paths), batch), -(-len(paths) // batch), "batch"):
            plain = np.stack([read_picture(path, resolution) for path in paths[start : start + batch]])
            pair = torch.from_numpy(np.stack([plain, plain[..., ::-1]], 1).reshape(-1, *plain.shape[1:])).to(device)
            posterior = vae.encode(pair).latent_dist
            shape = (len(plain), 2, *posterior.mean.shape[1:])
            mean.append((posterior.mean * vae.config.scaling_factor).reshape(shape).cpu().numpy())
            deviation.append((posterior.std * vae.config.scaling_factor).reshape(shape).cpu().numpy())
    return {"mean": np.concatenate(mean), "deviation": np.concatenate(deviation)}


def check_crops(faces: "object", crops: Path) -> list[Path]:
    """Return the crops' paths after comparing each one with the hash that its table holds."""
    paths = []
    for row in faces.itertuples():
        path = crops / row.file
        if not path.is_file():
            raise EgaraError(f"{path}: missing; expected the crop of face {row.face}")
        if sha256(path) != row.sha256:
            raise EgaraError(f"{path}: changed since the sets were drawn; expected sha256 {row.sha256[:12]}…")
        paths.append(path)
    return paths


def main(argv: list[str] | None = None) -> None:
    """Encode every face that stands in one of the work's sets."""
    arguments = parser(__doc__)
    arguments.add_argument("--sets", type=Path, required=True, help="table of the work's sets")
    arguments.add_argument("--crops", type=Path, required=True, help="folder of the face crops")
    arguments.add_argument("--base", type=Path, required=True, help="description of the base model")
    arguments.add_argument("--resolution", type=int, default=512, help="side of the pictures in pixels")
    arguments.add_argument("--batch", type=int, default=16, help="faces encoded at once")
    arguments.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    arguments.add_argument("--threads", type=int, default=1, help="CPU threads")
    arguments.add_argument("--output", type=Path, required=True, help="latents of the faces")
    options = arguments.parse_args(argv)
    sets = read_tsv(options.sets, ["face", "file", "sha256"], text=["face", "file", "sha256"])
    faces = sets.drop_duplicates("face").sort_values("face")
    paths = check_crops(faces, options.crops)
    base = read_description(options.base)

    import torch
    from safetensors.numpy import save_file

    from egara.loras.devices import choose_device

    torch.set_num_threads(options.threads)
    device = choose_device(options.device)
    vae = load_part(Path(base["folder"]), "vae").to(device)
    encoded = encode_faces(vae, paths, options.resolution, options.batch, device)
    note = {
        "faces": json.dumps(list(faces["face"])),
        "base_sha256": base["sha256"],
        "resolution": str(options.resolution),
    }
    with replacing(options.output) as part:
        save_file(encoded, part, metadata=note)
    logger("loras.latents").info("%s: %d faces, latents %s", options.sets.stem, len(paths), encoded["mean"].shape[2:])


if __name__ == "__main__":
    run(main)
