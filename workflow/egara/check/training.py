"""What training needs: the base model, the LoRAs to train, and disk space."""

import math
import shutil
from dataclasses import dataclass
from pathlib import Path

from egara.check.faces import Faces
from egara.check.study import Study
from egara.config import find_file
from egara.io.errors import EgaraError
from egara.io.json import read_json
from egara.loras.base.components import part_files
from egara.loras.base.find import check_base, find_base
from egara.weights.representations import find as find_representation
from egara.weights.representations import vector_length

PROVENANCE = 16 * 1024  # bytes of a LoRA's header, about: layers' names, hashes of pictures, losses


@dataclass(frozen=True)
class Base:
    """The base model.

    Attributes
    ----------
    name : as in the configuration.
    folder : of its files, None if they must be downloaded first.
    bytes : of the weights that training loads.
    """

    name: str
    folder: Path | None
    bytes: int = 0


def find(study: Study) -> Base:
    """Return the base model; one that cannot be used stops the study."""
    name = study.settings["base"]
    try:
        folder = _local(name)
        if folder is None:
            return Base(name, None)
        check_base(folder)
    except EgaraError as error:
        study.stops.append(str(error))
        return Base(name, None)
    parts = ["unet", *(["text_encoder"] if study.settings["training"]["train_text_encoder"] else [])]
    weights = [path for part in parts for path in part_files(folder, part) if path.suffix == ".safetensors"]
    return Base(name, folder, sum(path.stat().st_size for path in weights))


def _local(name: str) -> Path | None:
    """Return the folder of a base, local or in the hub's cache; None for a hub id that is not in the cache."""
    place = find_file(name)
    if Path(place).exists() or name.startswith((".", "/", "~")) or name.count("/") != 1:
        return find_base(place)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HfHubHTTPError, ValueError, OSError):
        return None
    return folder if (folder / "unet").is_dir() else None


def count_numbers(folder: Path, targets: str | list[str], text_encoder: bool) -> tuple[int, int]:
    """Return the sum of inputs and outputs of all layers with a LoRA, and their number, from the weights' headers.

    A LoRA has rank times that sum of numbers. Loads torch, for the trainer's table of layers.
    """
    from egara.io.tensors import open_tensors
    from egara.loras.training.packed import TARGETS

    sides = layers = 0
    for part in ["unet", *(["text_encoder"] if text_encoder else [])]:
        endings = tuple(
            f".{ending}.weight" for ending in (TARGETS[targets][part] if isinstance(targets, str) else targets)
        )
        for path in part_files(folder, part):
            if path.suffix != ".safetensors":
                continue
            with open_tensors(path) as file:
                shapes = [file.shape(name) for name in file.names if f".{name}".endswith(endings)]
            linear = [shape for shape in shapes if len(shape) == 2]
            sides, layers = sides + sum(map(sum, linear)), layers + len(linear)
    return sides, layers


def rank_of(cell: str) -> int:
    """Return the rank of a cell."""
    return int(cell.partition("_")[0].partition("~")[2])


def resolution_of(cell: str) -> int:
    """Return the side of a cell's images in pixels."""
    return int(cell.partition("_resolution~")[2].partition("_")[0])


def lora_bytes(cell: str, sides: int, save_dtype: str) -> int:
    """Return the size of a LoRA's file."""
    return rank_of(cell) * sides * {"float32": 4, "float16": 2}[save_dtype] + PROVENANCE


def count_trained(study: Study) -> int:
    """Return how many LoRAs of this study are already in its results."""
    folder = study.results / "loras"
    works = {work.work for work in study.works}
    return sum(
        path.parent.name in works and path.parent.parent.name in study.trained
        for path in folder.glob("*/*/[0-9]*.safetensors")
    )


@dataclass(frozen=True)
class Disk:
    """Bytes that a study needs, by purpose, and the bytes that are free on the disk of its results."""

    needed: dict[str, int]
    free: int


def count_disk(study: Study, base: Base, sides: int, layers: int, faces: dict[str, Faces]) -> Disk:
    """Return the size of the study's largest files; that of crops is an estimate, the others follow from shapes."""
    settings, works = study.settings, len(study.works)
    per_work = settings["sets"]["count"] * settings["sets"]["size"]
    crops = sum(known.kept or known.found or per_work for known in faces.values()) if faces else per_work * works
    in_sets = sum(min(known.kept or known.found or per_work, per_work) for known in faces.values())
    need = {}
    if sides:
        loras = {cell: works * sets for cell, sets in study.trained.items()}
        need["LoRAs"] = sum(count * lora_bytes(cell, sides, settings["save_dtype"]) for cell, count in loras.items())
        if settings["projections"]["incremental"] == "vectors":
            kinds = [kind for kind in settings["representations"] if find_representation(kind).vectors]
            side = round(sides / layers / 2)  # of a layer of mean size
            need["matrices of vectors"] = sum(
                4 * works * settings["sets"]["count"] * layers * vector_length(kind, rank_of(cell), side, side)
                for kind in kinds
                for cell in study.cells
            )
    if base.folder:
        # Mean and deviation, plain and mirrored, float32; once in the store and once for the study.
        need["latents"] = sum(
            2 * in_sets * 4 * math.prod(latent_shape(base.folder, side)) * 4 for side in settings["grid"]["resolution"]
        )
    # A grey PNG of a drawing has about one byte per pixel, and a face about twice the smallest size.
    need["crops, about"] = crops * 2 * settings["faces"]["min_pixels"]
    return Disk({name: size for name, size in need.items() if size}, free_bytes(study.results))


def latent_shape(folder: Path, side: int) -> tuple[int, int, int]:
    """Return channels, height and width of a picture's latents."""
    config = read_json(folder / "vae" / "config.json", "the configuration of the autoencoder")
    small = side // 2 ** (len(config["block_out_channels"]) - 1)
    return config["latent_channels"], small, small


def free_bytes(folder: Path) -> int:
    """Return the free bytes of the disk of a folder, which need not exist."""
    folder = folder.absolute()
    return shutil.disk_usage(next(place for place in (folder, *folder.parents) if place.exists())).free


def check_disk(study: Study, disk: Disk) -> None:
    """Let a disk that is too small stop the study."""
    need = sum(disk.needed.values())
    if need > disk.free:
        study.stops.append(
            f"{study.results}: the study needs {need / 2**30:.1f} GiB on a disk with {disk.free / 2**30:.1f} GiB free"
        )
