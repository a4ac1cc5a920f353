"""The whole of a study's settings: the keys of a configuration, in order."""

from dataclasses import dataclass
from typing import Literal

from egara.settings.analysis import Clusters, Controls, Projections, Report, Samples, Scores
from egara.settings.images import Captions, Faces, Pages, Sets
from egara.settings.rules import section, setting
from egara.settings.training import Grid, Machine, Training

SaveDtype = Literal["float32", "float16"]


@dataclass(frozen=True)
class Settings:
    """A study."""

    corpus: str = setting("Name of the corpus and of its folder in results/.", pattern="^[A-Za-z0-9][A-Za-z0-9.-]*$")
    works: str = setting("Works table: author, work, volumes and, if wanted, series; see above.")
    seed: int = setting(
        "Study seed; together with a name it decides every random draw.", 0, minimum=0, maximum=2**63 - 1
    )
    casts: str | None = setting(
        "Table of volumes to compose (work, style, part, parts, characters, volumes, pages), or null for your own.",
        None,
    )
    pages: Pages = section(Pages)
    faces: Faces = section(Faces)
    sets: Sets = section(Sets)
    captions: Captions = section(Captions)
    base: str = setting("Base model: a folder in diffusers' layout or a hub id.", "resources/base", minLength=1)
    grid: Grid = section(Grid)
    training: Training = section(Training)
    save_dtype: SaveDtype = setting("Number type in the LoRA files.", "float32")
    representations: tuple[str, ...] = setting(
        "How a LoRA becomes a point; docs/representations.md describes them. With -layerwise each layer is normalised "
        "to unit norm.",
        ("factors", "delta"), minItems=1,
    )  # fmt: skip
    l2: tuple[bool, ...] = setting("Whether vectors are L2-normalised before centring.", (True, False), minItems=1)
    projections: Projections = section(Projections)
    clusters: Clusters = section(Clusters)
    scores: Scores = section(Scores)
    controls: Controls = section(Controls)
    report: Report = section(Report)
    samples: Samples = section(Samples)
    machine: Machine = section(Machine)
