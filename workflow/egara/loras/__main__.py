"""Image sets -> LoRAs: all sets of one work in one cell, trained together over one frozen base.

Finished LoRAs go to the store first and are linked from there; a set that fails does not stop the others.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.errors import EgaraError, run
from egara.files import read_tsv
from egara.fingerprint import fingerprint
from egara.loras.description import read_description
from egara.loras.parts import load_part
from egara.loras.saving import save_lora
from egara.loras.store import content_key, link, stored
from egara.loras.training import Set, Training, train_pack
from egara.progress import bar, logger, parser

if TYPE_CHECKING:
    import pandas as pd


def describe_loras(
    sets: "pd.DataFrame", author: str, work: str, token: str, caption: str, base: dict, training: Training
) -> dict[str, dict]:
    """Return each set's provenance: all that it takes to train its LoRA again, in a JSON object."""
    code = fingerprint("egara.loras.training")
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
            "code": code,
        }
        for name, part in sets.groupby("set")
    }


def read_latents(path: Path, base: dict, resolution: int) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Return latents and each face's row in them; latents of another base or resolution are refused."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            note = file.metadata()
            arrays = {name: file.get_tensor(name) for name in ("mean", "deviation")}
    except (SafetensorError, OSError) as error:
        raise EgaraError(f"{path}: not a whole file of latents ({error}); delete it and run again") from error
    if (note["base_sha256"], note["resolution"]) != (base["sha256"], str(resolution)):
        raise EgaraError(f"{path}: latents of another base or resolution; delete it and run again")
    return arrays, {face: row for row, face in enumerate(json.loads(note["faces"]))}


def read_caption(path: Path, caption: str, base: dict) -> np.ndarray:
    """Return the embedding of `caption`, (tokens, width)."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            if caption not in file.keys() or file.metadata()["base_sha256"] != base["sha256"]:  # noqa: SIM118
                raise EgaraError(f"{path}: holds no embedding of {caption!r} by this base; delete it and run again")
            return file.get_tensor(caption)
    except (SafetensorError, OSError) as error:
        raise EgaraError(f"{path}: not a whole file of embeddings ({error}); delete it and run again") from error


def _arguments() -> "object":
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
    arguments.add_argument("--pack", type=int, default=8, help="LoRAs trained at once; changes speed and memory only")
    arguments.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    arguments.add_argument("--threads", type=int, default=1, help="CPU threads")
    arguments.add_argument("--stored-as", default="float32", choices=["float32", "float16"], help="type in the files")
    arguments.add_argument("--store", type=Path, required=True, help="folder of finished LoRAs, by content")
    arguments.add_argument("--output", type=Path, required=True, help="folder of the work's LoRAs in this cell")
    return arguments


def main(argv: list[str] | None = None) -> int:
    """Train what the store lacks, then link every LoRA to its place."""
    options = _arguments().parse_args(argv)
    log = logger("loras")
    training = Training.from_json(json.loads(options.settings))
    if options.pack < 1:
        raise EgaraError(f"--pack {options.pack}: expected at least 1")
    base = read_description(options.base)
    sets = read_tsv(options.sets, ["set", "order", "face", "sha256"], text=["set", "face", "sha256"])
    headers = describe_loras(sets, options.author, options.work, options.token, options.caption, base, training)
    places = {
        name: stored(options.store, content_key(header | {"stored_as": options.stored_as}))
        for name, header in headers.items()
    }
    missing = [name for name, place in places.items() if not place.is_file()]
    log.info("%s: %d LoRAs, %d in the store", options.work, len(places), len(places) - len(missing))
    failed = []
    if missing:
        failed = train_missing(options, training, base, sets, {name: headers[name] for name in missing}, places)
    for name, place in places.items():
        if name not in failed:
            link(place, options.output / f"{name}.safetensors")
    if failed:
        log.error("%s: set %s diverged (loss not finite); lower the learning rate", options.work, ", ".join(failed))
    return 1 if failed else 0


def train_missing(options: "object", training: Training, base: dict, sets: "pd.DataFrame", headers: dict, places: dict):
    """Train the sets of `headers` pack by pack into the store; returns the names of those that diverged."""
    import torch

    from egara.loras.devices import choose_device

    log, failed, names = logger("loras"), [], list(headers)
    latents, rows = read_latents(options.latents, base, training.resolution)
    caption = read_caption(options.captions, options.caption, base)
    torch.set_num_threads(options.threads)
    folder = Path(base["folder"])
    scheduler = load_part(folder, "scheduler")
    unet = load_part(folder, "unet").to(choose_device(options.device))
    with bar(-(-len(names) // options.pack) * training.steps, "step") as watched:

        def tick(step: int, losses: "torch.Tensor") -> None:
            watched.update()
            if step % 20 == 0:
                watched.note(f"loss {losses.mean().item():.4f}")

        for start in range(0, len(names), options.pack):
            pack = names[start : start + options.pack]
            chosen = [sets[sets["set"] == name].sort_values("order") for name in pack]
            drawn = [
                Set(f"{options.work}/{name}", np.array([rows[face] for face in part["face"]]))
                for name, part in zip(pack, chosen, strict=True)
            ]
            tensors, losses = train_pack(unet, scheduler, latents, caption, drawn, training, tick)
            for name, arrays, loss in zip(pack, tensors, losses, strict=True):
                if not (np.isfinite(loss) and all(np.isfinite(array).all() for array in arrays.values())):
                    failed.append(name)
                    continue
                header = headers[name] | {"loss": round(float(loss), 6)}
                save_lora(places[name], arrays, training.rank, training.alpha, header, options.stored_as)
            log.info("%s: sets %s done, mean loss %.4f", options.work, ", ".join(pack), float(np.mean(losses)))
    return failed


if __name__ == "__main__":
    run(main)
