"""LoRA files of random factors, of a few small layers."""

import json

import numpy as np
from safetensors.numpy import save_file

SIZES = {"unet.up.to_q": (6, 9), "unet.down.ff": (20, 4)}  # outputs, inputs


def write_lora(path, author, work, layers, alpha=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name, (down, up) in layers.items():
        tensors |= {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}
    metadata = {"egara": json.dumps({"author": author, "work": work, "set": path.stem})}
    if alpha is not None:
        metadata["lora_adapter_metadata"] = json.dumps({"unet.lora_alpha": alpha})
    save_file({k: np.ascontiguousarray(v, np.float32) for k, v in tensors.items()}, path, metadata=metadata)


def random_layers(generator, rank=2):
    return {n: (generator.normal(size=(rank, i)), generator.normal(size=(o, rank))) for n, (o, i) in SIZES.items()}


def write_study(folder, works=("w1", "w2"), sets=3, rank=2, alpha=6):
    generator, layers = np.random.default_rng(1), {}
    for work in works:
        for number in range(sets):
            layers[work, number] = random_layers(generator, rank)
            write_lora(
                folder / work / f"{number:02d}.safetensors", f"author of {work}", work, layers[work, number], alpha
            )
    return list(layers.values())
