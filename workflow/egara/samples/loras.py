"""Sample images with and without the first LoRA of every work, at several strengths.

    egara samples loras --base base.json --folder results/demo/loras/<cell> --rows '[{"author": …}]' …

All columns and rows start from the same noise, so that two images differ by the LoRA alone.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.cells import describe_cell
from egara.figures.style import save, set_theme, undrawable
from egara.io.errors import EgaraError, counted
from egara.io.json import parse_json
from egara.io.progress import bar, logger, parser
from egara.io.tables import read_tsv
from egara.loras.base.components import read_description
from egara.loras.encoding.inputs import describe_transform
from egara.loras.encoding.vae import read_crop, read_picture
from egara.loras.files import read_layout
from egara.samples.grid import draw_grid
from egara.samples.sampling import add_arguments, draw_noise, load_pipeline, sample_images
from egara.sets import set_name
from egara.settings import Samples, Training
from egara.settings.arguments import add_setting

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline

ADAPTER = "lora"
CROPS = 2


def sample_strengths(
    pipeline: "StableDiffusionPipeline",
    path: Path,
    strengths: list[float],
    caption: str,
    noise: np.ndarray,
    steps: int,
    guidance: float,
) -> np.ndarray:
    """Sample with a LoRA at each strength from the same noise; the pipeline is unchanged afterwards.

    A strength multiplies the update: ΔW = strength · alpha / rank · B A.

    Returns
    -------
    uint8 of shape (n_strengths, n_images, height, width, 3).

    Raises
    ------
    EgaraError : the file cannot be loaded, or no layer of it fits the base.
    """
    try:
        pipeline.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name=ADAPTER)
    except (ValueError, RuntimeError, OSError, KeyError) as error:
        reason = str(error).strip().split("\n")[0][:160]
        raise EgaraError(f"{path}: cannot be loaded into the base model ({reason})") from error
    try:
        # The loader skips unknown names silently; the images would show the base alone.
        if not pipeline.get_list_adapters():
            raise EgaraError(f"{path}: no layer of it fits the base model; expected names unet.<module>.lora_A.weight")
        images = []
        for strength in strengths:
            pipeline.set_adapters(ADAPTER, strength)
            images.append(sample_images(pipeline, caption, noise, steps, guidance))
        return np.stack(images)
    finally:
        pipeline.unload_lora_weights()


def check_bases(paths: list[Path], base: dict) -> None:
    """Refuse LoRAs whose header names another base; a header that names none passes."""
    for path in paths:
        trained_on = read_layout(path).header.get("base_sha256", base["sha256"])
        if trained_on != base["sha256"]:
            raise EgaraError(
                f"{path}: trained on a base with sha256 {trained_on[:12]}…, not on {base['base']} with "
                f"{base['sha256'][:12]}…; expected LoRAs of this base"
            )


def read_crops(sets: Path, crops: Path, transform: dict) -> np.ndarray:
    """Read the first crops of a work's first set as in training, uint8 of shape (2, resolution, resolution, 3)."""
    table = read_tsv(sets, ["set", "order", "file"], text=["set", "file"])
    files = table[table["set"] == set_name(0)].sort_values("order")["file"].head(CROPS)
    images = np.full((CROPS, transform["resolution"], transform["resolution"], 3), 255, np.uint8)
    for place, file in enumerate(files):
        image = read_picture(read_crop(crops / file), crops / file, transform)
        images[place] = ((image + 1) * 127.5).round().transpose(1, 2, 0)
    return images


def read_rows(text: str) -> list[dict[str, str]]:
    """Read the rows of the grid from JSON: objects with author, work and caption."""
    expected = "a list of objects with author, work and caption"
    listed = parse_json(text, "--rows", expected, list)
    try:
        rows = [{key: str(row[key]) for key in ("author", "work", "caption")} for row in listed]
    except (KeyError, TypeError) as error:
        raise EgaraError(f"--rows: expected {expected}") from error
    if not rows:
        raise EgaraError("--rows: no work; expected at least one")
    return rows


def _arguments() -> argparse.ArgumentParser:
    arguments = parser(__doc__)
    arguments.add_argument("--base", type=Path, required=True, help="description of the base model")
    arguments.add_argument("--folder", type=Path, required=True, help="folder with {work}/{set}.safetensors")
    arguments.add_argument("--rows", required=True, help="JSON list of objects with author, work, caption")
    arguments.add_argument("--cell", required=True, help="cell of the training grid, for the title")
    arguments.add_argument("--sets", type=Path, help="folder with {work}.tsv, for training crops at the left")
    arguments.add_argument("--crops", type=Path, help="folder with {work}/, the crops; private unless both are given")
    add_setting(arguments, Training, "image_interpolation_mode")
    add_setting(arguments, Samples, "lora_scales")
    add_setting(arguments, Samples, "num_images")
    add_arguments(arguments, resolution=512)
    arguments.add_argument("--output", type=Path, required=True, help="grid to write (.png)")
    return arguments


def main(argv: list[str] | None = None) -> None:
    """Sample one row per work and write the labelled grid."""
    options = _arguments().parse_args(argv)
    rows, log = read_rows(options.rows), logger("loras.samples")
    if (options.sets is None) != (options.crops is None):
        raise EgaraError("--sets and --crops: one without the other; training crops need both")
    base = read_description(options.base)
    paths = [options.folder / row["work"] / f"{set_name(0)}.safetensors" for row in rows]
    check_bases(paths, base)
    crops = None
    if options.crops:
        transform = describe_transform(options.resolution, options.image_interpolation_mode)
        crops = [
            read_crops(options.sets / f"{row['work']}.tsv", options.crops / row["work"], transform) for row in rows
        ]
    import torch
    from diffusers.utils import logging

    from egara.loras.base.devices import choose_device

    # It warns of a text encoder without a LoRA, which is usual here.
    logging.set_verbosity_error()
    torch.set_num_threads(options.threads)
    pipeline = load_pipeline(Path(base["folder"]), choose_device(options.device))
    noise = draw_noise(pipeline, options.num_images, options.resolution, options.seed)
    how = (noise, options.num_inference_steps, options.guidance_scale)
    without: dict[str, np.ndarray] = {}
    images = []
    with bar(len(rows), "work") as watched:
        for row, path in zip(rows, paths, strict=True):
            caption = row["caption"]
            if caption not in without:
                without[caption] = sample_images(pipeline, caption, *how)
            sampled = sample_strengths(pipeline, path, options.lora_scales, caption, *how)
            images.append(np.concatenate([without[caption][None], sampled]))
            watched.update()
    set_theme()
    if boxes := undrawable([row[key] for row in rows for key in ("author", "work")]):
        log.warning("no installed font has %s; the grid shows boxes", boxes)
    note = (
        f"set {set_name(0)} of each work; the same {counted(options.num_images, 'noise')} in all rows and columns; "
        f"DDIM, {options.num_inference_steps} steps, guidance {options.guidance_scale:g}; {options.resolution} px"
    )
    title = f"Base model without and with a LoRA: {describe_cell(options.cell)}"
    labels = [(row["work"], row["author"]) for row in rows]
    heads = ["LoRA off", *(f"strength {strength:g}" for strength in options.lora_scales)]
    figure = draw_grid(np.stack(images), crops, labels, heads, (title, note))
    save(figure, [options.output], title, note, ["samples"])
    log.info("%d works, strengths %s: %s", len(rows), options.lora_scales, options.output)
