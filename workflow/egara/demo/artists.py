"""The artists of the demo: evaluated ones, and those held out for pre-training.

Each style is one artist's drawing kit in the package `dicebear-styles`; creator and licence are read from the kit.
Evaluated artists never appear in the pre-training of the base model or the face detector.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from egara.io.errors import EgaraError
from egara.io.json import read_json


@dataclass(frozen=True)
class Style:
    """One drawing kit.

    Attributes
    ----------
    name : the kit's name in `dicebear-styles`.
    head : (left, top, right, bottom) of the head's window, as fractions of the drawing's side.
    line : whether the artist draws black lines, so that a face with white skin is visible.
    """

    name: str
    head: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    line: bool = False


EVALUATED = (
    Style("lorelei", (0.05, 0.0, 0.95, 0.86), line=True),
    Style("adventurer", line=True),
    Style("notionists", (0.18, 0.02, 0.82, 0.60), line=True),
    Style("open-peeps", (0.05, 0.0, 0.95, 0.76), line=True),
    Style("croodles", line=True),
)

HELD_OUT = (
    Style("micah", (0.05, 0.0, 0.95, 0.76), line=True),
    Style("big-ears"),
    Style("big-smile"),
    Style("personas", (0.0, 0.0, 1.0, 0.74)),
    Style("toon-head", (0.0, 0.0, 1.0, 0.76)),
    Style("miniavs", (0.0, 0.0, 1.0, 0.88)),
    Style("dylan"),
    Style("pixel-art", (0.0, 0.0, 1.0, 0.80)),
    Style("voxel-art", (0.0, 0.0, 1.0, 0.62)),
    Style("cutouts"),
    Style("moods"),
    Style("marbles"),
)

STYLES = {style.name: style for style in EVALUATED + HELD_OUT}


def find_style(name: str) -> Style:
    """Return a style by name; an unknown one is an `EgaraError`."""
    if name not in STYLES:
        raise EgaraError(f"style {name}: unknown; expected one of {', '.join(sorted(STYLES))}")
    return STYLES[name]


@cache
def definition(name: str) -> dict:
    """Return a kit's definition from its package: components, colours, creator and licence."""
    return read_json(files("dicebear_styles").joinpath(f"{find_style(name).name}.json"), "a kit's definition")


def attribution(name: str) -> dict[str, str]:
    """Return style, title, creator, licence and URLs from the kit."""
    meta = definition(name)["meta"]
    return {
        "style": name,
        "title": meta["source"]["name"],
        "creator": meta["creator"]["name"],
        "licence": meta["license"]["name"],
        "licence_url": meta["license"].get("url", ""),
        "source_url": meta["source"].get("url", ""),
    }
