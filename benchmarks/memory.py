"""Memory of one training step of Stable Diffusion 1.5 at 512 px, without a GPU and without computing anything.

    PYTHONPATH=workflow python benchmarks/memory.py

The step runs on tensors that have shapes and no numbers; every storage that lives is counted, and the most at a time is
printed. As under autocast on a CUDA device, weights and products are bfloat16, norms float32. What an allocator rounds
up, cuDNN's workspace and CUDA itself, about 1 GiB together, come on top.
"""

import argparse
import itertools
import weakref

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from train import sd15_unet

from egara.loras.training.attention import use_packed_attention
from egara.loras.training.packed import PackedAdapters, find_targets

GIB = 2**30
LATENTS, TEXT = (4, 64, 64), (77, 768)


class Living(TorchDispatchMode):
    """Count the bytes of all storages that live, and the most at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.seen: weakref.WeakSet = weakref.WeakSet()

    def __torch_dispatch__(self, operation, types, arguments=(), keywords=None):  # noqa: ANN001, ANN204, D105
        answer = operation(*arguments, **(keywords or {}))
        for tensor in tree_iter(answer):
            if isinstance(tensor, torch.Tensor) and (storage := tensor.untyped_storage()) not in self.seen:
                self.seen.add(storage)
                self.now += storage.nbytes()
                weakref.finalize(storage, self._drop, storage.nbytes())
        self.peak = max(self.peak, self.now)
        return answer

    def _drop(self, size: int) -> None:
        self.now -= size


def measure(pack: int, batch: int, rank: int, targets: str, gradient_checkpointing: bool) -> tuple[float, float, float]:
    """Return GiB of the base, of the adapters with their optimizer, and the peak of a step."""
    with FakeTensorMode(), Living() as living:
        torch.set_default_dtype(torch.bfloat16)
        unet = sd15_unet().requires_grad_(False)
        torch.set_default_dtype(torch.float32)
        for module in unet.modules():
            if isinstance(module, torch.nn.GroupNorm | torch.nn.LayerNorm):
                for name, weight in [*module.named_parameters()]:
                    module.register_parameter(name, torch.nn.Parameter(weight.float(), requires_grad=False))
                module.register_forward_pre_hook(lambda _, given: (given[0].float(),))
        if gradient_checkpointing:
            unet.enable_gradient_checkpointing()
        base = living.now
        layers = find_targets({"unet": unet}, targets)
        packed = PackedAdapters({"unet": unet}, layers, [rank] * pack, [rank] * pack, rank)
        moments = [torch.zeros_like(packed.values) for _ in range(2)]
        adapters = living.now - base
        with packed.attached():
            use_packed_attention(unet)
            noisy_latents, timesteps = torch.randn(pack * batch, *LATENTS), torch.zeros(pack * batch, dtype=torch.long)
            with torch.autocast("cpu", torch.bfloat16):
                model_pred = unet(noisy_latents, timesteps, torch.randn(pack, *TEXT)).sample
            (model_pred.float() - noisy_latents).square().mean().backward()
        del moments
        return base / GIB, adapters / GIB, living.peak / GIB


def main() -> None:
    """Print a table."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("--pack", type=int, default=30, help="adapters in a pack")
    arguments.add_argument("--batch", type=int, nargs="+", default=[1, 4], help="pictures per step")
    arguments.add_argument("--rank", type=int, default=32, help="rank of the adapters")
    options = arguments.parse_args()
    print(f"{options.pack} adapters of rank {options.rank}, Stable Diffusion 1.5, 512 px, bfloat16; GiB")
    print("layers     batch  base  adapters  peak, all kept  peak, computed twice")
    for targets, batch in itertools.product(["attention", "linear"], options.batch):
        kept = measure(options.pack, batch, options.rank, targets, False)
        twice = measure(options.pack, batch, options.rank, targets, True)
        print(f"{targets:9}  {batch:5d}  {kept[0]:4.1f}  {kept[1]:8.1f}  {kept[2]:14.1f}  {twice[2]:20.1f}", flush=True)


if __name__ == "__main__":
    main()
