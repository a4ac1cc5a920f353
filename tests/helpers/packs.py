"""A small study of LoRAs to train in packs, and the results of training it."""

import numpy as np

from egara.loras.training.batches import Adapter
from egara.loras.training.loop import Frozen
from egara.loras.training.packs import train_adapters
from egara.loras.training.settings import Training

STEPS = 4


def make_study(base, count, mixed_precision="no", ranks=(3,)):
    """Return the frozen base and adapters by key; the same ones in any process."""
    import torch

    from egara.loras.base.components import load_part

    torch.set_num_threads(1)  # another number of threads adds in another order
    draw = np.random.default_rng(0)
    mean = draw.normal(size=(5, 2, 4, 16, 16)).astype(np.float32)
    latents, caption = {"mean": mean, "std": np.full_like(mean, 0.1)}, draw.normal(size=(24, 64))
    frozen = Frozen({"unet": load_part(base, "unet")}, load_part(base, "scheduler"))
    adapters = {}
    for number in range(count):
        rank = ranks[number % len(ranks)]
        training = Training(
            rank=rank, alpha=3, init="independent", resolution=64, max_train_steps=STEPS, train_batch_size=2,
            learning_rate=1e-3, seed=0, mixed_precision=mixed_precision,
        )  # fmt: skip
        caption32 = caption.astype(np.float32)
        adapters[f"key{number}"] = Adapter(f"w/{number:02d}", training, latents, np.arange(5), caption32)
    return frozen, adapters


def collect(study, store, size, every=1e9, on_step=lambda pack: None):
    frozen, adapters = study
    results = train_adapters(frozen, adapters, size, store, every, on_step)
    return {key: {name: t.numpy() for name, t in tensors.items()} for key, _, tensors, _, _ in results}


def same_bits(one, other):
    return set(one) == set(other) and all(
        np.array_equal(one[key][name], other[key][name]) for key in one for name in one[key]
    )
