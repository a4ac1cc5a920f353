"""What a training reads of a work: latents of its faces and the embedded caption, each proven to be the right one.

Every face and caption in a gathered file has a key: the hash of the picture's bytes or of the text, of the transform,
of the base's part that encoded it and of the code that did. The reader computes the same key from what it is about to
train on, and refuses all that differs. So a stale file cannot be trained on.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from egara.fingerprint import fingerprint
from egara.io.checksums import check, known_of
from egara.io.errors import EgaraError
from egara.loras.base.description import part_hash
from egara.loras.store import content_key
from egara.settings import Interpolation

FILTERS = get_args(Interpolation)
AGAIN = "delete it and run again"


@dataclass(frozen=True)
class Caption:
    """An embedded caption.

    Attributes
    ----------
    embedding : float32 (tokens, width), what cross-attention reads.
    ids : int64 (tokens,), what a text encoder with LoRAs of its own reads.
    """

    embedding: np.ndarray
    ids: np.ndarray


def describe_transform(resolution: int, resample: str) -> dict[str, object]:
    """Return how a crop becomes a square picture: `cover` fits the short side and keeps the middle."""
    if resample not in FILTERS:
        raise EgaraError(f"training.image_interpolation_mode is {resample!r}; expected one of {', '.join(FILTERS)}")
    if resolution < 8:
        raise EgaraError(f"resolution is {resolution}; expected at least 8 pixels")
    return {"fit": "cover", "resample": resample, "resolution": int(resolution)}


def latent_inputs(base: dict, transform: dict) -> dict[str, object]:
    """Return all that decides a face's latents, the picture itself aside."""
    return {
        "autoencoder": part_hash(base, "vae"),
        "code": fingerprint("egara.loras.encoding.vae"),
        "transform": transform,
    }


def latent_key(image: str, inputs: dict) -> str:
    """Return the key of a face's latents; `image` is the SHA-256 of its crop."""
    return content_key({"image": image, **inputs})


def caption_inputs(base: dict) -> dict[str, object]:
    """Return all that decides a caption's embedding, the text itself aside."""
    return {
        "code": fingerprint("egara.loras.encoding.text"),
        "text_encoder": part_hash(base, "text_encoder"),
        "tokenizer": part_hash(base, "tokenizer"),
    }


def caption_key(caption: str, inputs: dict) -> str:
    """Return the key of a caption's embedding."""
    return content_key({"caption": caption, **inputs})


def ids_name(caption: str) -> str:
    """Return under which name a file of captions holds the token ids; the embedding's name is the caption itself."""
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
    mean and deviation, float32 (rows, 2, channels, height, width), plain and mirrored; and each face's row.

    Raises
    ------
    EgaraError : the file is cut short, or a face is missing, has changed, or was encoded in another way.
    """
    note, arrays = _read(path, ["mean", "deviation"], "latents")
    inputs = latent_inputs(base, transform)
    try:
        faces, found = json.loads(note["faces"]), json.loads(note["inputs"])
        rows = {face: row for row, (face, _, _) in enumerate(faces)}
        known = {face: (image, key) for face, image, key in faces}
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise EgaraError(f"{path}: does not say which faces it holds; {AGAIN}") from error
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) > 1 or len(faces) != len(arrays["mean"]) or arrays["mean"].ndim != 5:
        raise EgaraError(f"{path}: {len(faces)} faces but arrays of {sorted(shapes)}; {AGAIN}")
    for face, image in images.items():
        if face not in known:
            raise EgaraError(f"{path}: holds no latents of face {face}; {AGAIN}")
        if known[face][0] != image:
            raise EgaraError(f"{path}: the picture of face {face} is another one now; {AGAIN}")
        if known[face][1] != latent_key(image, inputs):
            raise EgaraError(f"{path}: latents of {_difference(found, inputs)}; {AGAIN}")
    return arrays, {face: rows[face] for face in images}


def read_caption(path: Path, caption: str, base: dict) -> Caption:
    """Read one embedded caption, written by `egara.loras.encoding.captions`.

    Raises
    ------
    EgaraError : the file is cut short, lacks the caption, or another text encoder, tokenizer or code made it.
    """
    note, arrays = _read(path, [caption, ids_name(caption)], f"the embedding of {caption!r}")
    inputs = caption_inputs(base)
    try:
        key, found = json.loads(note["captions"])[caption], json.loads(note["inputs"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise EgaraError(f"{path}: does not say which captions it holds; {AGAIN}") from error
    if key != caption_key(caption, inputs):
        raise EgaraError(f"{path}: embeddings of {_difference(found, inputs)}; {AGAIN}")
    return Caption(arrays[caption], arrays[ids_name(caption)])


def _read(path: Path, names: list[str], what: str) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            if missing := sorted(set(names) - set(file.keys())):
                raise EgaraError(f"{path}: holds no {', '.join(missing)}, expected {what}; {AGAIN}")
            arrays = {name: file.get_tensor(name) for name in names}
            note, known = file.metadata() or {}, known_of(file.keys(), file.metadata())
    except (SafetensorError, OSError, TypeError, ValueError, KeyError, AttributeError) as error:
        # Types that NumPy lacks raise errors of their own.
        raise EgaraError(f"{path}: not a whole file, expected {what} ({error}); {AGAIN}") from error
    for name, array in arrays.items():
        check(path, name, array, known, AGAIN)
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise EgaraError(f"{path}: {name} holds values that are not finite numbers, expected {what}; {AGAIN}")
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
            return f"another {name}".replace("another code", "another version of the code").replace("_", " ")
    return "another picture or text than their names say"
