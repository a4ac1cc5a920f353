"""Packed training against one process per LoRA, from pictures to files; `train.py` calls it.

One process per LoRA is `one_lora.py`, which works as diffusers' text-to-image LoRA example: import, load, encode at
every step. It is timed one after another on all cores, as a loop in a shell does it, and as many side by side as there
are cores, one thread each. The other side is a study of a few works in two cells, independent and shared A: processes
that hash the base, encode each work's images, embed the caption and train one work in one cell, side by side with one
thread each, as Snakemake starts them. Everything is timed, imports too.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from egara.loras.training.settings import Training

ROOT = Path(__file__).resolve().parents[1]
BASE = ROOT / "resources" / "base"
FACES, CAPTION = 50, "solo, manga style, face"
CELLS = ("independent", "shared")


def draw_faces(folder: Path, work: str) -> None:
    """Draw faces of a held-out style as PNG files and their table."""
    import pandas as pd
    from PIL import Image

    from egara.demo.drawings import draw_figure
    from egara.io.hashing import sha256
    from egara.io.tables import write_tsv

    (folder / work).mkdir()
    rows = []
    for number in range(FACES):
        drawing = draw_figure("toon-head", f"benchmark-{work}-{number // 5}", str(number), size=160)
        head = drawing.image.crop(drawing.head)
        page = Image.new("L", head.size, 255)
        page.paste(head.getchannel("L"), mask=head.getchannel("A"))
        path = folder / work / f"{number:05d}.png"
        page.save(path)
        rows.append({"face": f"{number:05d}", "file": path.name, "sha256": sha256(path)})
    write_tsv(folder / f"{work}.tsv", pd.DataFrame(rows))


def write_sets(folder: Path, work: str, count: int) -> None:
    """Write the table of a work's sets, each set all its faces."""
    import pandas as pd

    from egara.io.tables import read_tsv, write_tsv

    faces = read_tsv(folder / f"{work}.tsv", ["face", "file", "sha256"], text=["face", "file", "sha256"])
    sets = [faces.assign(set=f"{number:02d}", order=range(FACES)) for number in range(count)]
    write_tsv(folder / f"{work}.sets.tsv", pd.concat(sets))


def run_study(folder: Path, options: argparse.Namespace, training: Training) -> float:
    """Return seconds per LoRA of packed training."""
    works = [f"work{number}" for number in range(options.works)]
    start = time.perf_counter()
    _python(folder, f"-m egara loras base find --base {BASE} --output base.json")
    common = f"--base base.json --threads 1 --device {options.device}"
    captions = ["--captions", json.dumps([CAPTION])]
    jobs = [
        f"-m egara loras encoding latents {common} --sets {work}.sets.tsv --crops {work}"
        f" --resolution {training.resolution} --cache store/latents --output {work}.safetensors"
        for work in works
    ]
    embed = "-m egara loras encoding captions --base base.json --cache store/captions --output captions.safetensors"
    _side_by_side(
        options, [lambda: _python(folder, embed, *captions), *(lambda j=job: _python(folder, j) for job in jobs)]
    )
    jobs = [
        (
            f"-m egara loras {common} --sets {work}.sets.tsv --latents {work}.safetensors"
            f" --captions captions.safetensors --author A --work {work} --token none --store store"
            f" --output loras/{init}/{work}",
            ["--caption", CAPTION, "--settings", json.dumps(replace(training, init=init).as_json())],
        )
        for work in works
        for init in CELLS
    ]
    _side_by_side(options, [lambda j=job, m=more: _python(folder, j, *m) for job, more in jobs])
    seconds = time.perf_counter() - start
    made = len(list(folder.glob("loras/*/*/*.safetensors")))
    assert made == options.works * options.sets * len(CELLS)
    return seconds / made


def run_alone(folder: Path, options: argparse.Namespace, training: Training, together: int) -> float:
    """Return seconds per LoRA of `together` processes side by side that train one LoRA each."""
    sizes = [
        training.resolution, training.max_train_steps, training.train_batch_size, training.rank,
        max(1, options.threads // together),
    ]  # fmt: skip
    script, numbers = ROOT / "benchmarks" / "one_lora.py", " ".join(map(str, sizes))
    jobs = [lambda n=number: _python(folder, f"{script} {BASE} work0 alone{n} {numbers}") for number in range(together)]
    start = time.perf_counter()
    _side_by_side(options, jobs)
    return (time.perf_counter() - start) / together


def _side_by_side(options: argparse.Namespace, jobs: list[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(options.threads) as pool:
        for done in [pool.submit(job) for job in jobs]:
            done.result()


def _python(folder: Path, line: str, *more: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow")}
    command = [sys.executable, *line.split(" "), *more]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])


def compare_processes(options: argparse.Namespace) -> None:
    """Print seconds per LoRA from pictures to file, medians of the repeats, and their ratios."""
    count = options.works * options.sets * len(CELLS)
    print(
        f"\none process per LoRA against a study of {count}: {options.works} works x {options.sets} sets x "
        f"{len(CELLS)} cells, {options.lora_steps} steps, {options.threads} cores"
    )
    print("batch  one after another s/LoRA  side by side s/LoRA  packed s/LoRA  ratios")
    for batch in options.batch:
        training = Training(
            rank=options.rank, alpha=options.rank, init="independent", resolution=64,
            max_train_steps=options.lora_steps, train_batch_size=batch, learning_rate=1e-3, seed=0,
        )  # fmt: skip
        rows = []
        for _ in range(options.repeats):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                for number in range(options.works):
                    draw_faces(folder, f"work{number}")
                    write_sets(folder, f"work{number}", options.sets)
                alone = [run_alone(folder, options, training, together) for together in (1, options.threads)]
                rows.append([*alone, run_study(folder, options, training)])
        serial, parallel, packed = np.median(rows, axis=0)
        ratios = np.median([(row[0] / row[2], row[1] / row[2]) for row in rows], axis=0)
        print(
            f"{batch:5d}  {serial:24.1f}  {parallel:19.1f}  {packed:13.2f}  {ratios[0]:.1f} and {ratios[1]:.1f}",
            flush=True,
        )
