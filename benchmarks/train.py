"""Packed training against what a user would do instead, on the embedded base, side by side in one run.

    python benchmarks/train.py                     all comparisons
    python benchmarks/train.py --only warm         packed against a warm PEFT loop
    python benchmarks/train.py --only processes    packed against one process per LoRA
    python benchmarks/train.py --only warm --architecture sd15 --device cuda --mixed-precision bf16 --pack 8
                                                   the first with Stable Diffusion 1.5's sizes, on a GPU

warm: one process that holds the base, cached latents and a cached caption, one PEFT adapter after another. Both sides
do the same steps on the same batches; only the training is timed. Rate: products that one adapter's step needs (what
PEFT's step counts), times adapters, over the time, next to the rate of plain large matrix products on the same device.
processes: `processes.py`.
"""

import argparse
import copy
import platform
import time
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, inject_adapter_in_model
from processes import compare_processes

from egara import settings
from egara.cores import usable_cores
from egara.loras.base.components import load_part
from egara.loras.base.devices import choose_device, move_to_device
from egara.loras.training.batches import Adapter, draw_batch
from egara.loras.training.loop import Frozen, autocast, make_pack, train_pack
from egara.loras.training.packed import TARGETS
from egara.loras.training.settings import Training
from egara.settings.arguments import add_setting

ROOT = Path(__file__).resolve().parents[1]
BASE = ROOT / "resources" / "base"
FACES = 50


ARCHITECTURES = {"embedded": (16, (24, 64)), "sd15": (64, (77, 768))}  # side of the latents, shape of a caption


def sd15_unet() -> torch.nn.Module:
    """Return Stable Diffusion 1.5's U-Net, its 859,520,964 parameters as they are drawn."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=64,
        block_out_channels=(320, 640, 1280, 1280),
        down_block_types=(*("CrossAttnDownBlock2D",) * 3, "DownBlock2D"),
        up_block_types=("UpBlock2D", *("CrossAttnUpBlock2D",) * 3),
        attention_head_dim=8,
        cross_attention_dim=768,
    )


def load_frozen(options: argparse.Namespace) -> Frozen:
    """Return the embedded base, or Stable Diffusion 1.5's U-Net with random weights."""
    if options.architecture == "embedded":
        unet, scheduler = load_part(BASE, "unet"), load_part(BASE, "scheduler")
    else:
        from diffusers import DDPMScheduler

        with torch.device("meta"):
            unet = sd15_unet()
        unet = unet.to_empty(device=options.device)
        for weight in unet.parameters():
            torch.nn.init.normal_(weight, std=0.02) if weight.ndim > 1 else torch.nn.init.ones_(weight)
        scheduler = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    return Frozen({"unet": move_to_device(unet, options.device, options.mixed_precision)}, scheduler)


def adapters_for(options: argparse.Namespace, batch: int, count: int) -> list[Adapter]:
    """Return adapters over random latents and one random caption."""
    training = Training(
        rank=options.rank, alpha=options.rank, init="independent", resolution=64, max_train_steps=options.steps,
        train_batch_size=batch, learning_rate=1e-3, seed=0, mixed_precision=options.mixed_precision,
        allow_tf32=options.allow_tf32,
    )  # fmt: skip
    side, shape = ARCHITECTURES[options.architecture]
    draw = np.random.default_rng(0)
    mean = draw.standard_normal((FACES, 2, 4, side, side), np.float32)
    latents, caption = {"mean": mean, "std": np.full_like(mean, 0.1)}, draw.standard_normal(shape, np.float32)
    return [Adapter(f"w/{n:02d}", training, latents, np.arange(FACES), caption) for n in range(count)]


def time_packed(frozen: Frozen, adapters: list[Adapter]) -> float:
    """Return seconds per adapter and step of one pack."""
    pack = make_pack(frozen, adapters)
    start = time.perf_counter()
    train_pack(frozen, pack)  # its losses come back from the device at every step
    return (time.perf_counter() - start) / len(adapters) / adapters[0].training.max_train_steps


class PlainLoop:
    """A warm loop over PEFT's layers, one adapter at a time."""

    def __init__(self, frozen: Frozen, adapter: Adapter) -> None:
        training = adapter.training
        config = LoraConfig(r=training.rank, lora_alpha=training.alpha, target_modules=list(TARGETS["linear"]["unet"]))
        self.model = inject_adapter_in_model(config, copy.deepcopy(frozen.models["unet"]))
        self.weights = [weight for name, weight in self.model.named_parameters() if "lora_" in name]
        for weight in self.weights:
            weight.data = weight.data.float()
            weight.requires_grad_(True)
        self.optimizer = torch.optim.AdamW(self.weights, training.learning_rate)
        self.scheduler, self.adapter, self.device = frozen.scheduler, adapter, self.weights[0].device
        context = torch.from_numpy(adapter.caption).to(self.device)
        self.context = context.expand(training.train_batch_size, -1, -1)

    def step(self, number: int) -> float:
        """Take one step and return its loss."""
        batch = draw_batch(self.adapter, number, 1000)
        mean, std = (self.adapter.latents[name][batch.rows, batch.mirrored] for name in ("mean", "std"))
        clean = torch.from_numpy(mean + std * batch.posterior)
        noise, timesteps = torch.from_numpy(batch.noise), torch.from_numpy(batch.timesteps)
        noisy_latents = self.scheduler.add_noise(clean, noise, timesteps).to(self.device)
        with autocast(self.adapter.training.mixed_precision, self.device):
            model_pred = self.model(noisy_latents, timesteps.to(self.device), self.context).sample
        loss = torch.nn.functional.mse_loss(model_pred.float(), noise.to(self.device))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.weights, self.adapter.training.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item()

    def time(self) -> float:
        """Return seconds per step."""
        steps = self.adapter.training.max_train_steps
        start = time.perf_counter()
        for number in range(steps):
            self.step(number)
        return (time.perf_counter() - start) / steps

    def products(self) -> int:
        """Return the floating point operations of one step's products and attentions."""
        from torch.utils.flop_counter import FlopCounterMode

        with FlopCounterMode(display=False) as counter:
            self.step(0)
        return counter.get_total_flops()


def matrix_rate(device: str, mixed_precision: str) -> float:
    """Return the operations a second of large square matrix products."""
    side = 8192 if device == "cuda" else 2048
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(mixed_precision, torch.float32)
    one = torch.randn(side, side, device=device, dtype=kind)
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        (one @ one)[0, 0].item()
        seconds.append(time.perf_counter() - start)
    return 2 * side**3 / min(seconds)


def compare_warm(options: argparse.Namespace) -> None:
    """Print milliseconds per adapter-step, medians of the repeats, and their ratio."""
    frozen, rate = load_frozen(options), matrix_rate(options.device, options.mixed_precision)
    print(
        f"\nwarm PEFT loop against packs of {options.pack}: {options.architecture}, rank {options.rank}, "
        f"{options.mixed_precision}, {options.device}, matrix products {rate / 1e12:.3f} Tflop/s"
    )
    print("batch  PEFT ms/step  packed ms/adapter-step  LoRAs per hour (500 steps)  ratio  share of matrix rate")
    for batch in options.batch:
        adapters = adapters_for(options, batch, options.pack)
        plain = PlainLoop(frozen, adapters[0])
        flops = plain.products()
        time_packed(frozen, adapters)  # both sides are warm from here
        pairs = [(plain.time(), time_packed(frozen, adapters)) for _ in range(options.repeats)]
        alone, packed = np.median(pairs, axis=0)
        ratio = np.median([one / other for one, other in pairs])
        hours = f"{3600 / alone / 500:.0f} against {3600 / packed / 500:.0f}"
        share = f"{flops / alone / rate:.0%} against {flops / packed / rate:.0%}"
        print(
            f"{batch:5d}  {alone * 1e3:12.1f}  {packed * 1e3:22.1f}  {hours:>25}  {ratio:5.1f}  {share:>20}", flush=True
        )


def main() -> None:
    """Run the comparisons."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("--only", choices=["warm", "processes"], help="one of the comparisons")
    arguments.add_argument("--pack", type=int, default=30, help="adapters in a pack")
    arguments.add_argument("--batch", type=int, nargs="+", default=[1, 4], help="pictures per step")
    arguments.add_argument("--steps", type=int, default=6, help="steps per repeat of the warm comparison")
    arguments.add_argument("--works", type=int, default=2, help="works of the other comparison's study")
    arguments.add_argument("--sets", type=int, default=30, help="sets per work there")
    arguments.add_argument("--lora-steps", type=int, default=60, help="steps per LoRA there")
    arguments.add_argument("--repeats", type=int, default=3, help="repeats")
    arguments.add_argument("--rank", type=int, default=8, help="rank of the adapters")
    arguments.add_argument("--device", default="cpu", help="auto, cpu, cuda or mps")
    add_setting(arguments, settings.Training, "mixed_precision")
    add_setting(arguments, settings.Training, "allow_tf32")
    arguments.add_argument("--architecture", default="embedded", choices=ARCHITECTURES, help="of the warm comparison")
    arguments.add_argument("--threads", type=int, default=usable_cores(), help="CPU threads")
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    options.device = choose_device(options.device)
    cores = usable_cores()
    print(f"{platform.machine()}, {cores} cores, torch {torch.__version__}, {options.threads} threads")
    if options.only != "processes":
        compare_warm(options)
    if options.only != "warm":
        compare_processes(options)


if __name__ == "__main__":
    main()
