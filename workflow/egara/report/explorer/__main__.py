"""Gather the data of the report's maps in one file.

Coordinates, nearest LoRAs and, if asked, strips of faces. The report puts it on its page, where a person chooses
cell, representation, L2 and projection, and points at a LoRA to see its nearest neighbours.
"""

import json
import math
from pathlib import Path

import numpy as np

from egara.io.atomic import write_text
from egara.io.errors import EgaraError
from egara.io.progress import logger, parser
from egara.io.tables import read_tsv
from egara.report.explorer.faces import read_sheets
from egara.report.explorer.pair import chance, choose_pair, nearest_drawn, share_of_hits
from egara.report.explorer.points import choose, describe_neighbours, find_nearest, quantise
from egara.scores.distances import NoDirections, cosine_distances
from egara.weights.geometry import normalise_and_center, read_maps, read_vectors

MAPS = ["pca", "ipca", "umap"]


def describe_space(folder: Path, vectors: Path, names: list[str], spaces: int) -> tuple[dict[str, object], list]:
    """Return one space, `<cell>/<representation>_l2~<l2>`, and author, work and set of its LoRAs.

    Parameters
    ----------
    folder : its maps.
    vectors : folder with its Gram matrix and index.
    names : maps to read where they exist.
    spaces : how many spaces share the page.
    """
    representation, _, l2 = folder.name.partition("_l2~")
    gram, index = read_vectors(vectors / f"{representation}.gram.npy", vectors / f"{representation}.tsv")
    maps, same_work = {}, {}
    for name in names:
        path = folder / f"{name}.tsv"
        if not path.is_file():
            continue
        points = read_maps([f"{name}={path}"], index)[name][0]
        kept = choose(points.shape[1], spaces, len(points))
        if len(kept) < points.shape[1]:
            shown = (folder, name, len(kept), points.shape[1])
            logger("explorer").info("%s, %s: %d of %d components fit on the page", *shown)
        maps[name] = {"components": kept, **quantise(points[:, [number - 1 for number in kept]])}
        same_work[name] = round(share_of_hits(nearest_drawn(points), index["work"]), 5)
        variance = folder / f"{name}.variance.tsv"
        if variance.is_file():
            ratios = read_tsv(variance, ["component", "ratio"])["ratio"].tolist()
            if all(map(math.isfinite, ratios)):
                maps[name]["ratios"] = [round(ratios[number - 1], 5) for number in kept]
    if not maps:
        raise EgaraError(f"{folder}: no map found; expected one of {', '.join(f'{name}.tsv' for name in names)}")
    try:
        distances = cosine_distances(normalise_and_center(gram, l2 == "on"))
    except NoDirections as reason:
        logger("explorer").warning("%s: no neighbours, %s", folder, reason)
        distances = np.zeros((len(index), 0))
    nearest = find_nearest(distances)
    if nearest.size:
        same_work["dimensions"] = round(share_of_hits(nearest, index["work"]), 5)
    found = {"cell": folder.parent.name, "representation": representation, "l2": l2, "maps": maps}
    rows = index[["author", "work", "set"]].to_numpy().tolist()
    return found | {"same_work": same_work, "neighbours": describe_neighbours(distances, nearest)}, rows


def main(argv: list[str] | None = None) -> None:
    """Read maps, Gram matrices and, if asked, faces, and write the file."""
    arguments = parser(__doc__)
    arguments.add_argument("--spaces", required=True, nargs="+", help="folders <cell>/<representation>_l2~<l2> of maps")
    arguments.add_argument("--maps", nargs="+", default=MAPS, choices=MAPS, help="maps to show, where they exist")
    arguments.add_argument("--vectors", required=True, help="folder with <cell>/<representation>.gram.npy and .tsv")
    arguments.add_argument("--sets", nargs="*", default=[], help="tables of sets of the works, to show faces (.tsv)")
    arguments.add_argument("--crops", nargs="*", default=[], help="folders of the works' faces, in the same order")
    arguments.add_argument("--output", required=True, help="file to write (.json)")
    options = arguments.parse_args(argv)
    if len(options.sets) != len(options.crops):
        raise EgaraError(f"{len(options.sets)} tables of sets and {len(options.crops)} folders; expected one each")
    from matplotlib.colors import to_hex

    from egara.cells import describe_cell
    from egara.figures.style import author_colours, work_markers
    from egara.vocabulary import PROJECTIONS
    from egara.weights.representations import label_of

    spaces, loras = [], None
    for path in map(Path, options.spaces):
        vectors = Path(options.vectors) / path.parent.name
        space, rows = describe_space(path, vectors, options.maps, len(options.spaces))
        if loras is not None and rows != loras:
            raise EgaraError(f"{path}: other LoRAs than in {options.spaces[0]}, or in another order")
        loras = rows
        spaces.append(space)
    chosen: dict[str, list[str]] = {}
    for _, work, name in loras:
        chosen.setdefault(work, []).append(name)
    words = {
        "cell": {space["cell"]: describe_cell(space["cell"]) for space in spaces},
        "representation": {space["representation"]: label_of(space["representation"]) for space in spaces},
        "map": PROJECTIONS,
    }
    # The figures' colours and markers, so that an author or work looks the same on the whole page.
    labels = {label: [row[place] for row in loras] for place, label in enumerate(("author", "work"))}
    colours = {
        label: {name: to_hex(colour) for name, colour in author_colours(names).items()}
        for label, names in labels.items()
    }
    content = {
        "loras": loras,
        "spaces": spaces,
        "pair": choose_pair(spaces),
        "chance": {label: round(chance(names), 5) for label, names in labels.items()},
        "words": words,
        "colours": colours,
        "markers": {label: work_markers(names) for label, names in labels.items()},
        "faces": read_sheets(options.sets, options.crops, chosen),
    }
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    write_text(options.output, text)
    logger("explorer").info(
        "%d spaces of %d LoRAs, %.1f MB: %s", len(spaces), len(loras), len(text) / 1e6, options.output
    )
