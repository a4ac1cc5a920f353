"""One caption -> token ids and text embedding: the tokenizer and the encoder.

Everything that decides the numbers of an embedding is in this module; see `EMBEDDINGS_VERSION`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.io.errors import EgaraError
from egara.loras.base.components import load_part

if TYPE_CHECKING:
    from transformers import CLIPTextModel, CLIPTokenizer

# Part of the key under which the cache keeps embeddings. Raise it by one when a change in this module changes the token
# ids or the embedding of the same caption.
EMBEDDINGS_VERSION = 1


def load_encoder(folder: Path, tokenizer: str, text_encoder: str) -> tuple["CLIPTokenizer", "CLIPTextModel"]:
    """Load tokenizer and text encoder (float32, CPU) of a base, given the hashes of both."""
    return load_part(folder, "tokenizer", tokenizer), load_part(folder, "text_encoder", text_encoder)


def embed_caption(tokenizer: "CLIPTokenizer", encoder: "CLIPTextModel", caption: str) -> dict[str, np.ndarray]:
    """Tokenize and embed a caption, padded to the base's length as Stable Diffusion 1.5 was trained.

    Returns
    -------
    ids : int64 of shape (n_tokens,).
    embedding : float32 of shape (n_tokens, width), the encoder's last hidden state after its final norm.
    """
    import torch

    length, limit = len(tokenizer(caption).input_ids), tokenizer.model_max_length
    if length > limit:
        raise EgaraError(f"caption {caption!r}: {length} tokens; expected at most {limit}, which the base reads")
    ids = tokenizer(caption, padding="max_length", truncation=True, return_tensors="pt").input_ids
    with torch.inference_mode():
        embedding = encoder(ids).last_hidden_state[0].float().numpy().copy()
    return {"ids": ids[0].numpy().astype(np.int64), "embedding": embedding}
