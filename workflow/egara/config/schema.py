"""The configuration's JSON schema: the settings, with names that other parts of the project register."""

from copy import deepcopy
from functools import cache
from typing import Any

from egara.faces.detectors import KINDS
from egara.settings import Settings
from egara.settings.rules import rules_of
from egara.weights.representations import REPRESENTATIONS, names

DESCRIPTION = (
    "All keys of config/*.yaml with type, range and default. An unknown key is an error. Paths are relative to the "
    "working directory; a file that is not there is looked for in the checkout."
)


@cache
def schema() -> dict[str, Any]:
    """Return the JSON schema (draft 7) of a configuration; not to be changed."""
    rules = deepcopy(dict(rules_of(Settings)))
    properties = rules["properties"]
    properties["representations"]["items"] = {"enum": names()}
    properties["scores"]["properties"]["layers"]["items"] = {"enum": list(REPRESENTATIONS)}
    properties["faces"]["properties"]["detector"] |= {
        "pattern": _pattern(),
        "description": f"Face detector: {', '.join(KINDS[:-1])} or {KINDS[-1]}.",
    }
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Egara's configuration"}
    return head | rules | {"description": DESCRIPTION}


def _pattern() -> str:
    """Return what the name of a detector looks like: a kind, and for some kinds a colon and a path."""
    kinds = [kind.partition(":") for kind in KINDS]
    return f"^({'|'.join(f'{name}:.+' if colon else name for name, colon, _ in kinds)})$"
