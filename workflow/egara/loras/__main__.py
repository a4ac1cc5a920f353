"""Train the LoRAs of all sets of one work in one cell over one frozen base.

Finished LoRAs are written to the store and linked from there; a set that fails does not stop the others.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.io.errors import EgaraError, counted
from egara.io.json import parse_json
from egara.io.progress import bar, logger, parser
from egara.io.tables import read_tsv
from egara.loras.base.components import load_part, part_hash, read_description
from egara.loras.encoding.inputs import caption_inputs, describe_transform, latent_inputs, read_caption, read_latents
from egara.loras.files import check_lora
from egara.loras.files.writing import save_lora
from egara.loras.store import content_key, link, stored
from egara.loras.training import TRAINING_VERSION
from egara.loras.training.losses import write_losses
from egara.loras.training.settings import Training
from egara.settings import Machine, Settings
from egara.settings.arguments import add_setting

if TYPE_CHECKING:
    import pandas as pd

    from egara.loras.training.batches import Adapter
    from egara.loras.training.loop import Frozen, Pack


def describe_loras(
    sets: "pd.DataFrame", author: str, work: str, token: str, caption: str, base: dict, training: Training
) -> dict[str, dict]:
    """Return each set's provenance: all that decides its LoRA, as a JSON object."""
    transform = describe_transform(training.resolution, training.image_interpolation_mode)
    inputs = {"latents": latent_inputs(base, transform), "captions": caption_inputs(base)}
    return {
        str(name): {
            "author": author,
            "work": work,
            "set": str(name),
            "rank": training.rank,
            "alpha": training.alpha,
            "init": training.init,
            "token": token,
            "caption": caption,
            "seed": training.seed,
            "base": base["base"],
            "base_sha256": base["sha256"],
            "images": list(part.sort_values("order")["sha256"]),
            "training": training.as_json(),
            "inputs": inputs,
            "training_version": TRAINING_VERSION,
        }
        for name, part in sets.groupby("set")
    }


def is_whole(path: Path) -> bool:
    """Tell whether a stored LoRA is there and whole; a corrupt one is named, and trained again."""
    if not path.is_file():
        return False
    try:
        check_lora(path)
    except EgaraError as error:
        logger("loras").warning("%s; it is trained again", error)
        return False
    return True


def _arguments() -> argparse.ArgumentParser:
    arguments = parser(__doc__)
    arguments.add_argument("--sets", type=Path, required=True, help="table of the work's sets")
    arguments.add_argument("--latents", type=Path, required=True, help="latents of the work's faces")
    arguments.add_argument("--captions", type=Path, required=True, help="embeddings of the captions")
    arguments.add_argument("--base", type=Path, required=True, help="description of the base model")
    arguments.add_argument("--author", required=True, help="author of the work")
    arguments.add_argument("--work", required=True, help="name of the work")
    arguments.add_argument("--token", required=True, help="token policy of the cell")
    arguments.add_argument("--caption", required=True, help="caption of every picture")
    arguments.add_argument("--settings", required=True, help="training settings, a JSON object")
    for name in ("pack", "checkpoint_minutes", "gradient_checkpointing", "compile", "device"):
        add_setting(arguments, Machine, name)
    arguments.add_argument("--threads", type=int, default=1, help="CPU threads")
    add_setting(arguments, Settings, "save_dtype")
    arguments.add_argument("--store", type=Path, required=True, help="folder of finished LoRAs, by content")
    arguments.add_argument("--output", type=Path, required=True, help="folder of the work's LoRAs in this cell")
    arguments.add_argument("--losses", type=Path, help="losses of the work's LoRAs to write (.tsv)")
    return arguments


def main(argv: list[str] | None = None) -> int:
    """Train what the store lacks, then link every LoRA to its place."""
    options = _arguments().parse_args(argv)
    log = logger("loras")
    training = Training.from_json(parse_json(options.settings, "--settings", "training settings"))
    base = read_description(options.base)
    sets = read_tsv(options.sets, ["set", "order", "face", "sha256"], text=["set", "face", "sha256"])
    headers = describe_loras(sets, options.author, options.work, options.token, options.caption, base, training)
    keys = {name: content_key(header | {"save_dtype": options.save_dtype}) for name, header in headers.items()}
    missing = [name for name, key in keys.items() if not is_whole(stored(options.store, key))]
    log.info("%s: %d LoRAs, %d in the store", options.work, len(keys), len(keys) - len(missing))
    failed = []
    if missing:
        chosen = sets[sets["set"].isin(missing)]
        adapters = read_adapters(options, training, base, chosen)
        failed = train_missing(options, base, {keys[name]: adapters[name] for name in missing}, headers)
    for name, key in keys.items():
        if name not in failed:
            link(stored(options.store, key), options.output / f"{name}.safetensors")
    if options.losses and not failed:
        write_losses(options.losses, [options.output / f"{name}.safetensors" for name in keys])
    if failed:
        log.error("%s: set %s diverged; lower the learning rate", options.work, ", ".join(failed))
    return 1 if failed else 0


def read_adapters(
    options: argparse.Namespace, training: Training, base: dict, sets: "pd.DataFrame"
) -> "dict[str, Adapter]":
    """Return each set's LoRA to train, with its training data."""
    from egara.loras.training.batches import Adapter

    images = dict(zip(sets["face"], sets["sha256"], strict=True))
    transform = describe_transform(training.resolution, training.image_interpolation_mode)
    latents, rows = read_latents(options.latents, images, base, transform)
    caption = read_caption(options.captions, options.caption, base)
    return {
        str(name): Adapter(
            name=f"{options.work}/{name}",
            training=training,
            latents=latents,
            rows=np.array([rows[face] for face in part.sort_values("order")["face"]]),
            caption=caption.embedding,
            ids=caption.ids,
        )
        for name, part in sets.groupby("set")
    }


def load_frozen(base: dict, training: Training, device: str) -> "Frozen":
    """Load the parts of the base that training needs: the U-Net, and the text encoder where it carries LoRAs."""
    from diffusers import DDPMScheduler

    from egara.loras.base.devices import choose_device, move_to_device
    from egara.loras.training.loop import Frozen

    device, folder = choose_device(device), Path(base["folder"])
    models = {}
    for part in ["unet", "text_encoder"] if training.train_text_encoder else ["unet"]:
        models[part] = move_to_device(load_part(folder, part, part_hash(base, part)), device, training.mixed_precision)
    # A base may have a sampler of another class; training needs its noise schedule only.
    return Frozen(models, DDPMScheduler.from_config(load_part(folder, "scheduler").config))


def train_missing(options: argparse.Namespace, base: dict, adapters: "dict[str, Adapter]", headers: dict) -> list[str]:
    """Train adapters, by key, into the store; returns the names of the sets that diverged."""
    import torch

    from egara.loras.training.memory import choose_pack, free_memory
    from egara.loras.training.packs import train_adapters

    torch.set_num_threads(options.threads)
    log, failed = logger("loras"), []
    training = next(iter(adapters.values())).training
    frozen = load_frozen(base, training, options.device)
    device = next(frozen.models["unet"].parameters()).device
    checkpointing = None if options.gradient_checkpointing == "auto" else options.gradient_checkpointing
    if options.pack == "auto":
        size = choose_pack(frozen, [*adapters.values()], free_memory(device), checkpointing)
    else:
        size = options.pack
        if checkpointing:
            frozen.models["unet"].enable_gradient_checkpointing()
    log.info(
        "%s: %s to train, %d at once on %s",
        options.work,
        counted(len(adapters), "LoRA"),
        min(size, len(adapters)),
        device,
    )
    with bar(len(adapters) * training.max_train_steps, "LoRA step") as watched:

        def on_step(pack: "Pack") -> None:
            watched.update(len(pack.adapters))
            if pack.step % 20 == 0:
                watched.set_postfix_str(f"loss {np.nanmean(pack.losses[:, pack.step - 20 : pack.step]):.4f}")

        wrap_unet = torch.compile if options.compile else lambda unet: unet
        trained = train_adapters(frozen, adapters, size, options.store, options.checkpoint_minutes, on_step, wrap_unet)
        for key, adapter, tensors, losses, stopped in trained:
            name = adapter.name.rpartition("/")[2]
            last = float(losses[-max(1, len(losses) // 10) :].mean())
            if stopped >= 0:
                log.error("%s: set %s diverged at step %d; only this LoRA was stopped", options.work, name, stopped + 1)
                failed.append(name)
                continue
            arrays = {part: tensor.numpy() for part, tensor in tensors.items()}
            header = headers[name] | {"loss": round(last, 6)}
            place = stored(options.store, key)
            save_lora(place, arrays, training.rank, training.alpha, header, losses, options.save_dtype)
            log.info("%s: set %s done, loss %.4f", options.work, name, last)
    return failed
