"""Write a LoRA in the layout that diffusers and PEFT load, with all that it takes to train it again."""

import json
from pathlib import Path

import numpy as np

from egara.loras.files.layers import Factors
from egara.loras.files.writing import write_lora

POINTS = 200  # of a loss curve in the header


def save_lora(
    path: Path,
    tensors: dict[str, np.ndarray],
    rank: int,
    alpha: float,
    header: dict,
    losses: np.ndarray,
    stored_as: str = "float32",
) -> None:
    """Write one LoRA.

    Parameters
    ----------
    path : the file, written in one step.
    tensors : `<part>.<module>.lora_A.weight` (rank, inputs) and `….lora_B.weight` (outputs, rank); a part is `unet` or
        `text_encoder`.
    rank, alpha : ΔW = alpha / rank · B A; loaders assume alpha = rank unless the header says otherwise.
    header : provenance, stored as JSON under `egara`.
    losses : (steps,), the loss of each step; means of consecutive steps are stored under `egara_losses`.
    stored_as : `float32` or `float16`.
    """
    layers = {
        name: Factors(tensors[f"{name}.lora_A.weight"], tensors[f"{name}.lora_B.weight"], alpha / rank)
        for name in sorted({name.rsplit(".lora_", 1)[0] for name in tensors})
    }
    curve = json.dumps(summarise_losses(losses))
    write_lora(path, layers, header, dtype=stored_as, metadata={"egara_losses": curve})


def summarise_losses(losses: np.ndarray, points: int = POINTS) -> dict[str, list]:
    """Return a loss curve of at most `points` points: the mean of each block of steps, at the block's last step."""
    ends = np.unique(np.linspace(0, len(losses), min(points, len(losses)) + 1).round().astype(int)[1:])
    blocks = np.split(losses.astype(float), ends[:-1])
    return {"step": ends.tolist(), "loss": [round(float(block.mean()), 5) for block in blocks]}
