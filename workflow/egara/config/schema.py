"""The configuration's JSON schema: the settings, with names that other parts of the project register."""

from copy import deepcopy
from functools import cache
from typing import Any

from egara.faces.detectors import detector_description, detector_pattern
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
        "pattern": detector_pattern(),
        "description": detector_description(),
    }
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Egara's configuration"}
    return head | rules | {"description": DESCRIPTION}
