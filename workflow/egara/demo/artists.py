"""Whose drawings the composed volumes are built from, and who is set aside for pre-training.

Each style is one artist's drawing kit in the package `dicebear-styles`; creator and licence are read from the kit
itself. Evaluated artists never appear in the pre-training of the base model or of the face detector.
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
    head : (left, top, right, bottom) of the window that holds the head, as fractions of the drawing's side.
    line : True where the artist draws black lines, so that white skin still shows a face.
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

SET_ASIDE = (
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

STYLES = {style.name: style for style in EVALUATED + SET_ASIDE}


def find_style(name: str) -> Style:
    """Return the style of this name; an unknown name is an error that lists the known ones."""
    if name not in STYLES:
        raise EgaraError(f"style {name}: unknown; expected one of {', '.join(sorted(STYLES))}")
    return STYLES[name]


@cache
def definition(name: str) -> dict:
    """Return a kit's definition as its package ships it: components, colours, creator and licence."""
    return read_json(files("dicebear_styles").joinpath(f"{find_style(name).name}.json"), "a kit's definition")


def attribution(name: str) -> dict[str, str]:
    """Return style, title, creator, licence and their addresses, as the kit states them."""
    meta = definition(name)["meta"]
    return {
        "style": name,
        "title": meta["source"]["name"],
        "creator": meta["creator"]["name"],
        "licence": meta["license"]["name"],
        "licence_url": meta["license"].get("url", ""),
        "source_url": meta["source"].get("url", ""),
    }
