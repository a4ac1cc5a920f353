"""LoRA files in other programs' layouts."""

import numpy as np

from egara.loras.files.__main__ import main


def delta(factors):
    flat = [values.reshape(values.shape[0], -1).astype(np.float64) for values in (factors.lora_A, factors.lora_B)]
    return factors.scaling * flat[1] @ flat[0]


def convert(source, target, layout, *more):
    main(["convert", str(source), str(target), "--layout", layout, *more])
    return target
