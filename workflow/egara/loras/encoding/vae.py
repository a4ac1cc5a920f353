"""One face crop -> its latent, plain and mirrored: the transform and the encoder.

Everything that decides the numbers of a latent is in this module; see `LATENTS_VERSION`.

One filter both shrinks and enlarges, so that a face just under the resolution looks like one just over it: a change of
filter at that size would mark works by the size of their scans. Lanczos is the default: line drawings of three artists,
shrunk to a half and to a quarter and enlarged again, were closest to the original with it (root mean square error 5-8 %
below bicubic's, 14-23 % below bilinear's), at the price of faint rings along strokes (more than 4 of 255 levels beyond
the neighbouring pixels' range on 0.4-2.4 % of the image; bicubic 0-1.5 %, bilinear and box none). `nearest` is not
offered because it drops strokes when it shrinks; `box` averages there and has the same hard steps when it enlarges.
"""

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.io.errors import EgaraError
from egara.loras.base.components import load_part

if TYPE_CHECKING:
    from diffusers import AutoencoderKL
    from PIL.Image import Image as PillowImage

# Part of the key under which the cache keeps latents. Raise it by one when a change in this module changes the latents
# of the same crop; all faces are then encoded again.
LATENTS_VERSION = 1


def read_crop(path: Path, sha256: str | None = None) -> bytes:
    """Read a crop's bytes; a missing crop, or one whose hash is not its table's, is refused."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EgaraError(f"{path}: cannot be read ({error.strerror}); expected a face crop") from error
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise EgaraError(f"{path}: changed since the sets were drawn; expected sha256 {sha256[:12]}…")
    return content


def enlargement(content: bytes, path: Path, resolution: int) -> float:
    """Return how many times a crop's short side goes into the resolution; above 1 it is enlarged."""
    return resolution / min(_open(content, path).size)


def read_picture(content: bytes, path: Path, transform: dict) -> np.ndarray:
    """Decode a crop as float32 of shape (3, resolution, resolution) in [-1, 1]; what exceeds the square is cut off."""
    from PIL import Image, ImageOps

    side = transform["resolution"]
    try:
        image = _open(content, path).convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise EgaraError(f"{path}: cannot be read as an image ({error})") from error
    fitted = ImageOps.fit(image, (side, side), Image.Resampling[transform["resample"].upper()])
    return np.asarray(fitted, np.float32).transpose(2, 0, 1) / 127.5 - 1


def _open(content: bytes, path: Path) -> "PillowImage":
    from PIL import Image

    try:
        return Image.open(io.BytesIO(content))
    except (OSError, SyntaxError, ValueError) as error:
        raise EgaraError(f"{path}: cannot be read as an image ({error})") from error


def load_autoencoder(folder: Path, sha256: str, resolution: int, device: str) -> "AutoencoderKL":
    """Load the base's autoencoder in float32; half precision overflows in Stable Diffusion 1.5's."""
    vae = load_part(folder, "vae", sha256)
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    if resolution % factor:
        raise EgaraError(f"resolution {resolution}: the autoencoder needs a multiple of {factor}")
    return vae.to(device)


def encode_picture(vae: "AutoencoderKL", picture: np.ndarray, device: str) -> dict[str, np.ndarray]:
    """Encode an image of shape (3, height, width) and its mirror image, each alone.

    One image per pass, because the batch size changes the last bits: a face's latents are the same whichever others are
    missing. On a CPU core this costs nothing: batches of 1 to 32 take the same time per image. TF32 is off, because
    latents are computed only once per study.

    Returns
    -------
    mean, std : float32 of shape (2, channels, height / factor, width / factor), scaled by the autoencoder's factor; the
    first axis is plain and mirrored. A flip is a second image, not the flip of a latent.
    """
    import torch

    mean, std = [], []
    exact = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    with torch.inference_mode(), exact:
        for view in (picture, picture[..., ::-1]):
            posterior = vae.encode(torch.from_numpy(view[None].copy()).to(device)).latent_dist
            mean.append((posterior.mean[0] * vae.config.scaling_factor).float().cpu().numpy())
            std.append((posterior.std[0] * vae.config.scaling_factor).float().cpu().numpy())
    return {"mean": np.stack(mean), "std": np.stack(std)}
