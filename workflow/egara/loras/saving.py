"""Write a LoRA in the layout that diffusers and PEFT load, with all that it takes to train it again."""

import json
from pathlib import Path

import numpy as np

from egara.files import replacing

TYPES = {"float32": np.float32, "float16": np.float16}


def save_lora(
    path: Path, tensors: dict[str, np.ndarray], rank: int, alpha: float, header: dict, stored_as: str = "float32"
) -> None:
    """Write one LoRA.

    Parameters
    ----------
    path : the file, written in one step.
    tensors : `<module>.lora_A.weight` (rank, inputs) and `<module>.lora_B.weight` (outputs, rank), in the U-Net.
    rank, alpha : ΔW = alpha / rank · B A; loaders assume alpha = rank unless the header says otherwise.
    header : provenance, stored as JSON under `egara`.
    stored_as : `float32` or `float16`.
    """
    from safetensors.numpy import save_file

    modules = sorted({name.rsplit(".lora_", 1)[0] for name in tensors})
    adapter = {"unet.r": rank, "unet.lora_alpha": alpha, "unet.target_modules": modules}
    metadata = {
        "format": "pt",
        "lora_adapter_metadata": json.dumps(adapter, sort_keys=True),
        "egara": json.dumps(header, sort_keys=True, ensure_ascii=False),
    }
    with replacing(path) as part:
        save_file(
            {f"unet.{k}": v.astype(TYPES[stored_as]) for k, v in sorted(tensors.items())}, part, metadata=metadata
        )
