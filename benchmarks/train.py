"""Packed training against a warm PEFT loop: the same base, steps, batch and threads, side by side in one run.

    python benchmarks/train.py --pack 12 --batch 1 4

Both sides train on cached latents and a cached caption; PEFT's side is one adapter after another in one process.
"""

import argparse
import time

import numpy as np
import torch
from peft import LoraConfig, inject_adapter_in_model

from egara.base.models import build_scheduler, build_unet
from egara.loras.packed import TARGETS
from egara.loras.training import Set, Training, train_pack


def time_packed(latents: dict, caption: np.ndarray, pack: int, training: Training) -> float:
    """Return seconds per adapter and step of one pack."""
    sets = [Set(f"work/{number:02d}", np.arange(50)) for number in range(pack)]
    start = time.perf_counter()
    train_pack(build_unet(), build_scheduler(), latents, caption, sets, training)
    return (time.perf_counter() - start) / pack / training.steps


def time_peft(latents: dict, caption: np.ndarray, training: Training) -> float:
    """Return seconds per step of one adapter in a plain loop over PEFT's layers."""
    config = LoraConfig(r=training.rank, lora_alpha=training.alpha, target_modules=list(TARGETS["linear"]))
    model = inject_adapter_in_model(config, build_unet().requires_grad_(False))
    weights = [weight for name, weight in model.named_parameters() if "lora_" in name]
    for weight in weights:
        weight.requires_grad_(True)
    optimiser, scheduler = torch.optim.AdamW(weights, training.learning_rate), build_scheduler()
    mean = torch.from_numpy(latents["mean"][:, 0])
    context = torch.from_numpy(caption).expand(training.batch, -1, -1)
    start = time.perf_counter()
    for _ in range(training.steps):
        clean = mean[torch.randint(len(mean), (training.batch,))]
        noise, times = torch.randn_like(clean), torch.randint(1000, (training.batch,))
        guess = model(scheduler.add_noise(clean, noise, times), times, context).sample
        optimiser.zero_grad()
        ((guess - noise) ** 2).mean().backward()
        torch.nn.utils.clip_grad_norm_(weights, training.clip)
        optimiser.step()
    return (time.perf_counter() - start) / training.steps


def main() -> None:
    """Print milliseconds per adapter-step, medians of the repeats, and their ratio."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("--pack", type=int, default=12, help="adapters in a pack")
    arguments.add_argument("--batch", type=int, nargs="+", default=[1, 4], help="pictures a step")
    arguments.add_argument("--steps", type=int, default=6, help="steps a repeat")
    arguments.add_argument("--repeats", type=int, default=3, help="repeats")
    arguments.add_argument("--rank", type=int, default=8, help="rank of the adapters")
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    draw = np.random.default_rng(0)
    latents = {
        "mean": draw.normal(size=(50, 2, 4, 16, 16)).astype(np.float32),
        "deviation": np.full((50, 2, 4, 16, 16), 0.1, np.float32),
    }
    caption = draw.normal(size=(24, 64)).astype(np.float32)
    print(f"embedded U-Net, rank {options.rank}, {options.threads} threads, pack of {options.pack}")
    for batch in options.batch:
        training = Training(options.rank, options.rank, "independent", 64, options.steps, batch, 1e-3, 0)
        pairs = [
            (time_peft(latents, caption, training), time_packed(latents, caption, options.pack, training))
            for _ in range(options.repeats)
        ]
        alone, packed = np.median(pairs, axis=0) * 1000
        print(
            f"batch {batch}: PEFT {alone:.1f} ms, packed {packed:.1f} ms per adapter-step, {alone / packed:.1f} times"
        )


if __name__ == "__main__":
    main()
