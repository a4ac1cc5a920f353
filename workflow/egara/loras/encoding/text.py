"""One caption -> token ids and text embedding: the tokenizer and the encoder, and nothing else.

Whatever decides the numbers stands here, because the cache names embeddings by this module's fingerprint.
"""

from pathlib import Path

import numpy as np

from egara.io.errors import EgaraError
from egara.loras.base.components import load_part


def load_encoder(folder: Path, tokenizer: str, text_encoder: str) -> tuple["object", "object"]:
    """Load tokenizer and text encoder (float32, CPU) of a base, given the hashes of both."""
    return load_part(folder, "tokenizer", tokenizer), load_part(folder, "text_encoder", text_encoder)


def embed_caption(tokenizer: "object", encoder: "object", caption: str) -> dict[str, np.ndarray]:
    """Tokenize and embed a caption, padded to the base's length as Stable Diffusion 1.5 was trained.

    Returns
    -------
    ids : int64 (tokens,).
    embedding : float32 (tokens, width), the encoder's last hidden state after its final norm.
    """
    import torch

    whole, limit = len(tokenizer(caption).input_ids), tokenizer.model_max_length
    if whole > limit:
        raise EgaraError(f"caption {caption!r}: {whole} tokens, the base reads {limit}; shorten it")
    ids = tokenizer(caption, padding="max_length", truncation=True, return_tensors="pt").input_ids
    with torch.inference_mode():
        embedding = encoder(ids).last_hidden_state[0].float().numpy().copy()
    return {"ids": ids[0].numpy().astype(np.int64), "embedding": embedding}
