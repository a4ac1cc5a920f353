"""Values of the configuration in the types that its schema states.

A file in YAML gives numbers as numbers. On a command line (`--config 'grid={rank: [4]}' l2=[true] corpus=2024`)
Snakemake 9.27 leaves everything inside brackets as text, and makes numbers of all that could be one. The schema knows
better.
"""

import json
import math
import re

from egara.io.errors import EgaraError

INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
BOOLEANS = {"true": True, "false": False}


def fit(value: object, rule: dict, where: str) -> object:
    """Return `value` in a type that `rule` allows, if it means the same in it; else as it is, for the check to refuse.

    Text becomes a number, `true`, `false` or `null` where the rule takes no text; a whole number becomes text where the
    rule takes only text. What is not exactly the same in the other type is not converted.

    Raises
    ------
    EgaraError : a number or a truth value where text is expected, whose spelling is lost.
    """
    if isinstance(value, dict):
        known = rule.get("properties", {})
        return {key: fit(part, known.get(key, {}), f"{where}.{key}") for key, part in value.items()}
    if isinstance(value, list):
        items = next((one["items"] for one in _choices(rule) if "items" in one), {})
        return [fit(part, items, f"{where}.{number}") for number, part in enumerate(value)]
    types, constants = _allowed(rule)
    if isinstance(value, str):
        return value if value in constants else _read(value, types, constants)
    if isinstance(value, bool | int | float) and "string" in types and not _is_one(value, types, constants):
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        raise EgaraError(
            f"{where} is {json.dumps(value)}, read as a {type(value).__name__}; "
            "expected text: in a configuration file, put it between quotes"
        )
    return value


def _choices(rule: dict) -> list[dict]:
    return rule.get("oneOf", [rule])


def _allowed(rule: dict) -> tuple[set[str], list[object]]:
    """Return the names of types that a rule takes, and the constants that it lists."""
    types: set[str] = set()
    constants: list[object] = []
    for one in _choices(rule):
        kinds = one.get("type", [])
        types |= {kinds} if isinstance(kinds, str) else set(kinds)
        types |= {"string"} if "pattern" in one else set()
        constants += one.get("enum", []) + ([one["const"]] if "const" in one else [])
    return types, constants


def _is_one(value: float, types: set[str], constants: list[object]) -> bool:
    """Whether a number or truth value is allowed as it is; True is no 1."""
    if isinstance(value, bool):
        return "boolean" in types or any(one is value for one in constants)
    return bool(types & {"integer", "number"}) or any(one == value and not isinstance(one, bool) for one in constants)


def _read(text: str, types: set[str], constants: list[object]) -> object:
    """Return the value that a text means where text itself is not allowed."""
    if text in ("null", "~", "") and "null" in types:
        return None
    if "string" in types:
        return text
    if text.lower() in BOOLEANS and ("boolean" in types or any(one is BOOLEANS[text.lower()] for one in constants)):
        return BOOLEANS[text.lower()]
    if types & {"integer", "number"}:
        if INTEGER.fullmatch(text):
            return int(text)
        try:
            number = float(text)
        except ValueError:
            return text
        return number if "number" in types and math.isfinite(number) and "_" not in text else text
    return text
