"""Encode captions as token ids and text embeddings, once per study.

    egara loras encoding captions --captions '["face"]' --base base.json --cache c --output c.safetensors

A caption's embedding has the caption itself as its name in the file; its token ids are `token ids of: <caption>`.
"""

from pathlib import Path

from egara.io.errors import EgaraError
from egara.io.json import parse_json
from egara.io.progress import logger, parser
from egara.io.tensors import write_tensors
from egara.loras.base.components import read_description
from egara.loras.encoding.cache import find_missing, read_entry, write_entry
from egara.loras.encoding.inputs import caption_inputs, caption_key, ids_name
from egara.loras.encoding.text import embed_caption, load_encoder


def read_captions(text: str) -> list[str]:
    """Decode a JSON list of captions; each one once, sorted."""
    captions = parse_json(text, "--captions", "a list of texts", list)
    if not captions or not all(isinstance(caption, str) for caption in captions):
        raise EgaraError(f"--captions {text}: expected a list of texts")
    return sorted(set(captions))


def main(argv: list[str] | None = None) -> None:
    """Embed the captions that are not in the cache; gather them all."""
    arguments = parser(__doc__)
    arguments.add_argument("--captions", required=True, help="JSON list of captions")
    arguments.add_argument("--base", type=Path, required=True, help="description of the base model")
    arguments.add_argument("--cache", type=Path, required=True, help="folder of embedded captions, by content")
    arguments.add_argument("--output", type=Path, required=True, help="token ids and embeddings of the captions")
    options = arguments.parse_args(argv)
    base = read_description(options.base)
    inputs = caption_inputs(base)
    keys = {caption: caption_key(caption, inputs) for caption in read_captions(options.captions)}
    missing = set(find_missing(options.cache, keys.values()))
    if missing:
        encoder = load_encoder(Path(base["folder"]), inputs["tokenizer"], inputs["text_encoder"])
        for caption, key in keys.items():
            if key in missing:
                write_entry(options.cache, key, embed_caption(*encoder, caption), {"caption": caption, **inputs})
    arrays = {}
    for caption, key in keys.items():
        entry = read_entry(options.cache, key)
        arrays |= {caption: entry["embedding"], ids_name(caption): entry["ids"]}
    write_tensors(options.output, arrays, {"captions": keys, "inputs": inputs})
    logger("loras.embeddings").info("%d captions, %d in the cache", len(keys), len(keys) - len(missing))
