"""Captions -> text embeddings, computed once for a token policy.

python -m egara.loras.embeddings --captions '["solo, manga style, face"]' --base base.json --output captions.safetensors
"""

import json
from pathlib import Path

from egara.errors import EgaraError, run
from egara.files import replacing
from egara.loras.description import read_description
from egara.loras.parts import load_part
from egara.progress import logger, parser


def embed_captions(folder: Path, captions: list[str]) -> dict[str, "object"]:
    """Return each caption's last hidden state, float32 (tokens, width), from the base's text encoder."""
    import torch

    tokenizer, encoder = load_part(folder, "tokenizer"), load_part(folder, "text_encoder")
    embedded = {}
    with torch.inference_mode():
        for caption in captions:
            whole = len(tokenizer(caption).input_ids)
            if whole > tokenizer.model_max_length:
                raise EgaraError(
                    f"caption {caption!r}: {whole} tokens, the base reads {tokenizer.model_max_length}; shorten it"
                )
            tokens = tokenizer(caption, padding="max_length", truncation=True, return_tensors="pt").input_ids
            embedded[caption] = encoder(tokens).last_hidden_state[0].float().numpy().copy()
    return embedded


def main(argv: list[str] | None = None) -> None:
    """Embed captions and write them under their own text as names."""
    arguments = parser(__doc__)
    arguments.add_argument("--captions", required=True, help="JSON list of captions")
    arguments.add_argument("--base", type=Path, required=True, help="description of the base model")
    arguments.add_argument("--output", type=Path, required=True, help="embeddings of the captions")
    options = arguments.parse_args(argv)
    base = read_description(options.base)
    captions = sorted(set(json.loads(options.captions)))

    from safetensors.numpy import save_file

    with replacing(options.output) as part:
        save_file(embed_captions(Path(base["folder"]), captions), part, metadata={"base_sha256": base["sha256"]})
    logger("loras.embeddings").info("%d captions", len(captions))


if __name__ == "__main__":
    run(main)
