"""The inputs of training: latents of a work's faces and the embedded caption, each checked to be the right one.

Every face and caption in a gathered file has a key: the hash of the image's bytes or of the text, of the transform, of
the base's part that encoded it and of the encoding's version. The reader computes the same key from what it is about to
train on, and refuses a file whose key differs. So a stale file cannot be trained on.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from egara.io.errors import EgaraError
from egara.io.tensors import open_tensors
from egara.loras.base.components import part_hash
from egara.loras.encoding.text import EMBEDDINGS_VERSION
from egara.loras.encoding.vae import LATENTS_VERSION
from egara.loras.store import content_key
from egara.settings import Interpolation

FILTERS = ("lanczos", "bicubic", "bilinear", "box")
ADVICE = "delete it and run again"
FILTERS = get_args(Interpolation)


@dataclass(frozen=True)
class Caption:
    """An embedded caption.

    Attributes
    ----------
    embedding : float32 of shape (n_tokens, width), the input of cross-attention.
    ids : int64 of shape (n_tokens,), the input of a text encoder that carries LoRAs.
    """

    embedding: np.ndarray
    ids: np.ndarray


def describe_transform(resolution: int, resample: str) -> dict[str, object]:
    """Return how a crop becomes a square image: `cover` scales to the short side and crops the rest."""
    if resample not in FILTERS:
        raise EgaraError(f"training.image_interpolation_mode is {resample!r}; expected one of {', '.join(FILTERS)}")
    if resolution < 8:
        raise EgaraError(f"resolution is {resolution}; expected at least 8 pixels")
    return {"fit": "cover", "resample": resample, "resolution": int(resolution)}


def latent_inputs(base: dict, transform: dict) -> dict[str, object]:
    """Return all that decides a face's latents besides the image itself."""
    return {
        "autoencoder": part_hash(base, "vae"),
        "transform": transform,
        "version": LATENTS_VERSION,
    }


def latent_key(image: str, inputs: dict) -> str:
    """Return the key of a face's latents; `image` is the SHA-256 of its crop."""
    return content_key({"image": image, **inputs})


def caption_inputs(base: dict) -> dict[str, object]:
    """Return all that decides a caption's embedding besides the text itself."""
    return {
        "text_encoder": part_hash(base, "text_encoder"),
        "tokenizer": part_hash(base, "tokenizer"),
        "version": EMBEDDINGS_VERSION,
    }


def caption_key(caption: str, inputs: dict) -> str:
    """Return the key of a caption's embedding."""
    return content_key({"caption": caption, **inputs})


def ids_name(caption: str) -> str:
    """Return the name of a caption's token ids in a file; the embedding's name is the caption itself."""
    return f"token ids of: {caption}"


def read_latents(
    path: Path, images: dict[str, str], base: dict, transform: dict
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Read the latents of a work's faces.

    Parameters
    ----------
    path : gathered latents, written by `egara.loras.encoding.latents`.
    images : SHA-256 of each face's crop, from the table of sets.
    base : description of the base model.
    transform : what `describe_transform` returns.

    Returns
    -------
    mean and std, float32 of shape (n_faces, 2, channels, height, width), plain and mirrored; and each face's row.

    Raises
    ------
    EgaraError : the file is missing or corrupt, or a face is missing, has changed, or was encoded in another way.
    """
    note, arrays = _read(path, ["mean", "std"], "latents")
    inputs = latent_inputs(base, transform)
    try:
        faces, found = note["faces"], note["inputs"]
        rows = {face: row for row, (face, _, _) in enumerate(faces)}
        known = {face: (image, key) for face, image, key in faces}
    except (KeyError, TypeError, ValueError) as error:
        raise EgaraError(f"{path}: does not say which faces it holds; {ADVICE}") from error
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) > 1 or len(faces) != len(arrays["mean"]) or arrays["mean"].ndim != 5:
        raise EgaraError(f"{path}: {len(faces)} faces but arrays of {sorted(shapes)}; {ADVICE}")
    for face, image in images.items():
        if face not in known:
            raise EgaraError(f"{path}: holds no latents of face {face}; {ADVICE}")
        if known[face][0] != image:
            raise EgaraError(f"{path}: the image of face {face} has changed; {ADVICE}")
        if known[face][1] != latent_key(image, inputs):
            raise EgaraError(f"{path}: latents of {_difference(found, inputs)}; {ADVICE}")
    return arrays, {face: rows[face] for face in images}


def read_caption(path: Path, caption: str, base: dict) -> Caption:
    """Read one embedded caption, written by `egara.loras.encoding.captions`.

    Raises
    ------
    EgaraError : the file is missing or corrupt, lacks the caption, or is of another text encoder, tokenizer or version.
    """
    note, arrays = _read(path, [caption, ids_name(caption)], f"the embedding of {caption!r}")
    inputs = caption_inputs(base)
    try:
        key, found = note["captions"][caption], note["inputs"]
    except (KeyError, TypeError, ValueError) as error:
        raise EgaraError(f"{path}: does not say which captions it holds; {ADVICE}") from error
    if key != caption_key(caption, inputs):
        raise EgaraError(f"{path}: embeddings of {_difference(found, inputs)}; {ADVICE}")
    return Caption(arrays[caption], arrays[ids_name(caption)])


def _read(path: Path, names: list[str], what: str) -> tuple[dict, dict[str, np.ndarray]]:
    with open_tensors(path, what, ADVICE) as file:
        note, arrays = file.json(), file.tensors(names)
    for name, array in arrays.items():
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise EgaraError(f"{path}: {name} holds values that are not finite numbers, expected {what}; {ADVICE}")
    return note, arrays


def _difference(found: object, expected: dict) -> str:
    """Say which input differs: `another transform (resample bicubic, expected lanczos)`."""
    if not isinstance(found, dict):
        return "unknown inputs"
    for name, value in expected.items():
        if isinstance(value, dict) and isinstance(found.get(name), dict) and found[name] != value:
            parts = [f"{key} {found[name].get(key)}, expected {value[key]}" for key in value]
            changed = [part for key, part in zip(value, parts, strict=True) if found[name].get(key) != value[key]]
            return f"another {name} ({'; '.join(changed)})"
        if found.get(name) != value:
            return f"another {name}".replace("another version", "another version of the encoding").replace("_", " ")
    return "another image or text than their names say"
