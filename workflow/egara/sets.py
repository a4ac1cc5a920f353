"""Sample the image sets of one work: N sets of M faces.

Each set is sampled without replacement (Shimoide & Ito, section 4.3). Controls draw otherwise: disjoint sets have no
face in common, and same ones are all the first of the drawn sets.
"""

from pathlib import Path
from typing import TYPE_CHECKING, get_args

from egara.cells import DRAWN
from egara.io.errors import EgaraError, counted
from egara.io.progress import logger, parser
from egara.io.tables import read_tsv, write_tsv
from egara.seeds import stream
from egara.settings import Draw, Sets, Settings
from egara.settings.arguments import add_setting

if TYPE_CHECKING:
    import pandas as pd


DRAWS = get_args(Draw)


def set_name(number: int) -> str:
    """Return the name of a work's set: 00, 01, ..."""
    return f"{number:02d}"


def draw_sets(faces: "pd.DataFrame", work: str, count: int, size: int, seed: int, draw: str = DRAWN) -> "pd.DataFrame":
    """Draw `count` sets of `size` faces; each set has its own stream, so more sets never change the first ones.

    Returns
    -------
    Table of set, order, face, file, sha256; one row a face of a set.

    Raises
    ------
    EgaraError : fewer faces than a set, or all disjoint sets, need.
    """
    import pandas as pd

    needed = size * count if draw == "disjoint" else size
    if len(faces) < needed:
        wanted = f"{count} disjoint sets of {size} need {needed}" if draw == "disjoint" else f"a set needs {size}"
        raise EgaraError(f"work {work}: {counted(len(faces), 'face')}, {wanted}")
    drawn = []
    for number in range(count):
        if draw == "disjoint":
            rows = stream(seed, work, draw, "faces").permutation(len(faces))[number * size : (number + 1) * size]
        else:
            source = set_name(0 if draw == "same" else number)
            rows = stream(seed, work, source, "faces").permutation(len(faces))[:size]
        part = faces.iloc[rows][["face", "file", "sha256"]].reset_index(drop=True)
        part.insert(0, "order", range(size))
        part.insert(0, "set", set_name(number))
        drawn.append(part)
    return pd.concat(drawn, ignore_index=True)


def expected_overlap(faces: int, size: int) -> float:
    """Return the expected share of a set that another set of the same pool holds too: size / faces.

    Each face of one set is in the other with probability size / faces (hypergeometric mean).
    """
    return size / faces


def measured_overlap(sets: "pd.DataFrame") -> float:
    """Return the mean share of faces that two sets of a work have in common, over all pairs of sets."""
    import numpy as np

    groups = [set(part) for _, part in sets.groupby("set")["face"]]
    if len(groups) < 2:
        return float("nan")
    pairs = [len(a & b) / len(a) for i, a in enumerate(groups) for b in groups[i + 1 :]]
    return float(np.mean(pairs))


def main(argv: list[str] | None = None) -> None:
    """Draw the sets of one work."""
    arguments = parser(__doc__)
    arguments.add_argument("--faces", type=Path, required=True, help="table of the work's faces")
    arguments.add_argument("--work", required=True, help="name of the work")
    add_setting(arguments, Sets, "count")
    add_setting(arguments, Sets, "size")
    arguments.add_argument("--draw", choices=DRAWS, default=DRAWN, help="how sets share faces")
    add_setting(arguments, Settings, "seed")
    arguments.add_argument("--output", type=Path, required=True, help="table of the sets")
    options = arguments.parse_args(argv)
    faces = read_tsv(options.faces, ["face", "file", "sha256"], text=["face", "file", "sha256"])
    try:
        sets = draw_sets(faces, options.work, options.count, options.size, options.seed, options.draw)
    except EgaraError as error:
        raise EgaraError(f"{error} ({options.faces})") from None
    write_tsv(options.output, sets)
    log, unused = logger("sets"), int((~faces["face"].isin(sets["face"])).sum())
    log.info(
        "work %s: %s of %d from %s",
        options.work,
        counted(options.count, "set"),
        options.size,
        counted(len(faces), "face"),
    )
    if unused:
        log.info("work %s: in no set: %d of %s", options.work, unused, counted(len(faces), "face"))
