"""Values in the types of their settings.

A file in YAML gives numbers as numbers, but reads `no` as false. On a command line (`--config 'grid={rank: [4]}'
l2=[true] corpus=2024`) Snakemake 9.27 leaves everything inside brackets as text, and makes a number of whatever could
be one. The rules of `egara.settings` say which type was meant.
"""

import math
import re

from egara.io.errors import EgaraError
from egara.settings.checking import quote
from egara.settings.rules import alternatives

INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
BOOLEANS = {"true": True, "false": False}


def fit(value: object, rule: dict, where: str) -> object:
    """Return `value` in a type that its rule allows, if it means the same; else as it is, for the check to refuse.

    Text becomes a number, `true`, `false` or `null` where the rule allows no text; a whole number becomes text where
    the rule allows only text, and `false` becomes `no` where that is a choice. Nothing else is converted.

    Raises
    ------
    EgaraError : a number or a truth value where text is expected, whose spelling is lost.
    """
    if isinstance(value, dict):
        known = rule.get("properties", {})
        return {key: fit(part, known.get(key, {}), f"{where}.{key}") for key, part in value.items()}
    if isinstance(value, list):
        items = next((one["items"] for one in alternatives(rule) if "items" in one), {})
        return [fit(part, items, f"{where}.{number}") for number, part in enumerate(value)]
    types, constants = _allowed(rule)
    if isinstance(value, str):
        return value if value in constants else _read(value, types, constants)
    if value is False and "no" in constants:  # YAML 1.1
        return "no"
    if isinstance(value, bool | int | float) and "string" in types and not _is_one(value, types, constants):
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
            return str(value)
        raise EgaraError(
            f"{where} is {quote(value)}, read as a {type(value).__name__}; "
            "expected text: in a configuration file, put it between quotes"
        )
    return value


def _allowed(rule: dict) -> tuple[set[str], list[object]]:
    """Return the names of the types that a rule allows, and the values that it lists."""
    types: set[str] = set()
    constants: list[object] = []
    for one in alternatives(rule):
        kinds = one.get("type", [])
        types |= {kinds} if isinstance(kinds, str) else set(kinds)
        types |= {"string"} if "pattern" in one else set()
        constants += one.get("enum", [])
    return types, constants


def _is_one(value: float, types: set[str], constants: list[object]) -> bool:
    """Whether a number or truth value is allowed as it is; True is not 1."""
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
