"""Time training steps on this machine, on random latents.

One pack of LoRAs is trained over the study's base. Writes a JSON object: seconds per step and LoRA, size of the pack,
and memory per LoRA; or why it failed.
"""

import argparse
import hashlib
import json
import platform
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from egara.check.training import count_numbers, latent_shape, resolution_of
from egara.cores import usable_cores
from egara.io.atomic import write_text
from egara.io.errors import EgaraError
from egara.io.json import parse_json, read_json
from egara.io.progress import parser
from egara.loras.training.settings import COMMON, Training
from egara.settings import Machine
from egara.settings.arguments import add_setting

if TYPE_CHECKING:
    from egara.check.study import Study
    from egara.check.training import Base
    from egara.loras.training.batches import Adapter

STORED = Path("results/store/measured")
STEPS = 6  # the first one is a warm-up
FACES = 50
MOST_ON_CPU = 4  # LoRAs in a pack; a larger one takes the same time per LoRA


def list_trainings(study: "Study") -> dict[int, dict]:
    """Return the training settings of each resolution of the grid, with its largest rank."""
    settings = study.settings
    rank = max(settings["grid"]["rank"])
    return {
        side: settings["training"]
        | {"rank": rank, "alpha": rank, "init": "independent", "resolution": side, "seed": settings["seed"]}
        for side in sorted({resolution_of(cell) for cell in study.cells})
    }


def place_of(study: "Study", base: "Base", training: dict) -> Path:
    """Return the file of a measurement, named by a hash of all that decides how long a step takes."""
    names = ("rank", *(name for name in COMMON if name != "max_train_steps"))
    parts = ["unet", *(["text_encoder"] if training["train_text_encoder"] else [])]
    decides = {
        "training": {name: training[name] for name in names},
        "machine": {name: study.settings["machine"][name] for name in ("device", "pack", "gradient_checkpointing")},
        "sets": study.settings["sets"]["count"],
        "models": [(base.folder / part / "config.json").read_text() for part in parts],
        "host": [platform.node(), platform.machine(), usable_cores()],
    }
    return STORED / f"{hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]}.json"


def read_measurement(path: Path) -> dict | None:
    """Return a stored measurement, None if there is none."""
    try:
        kept = read_json(path, "a measurement")
        return kept if min(kept["seconds"], kept["pack"], kept["sides"], kept["layers"]) > 0 else None
    except (EgaraError, KeyError, TypeError):
        return None


def read_fault(path: Path) -> str:
    """Return why a measurement failed, "" if none did."""
    try:
        return str(read_json(path, "a measurement")["fault"])
    except (EgaraError, KeyError):
        return ""


def list_arguments(study: "Study", base: "Base", training: dict, output: Path) -> list[str]:
    """Return the arguments of this module for one measurement."""
    machine = study.settings["machine"]
    checkpointing = str(machine["gradient_checkpointing"]).lower()
    return [
        f"--base={base.folder}", f"--settings={json.dumps(training)}", f"--sets={study.settings['sets']['count']}",
        f"--pack={machine['pack']}", f"--gradient-checkpointing={checkpointing}",
        f"--device={machine['device']}", f"--output={output}",
    ]  # fmt: skip


def make_adapters(folder: Path, training: Training, count: int) -> "list[Adapter]":
    """Return adapters over random latents and one random caption, in the base's shapes."""
    import numpy as np

    from egara.loras.training.batches import Adapter

    text = read_json(folder / "text_encoder" / "config.json", "the configuration of the text encoder")
    tokens = text["max_position_embeddings"]
    draw = np.random.default_rng(0)
    mean = draw.standard_normal((FACES, 2, *latent_shape(folder, training.resolution)), np.float32)
    latents = {"mean": mean, "std": np.full_like(mean, 0.1)}
    caption = draw.standard_normal((tokens, text["hidden_size"]), np.float32)
    ids = np.zeros(tokens, np.int64)
    return [Adapter(f"w/{n:02d}", training, latents, np.arange(FACES), caption, ids) for n in range(count)]


def time_steps(options: argparse.Namespace) -> dict[str, object]:
    """Train a pack for a few steps and return what they took."""
    import torch

    from egara.loras.__main__ import load_frozen
    from egara.loras.training.loop import Pack, make_pack, train_pack
    from egara.loras.training.memory import choose_pack, free_memory, step_bytes

    torch.set_num_threads(1)  # as each job of the workflow has
    training = Training.from_json(parse_json(options.settings, "--settings", "training settings"))
    training = replace(training, max_train_steps=STEPS, lr_warmup_steps=0)
    folder = options.base
    frozen = load_frozen(
        {"folder": str(folder), "parts": dict.fromkeys(("unet", "text_encoder"))}, training, options.device
    )
    device = next(frozen.models["unet"].parameters()).device
    sides, layers = count_numbers(folder, training.target_modules, training.train_text_encoder)
    adapters = make_adapters(folder, training, options.sets)
    checkpointing = None if options.gradient_checkpointing == "auto" else options.gradient_checkpointing
    if options.pack == "auto":
        size = choose_pack(frozen, adapters, free_memory(device), checkpointing)
    else:
        size = min(options.pack, len(adapters))
        if checkpointing:
            frozen.models["unet"].enable_gradient_checkpointing()
    count = min(size, MOST_ON_CPU) if device.type == "cpu" else size
    ends: list[float] = []

    class Enough(Exception):
        pass

    def note(_: Pack) -> None:
        ends.append(time.perf_counter())
        if len(ends) > 1 and ends[-1] - ends[0] > options.seconds:
            raise Enough

    pack = make_pack(frozen, adapters[:count])
    with suppress(Enough):
        train_pack(frozen, pack, note)
    between = sorted(later - sooner for sooner, later in zip(ends, ends[1:], strict=False))
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {
        "seconds": between[len(between) // 2] / count,
        "pack": size,
        "bytes": step_bytes(frozen, adapters[0]),
        "sides": sides,
        "layers": layers,
        "device": device.type,
        "name": name,
        "day": time.strftime("%Y-%m-%d"),
    }


def main(argv: list[str] | None = None) -> None:
    """Measure, and write the measurement."""
    arguments = parser(__doc__)
    arguments.add_argument("--base", type=Path, required=True, help="folder of the base model")
    arguments.add_argument("--settings", required=True, help="training settings, a JSON object")
    arguments.add_argument("--sets", type=int, required=True, help="most LoRAs in a pack")
    for name in ("pack", "gradient_checkpointing", "device"):
        add_setting(arguments, Machine, name)
    arguments.add_argument("--seconds", type=float, default=60, help="seconds after which no further step starts")
    arguments.add_argument("--output", type=Path, required=True, help="measurement to write (JSON)")
    options = arguments.parse_args(argv)
    if options.sets < 1:
        raise EgaraError(f"--sets {options.sets}; expected at least 1")
    try:
        found = time_steps(options)
    except EgaraError as error:
        write_text(options.output, json.dumps({"fault": str(error)}) + "\n")
        raise
    write_text(options.output, json.dumps(found, indent=2, sort_keys=True) + "\n")
