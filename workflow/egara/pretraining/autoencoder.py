"""Train the embedded base's autoencoder on the pre-training art.

egara pretraining autoencoder --art results/base/art.npz --output results/base/vae
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.io.arrays import read_arrays
from egara.io.progress import bar, logger, parser
from egara.pretraining.art import batch_of_art
from egara.seeds import derive_seed, stream

if TYPE_CHECKING:
    import torch

PATCH = 48  # pixels: strokes are local, so patches train them in half the time of whole images
KL_SCALE = 1e-5


def reconstruction_loss(drawn: "torch.Tensor", target: "torch.Tensor") -> "torch.Tensor":
    """L1 of the pixels plus L1 of their differences: the second term keeps strokes crisp.

    Both tensors are (pictures, channels, height, width).
    """
    loss = (drawn - target).abs().mean()
    for axis in (-1, -2):
        loss = loss + (drawn.diff(dim=axis) - target.diff(dim=axis)).abs().mean()
    return loss


def train_autoencoder(art: dict[str, np.ndarray], steps: int, batch: int, seed: int) -> "torch.nn.Module":
    """Train an autoencoder with AdamW and a cosine schedule, and set its latent scale to unit variance."""
    import torch

    from egara.pretraining.models import SIDE, build_autoencoder

    torch.manual_seed(derive_seed(seed, "autoencoder", "init"))
    model = build_autoencoder().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, betas=(0.9, 0.95), weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps, pct_start=0.05)
    draw = stream(seed, "autoencoder", "batches")
    log, recent = logger("base"), []
    with bar(steps, "step") as watched:
        for step in range(steps):
            pictures = torch.from_numpy(batch_of_art(art, draw, batch, SIDE)[0])
            top, left = draw.integers(0, SIDE - PATCH + 1, 2)
            patch = pictures[:, None, top : top + PATCH, left : left + PATCH].expand(-1, 3, -1, -1)
            posterior = model.encode(patch).latent_dist
            loss = reconstruction_loss(model.decode(posterior.sample()).sample, patch)
            loss = loss + KL_SCALE * posterior.kl().mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            recent.append(loss.item())
            watched.update()
            if (step + 1) % 200 == 0:
                log.info("autoencoder step %d of %d: loss %.4f", step + 1, steps, np.mean(recent[-200:]))
    model.register_to_config(scaling_factor=1 / _latent_std(model, art, seed))
    return model.eval()


def _latent_std(model: "torch.nn.Module", art: dict[str, np.ndarray], seed: int) -> float:
    import torch

    from egara.pretraining.models import SIDE

    pictures = torch.from_numpy(batch_of_art(art, stream(seed, "autoencoder", "scale"), 256, SIDE)[0])
    with torch.no_grad():
        return model.encode(pictures[:, None].expand(-1, 3, -1, -1)).latent_dist.mean.std().item()


def main(argv: list[str] | None = None) -> None:
    """Train the autoencoder and write it in diffusers' layout."""
    arguments = parser(__doc__)
    arguments.add_argument("--art", type=Path, required=True, help="pre-training art (.npz)")
    arguments.add_argument("--steps", type=int, default=2200, help="optimizer steps")
    arguments.add_argument("--batch", type=int, default=16, help="patches per step")
    arguments.add_argument("--seed", type=int, default=0, help="study seed")
    arguments.add_argument("--threads", type=int, default=1, help="CPU threads")
    arguments.add_argument("--output", type=Path, required=True, help="folder of the autoencoder")
    options = arguments.parse_args(argv)
    import torch

    torch.set_num_threads(options.threads)
    art = read_arrays(options.art, "pre-training art")
    train_autoencoder(art, options.steps, options.batch, options.seed).save_pretrained(options.output)
