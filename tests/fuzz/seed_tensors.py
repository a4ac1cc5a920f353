"""Small valid tensor files, networks and network outputs for fuzzing to start from."""

import json
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path

import networks
import numpy as np
from fuzz.seed_volumes import written

KEY = "a" * 64

TRANSFORM = {"fit": "cover", "resample": "box", "resolution": 64}

BASE = {"base": "b", "folder": "f", "parts": {"vae": "1", "text_encoder": "2", "tokenizer": "3"}}


def stored(tensors: dict[str, np.ndarray], texts: dict[str, str] | None = None) -> bytes:
    """Return a safetensors file."""
    from safetensors.numpy import save

    return save(tensors, texts)


def factors(stem: str, down: str, up: str, kind: type = np.float32) -> dict[str, np.ndarray]:
    """Return one layer's two factors of rank 2."""
    return {stem + down: np.ones((2, 6), kind), stem + up: np.ones((4, 2), kind)}


def loras() -> list[bytes]:
    """Return LoRA files in the three layouts, with provenance and alphas."""
    header = {"egara": json.dumps({"author": "A", "work": "w"})}
    adapter = {"unet.lora_alpha": 4, "unet.alpha_pattern": {"conv_in": 2, r"conv_\w+": 3}}
    peft = factors("unet.conv_in", ".lora_A.weight", ".lora_B.weight", np.float16)
    kohya = factors("lora_unet_conv_in", ".lora_down.weight", ".lora_up.weight")
    alpha = {"lora_unet_conv_in.alpha": np.array(1, np.float32)}
    attention = "mid_block.attentions.0.transformer_blocks.0.attn1.processor"
    processor = factors(attention, ".to_q_lora.down.weight", ".to_q_lora.up.weight")
    return [
        stored(peft, header | {"lora_adapter_metadata": json.dumps(adapter)}),
        stored(kohya | alpha, header),
        stored(processor),
    ]


def header_of(data: bytes) -> bytes:
    """Return the JSON header of a safetensors file."""
    return data[8 : 8 + int.from_bytes(data[:8], "little")]


def latents() -> list[bytes]:
    """Return gathered latents of one face, as they are written."""
    from egara.loras.encoding.inputs import latent_inputs, latent_key

    inputs = latent_inputs(BASE, TRANSFORM)
    note = {"egara": json.dumps({"faces": [["00000", "i", latent_key("i", inputs)]], "inputs": inputs})}
    arrays = {name: np.zeros((1, 2, 1, 2, 2), np.float32) for name in ("mean", "std")}
    return [stored(arrays, note)]


def captions() -> list[bytes]:
    """Return one embedded caption, as it is written."""
    from egara.loras.encoding.inputs import caption_inputs, caption_key, ids_name

    inputs = caption_inputs(BASE)
    note = {"egara": json.dumps({"captions": {"c": caption_key("c", inputs)}, "inputs": inputs})}
    return [stored({"c": np.zeros((3, 2), np.float32), ids_name("c"): np.zeros(3, np.int64)}, note)]


def detectors() -> list[bytes]:
    """Return ONNX files of detectors: YOLOv8, YOLOX, outputs with class numbers, RT-DETR with its two inputs."""
    named = {"names": "{0: 'face'}", "task": "detect", "imgsz": "[32, 32]", "stride": "32", "args": "{'nms': False}"}
    small = (1, 3, 32, 32)

    def write(path: Path, **options: object) -> None:
        networks.network(path, **{"shape": small, **options})

    return [
        written(partial(write, transposed=True, metadata=named)),
        written(partial(write, box="grid", tail="objectness", fit="corner")),
        written(partial(write, box="corners", tail="label", rows=30, metadata=named | {"end2end": "True"})),
        written(
            partial(
                write, unit="fractions", rows=30, shape=("n", 3, "h", "w"), metadata=named | {"head": "RTDETRDecoder"}
            )
        ),
        written(networks.original_rtdetr),
    ]


def outputs() -> list[bytes]:
    """Return outputs of detectors, as bare numbers."""
    row = [0.3, 0.3, 0.4, 0.5, 0.9, 0.0]
    pixels = [3, 3, 14, 15, 0.9, 0.0]
    boxes = [np.arange(20), np.full(20, np.nan), np.tile(row, 30), np.tile(pixels, 21), np.tile(pixels[:5], (21, 1)).T]
    return [np.asarray(values, np.float32).tobytes() for values in boxes]


def saved(how: Callable, *values: object, **named: object) -> bytes:
    """What one of NumPy's writers writes."""
    file = BytesIO()
    how(file, *values, **named)
    return file.getvalue()
