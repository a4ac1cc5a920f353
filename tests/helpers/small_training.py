"""The inputs of a small training run and its command line."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

FACES = 6


def write_inputs(root: Path, small_base: Path) -> Path:
    """Write crops, sets, latents and captions of a small work with the stages' own commands; return `root`."""
    from PIL import Image

    from egara.io.hashing import sha256
    from egara.io.tables import write_tsv
    from egara.loras.base import find as base
    from egara.loras.encoding import captions as embeddings
    from egara.loras.encoding import latents

    (root / "crops").mkdir()
    draw, rows = np.random.default_rng(1), []
    for number in range(FACES):
        path = root / "crops" / f"{number:05d}.png"
        Image.fromarray(draw.integers(0, 255, (80, 70), np.uint8)).save(path)
        rows.append({"face": f"{number:05d}", "file": path.name, "sha256": sha256(path)})
    faces = pd.DataFrame(rows)
    sets = [faces.assign(set=f"{number:02d}", order=range(FACES)) for number in range(3)]
    write_tsv(root / "sets.tsv", pd.concat(sets))
    base.main(["--base", str(small_base), "--output", str(root / "base.json")])
    common = ["--base", str(root / "base.json")]
    cached = [*common, "--cache", str(root / "cache")]
    embeddings.main([*cached, "--captions", '["solo, face"]', "--output", str(root / "captions.safetensors")])
    shape = ["--sets", str(root / "sets.tsv"), "--crops", str(root / "crops"), "--resolution", "64", "--device", "cpu"]
    latents.main([*cached, *shape, "--output", str(root / "latents.safetensors")])
    return root


def command(study: Path, output: Path, **changes: object) -> list[str]:
    """Return the arguments of `egara.loras` for the inputs in `study`, with changed training settings."""
    chosen = {"rank": 4, "alpha": 2, "init": "independent", "resolution": 64, "max_train_steps": 2}
    chosen |= {"train_batch_size": 2, "learning_rate": 1e-2, "seed": 3} | changes
    places = {name: str(study / f"{name}.safetensors") for name in ("latents", "captions")}
    return [
        *("--sets", str(study / "sets.tsv"), "--latents", places["latents"], "--captions", places["captions"]),
        *("--base", str(study / "base.json"), "--author", "A", "--work", "w", "--token", "none"),
        *("--caption", "solo, face", "--settings", json.dumps(chosen), "--device", "cpu", "--pack", "2"),
        *("--store", str(study / "store"), "--output", str(output)),
    ]
