"""One face crop -> its latent, plain and mirrored: the transform and the encoder, and nothing else.

Whatever decides the numbers stands here, because the cache names latents by this module's fingerprint: an edit
elsewhere encodes nothing again.

One filter both shrinks and enlarges, so that a face just under the resolution looks like one just over it: a change of
filter at that size would mark works by the size of their scans. Lanczos is the default: line drawings of three artists,
shrunk to a half and to a quarter and enlarged again, came nearest to the original with it (root mean square error 5-8 %
below bicubic's, 14-23 % below bilinear's), at the price of faint rings along strokes (more than 4 of 255 levels beyond
the neighbouring pixels' range on 0.4-2.4 % of the picture; bicubic 0-1.5 %, bilinear and box none). `nearest` is not on
offer because it drops strokes when it shrinks; `box` averages there and has the same hard steps when it enlarges.
"""

import hashlib
import io
from pathlib import Path

import numpy as np

from egara.io.errors import EgaraError
from egara.loras.base.components import load_part


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
    """Decode a crop as float32 (3, resolution, resolution) in [-1, 1]; the short side is fitted, the middle kept."""
    from PIL import Image, ImageOps

    side = transform["resolution"]
    try:
        image = _open(content, path).convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise EgaraError(f"{path}: cannot be read as a picture ({error})") from error
    fitted = ImageOps.fit(image, (side, side), Image.Resampling[transform["resample"].upper()])
    return np.asarray(fitted, np.float32).transpose(2, 0, 1) / 127.5 - 1


def _open(content: bytes, path: Path) -> "object":
    from PIL import Image

    try:
        return Image.open(io.BytesIO(content))
    except (OSError, SyntaxError, ValueError) as error:
        raise EgaraError(f"{path}: cannot be read as a picture ({error})") from error


def load_autoencoder(folder: Path, sha256: str, resolution: int, device: str) -> "object":
    """Load the base's autoencoder in float32; half precision overflows in Stable Diffusion 1.5's."""
    vae = load_part(folder, "vae", sha256)
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    if resolution % factor:
        raise EgaraError(f"resolution {resolution}: the autoencoder needs a multiple of {factor}")
    return vae.to(device)


def encode_picture(vae: "object", picture: np.ndarray, device: str) -> dict[str, np.ndarray]:
    """Encode a picture (3, height, width) and its mirror image, each alone.

    One picture a pass, because a batch's size changes the last bits: so a face's latents are the same whichever others
    are missing. On a CPU core it costs nothing: batches of 1 to 32 take the same time a picture. TF32 stays off: what
    is computed once a study may be exact.

    Returns
    -------
    mean, deviation : float32 (2, channels, height / factor, width / factor), scaled by the autoencoder's factor; the
    first axis is plain and mirrored. A flip is a second picture, not the flip of a latent.
    """
    import torch

    mean, deviation = [], []
    exact = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    with torch.inference_mode(), exact:
        for view in (picture, picture[..., ::-1]):
            posterior = vae.encode(torch.from_numpy(view[None].copy()).to(device)).latent_dist
            mean.append((posterior.mean[0] * vae.config.scaling_factor).float().cpu().numpy())
            deviation.append((posterior.std[0] * vae.config.scaling_factor).float().cpu().numpy())
    return {"mean": np.stack(mean), "deviation": np.stack(deviation)}
