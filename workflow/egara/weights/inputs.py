"""The LoRAs of a cell: which files they are, and whether they can be compared."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from egara.io.errors import EgaraError
from egara.loras.files import Layout, read_layout
from egara.weights.representations import REPRESENTATIONS, find

if TYPE_CHECKING:
    import pandas as pd


def add_loras(arguments: argparse.ArgumentParser, required: bool = True) -> None:
    """Add the options that name the LoRAs of a cell."""
    arguments.add_argument("--folder", required=required, help="folder with {work}/{set}.safetensors")
    arguments.add_argument("--works", required=required, nargs="+", help="works, in the order of the rows")
    arguments.add_argument("--sets", required=required, type=_count, help="LoRAs per work: 00, 01, …")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of LoRAs; it must be at least 1")
    return int(text)


def add_representation(arguments: argparse.ArgumentParser, known: list[str]) -> None:
    """Add the option that names the representation."""
    arguments.add_argument(
        "--representation", required=True, choices=known, metavar="NAME", help=f"one of {', '.join(known)}"
    )


def open_loras(options: argparse.Namespace) -> tuple["pd.DataFrame", list[Layout]]:
    """Return the LoRAs that `add_loras` names, one row each: lora, author, work, set; and their layouts.

    Raises
    ------
    EgaraError : a file is missing, or LoRAs cannot be compared in the representation.
    """
    files = lora_files(options.folder, options.works, options.sets)
    layouts = read_layouts(files["lora"].tolist(), any_rank=find(options.representation).any_rank)
    files.insert(1, "author", authors_of(files, layouts))
    return files, layouts


def lora_files(folder: str | Path, works: list[str], sets: int) -> "pd.DataFrame":
    """List `folder/{work}/{set}.safetensors` for sets 00, 01, … of every work, in this order: lora, work, set."""
    import pandas as pd

    rows = [
        (Path(folder, work, f"{number:02d}.safetensors").as_posix(), work, f"{number:02d}")
        for work in works
        for number in range(sets)
    ]
    return pd.DataFrame(rows, columns=["lora", "work", "set"])


def read_layouts(paths: list[str], any_rank: bool) -> list[Layout]:
    """Read all headers and check that the LoRAs adapt the same layers with the same sizes.

    Raises
    ------
    EgaraError : names the first file and layer that differ from the first file.
    """
    layouts = [read_layout(path) for path in paths]
    first = layouts[0].shapes
    for path, layout in zip(paths, layouts, strict=True):
        if odd := sorted(first.keys() ^ layout.shapes.keys()):
            lacks, has = (path, paths[0]) if odd[0] in first else (paths[0], path)
            raise EgaraError(f"{lacks}: layer {odd[0]} is missing, but {has} has it; all LoRAs need the same layers")
        for name, shape in layout.shapes.items():
            if shape[1:] != first[name][1:]:
                found, expected = (f"{s.outputs} x {s.inputs}" for s in (shape, first[name]))
                raise EgaraError(f"{path}: layer {name} is {found}, but {expected} in {paths[0]}; they must agree")
            if not any_rank and shape.rank != first[name].rank:
                strict = ", ".join(one for one, found in REPRESENTATIONS.items() if not found.any_rank)
                raise EgaraError(
                    f"{path}: layer {name} has rank {shape.rank}, but {first[name].rank} in {paths[0]}; "
                    f"{strict} compare LoRAs of one rank only (delta of any)"
                )
    return layouts


def authors_of(files: "pd.DataFrame", layouts: list[Layout]) -> list[str]:
    """Return the author in each LoRA's header; the header's work, if any, must be the folder's."""
    authors = []
    for path, work, layout in zip(files["lora"], files["work"], layouts, strict=True):
        author = layout.header.get("author")
        if not author:
            raise EgaraError(f"{path}: no author in the header; expected the key egara with author, work and set")
        if str(layout.header.get("work", work)) != work:
            raise EgaraError(f"{path}: trained on work {layout.header['work']}, but it is in the folder of {work}")
        authors.append(str(author))
    return authors
