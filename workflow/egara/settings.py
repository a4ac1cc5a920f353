"""The configuration: checked against the schema, defaults filled in, one line for each mistake."""

import difflib
import json
import math
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

from egara.fitting import fit
from egara.io.errors import EgaraError
from egara.shipped import CHECKOUT

SCHEMA = CHECKOUT / "workflow" / "schemas" / "config.schema.yaml"


def complete_config(config: dict, schema: Path = SCHEMA) -> dict:
    """Return a copy of `config` with all defaults filled in and values of the schema's types, see `egara.fitting`.

    Raises
    ------
    EgaraError : an unknown key or a value out of range; the message names the key, the value and what was expected.
    """
    settings, mistakes = examine_config(config, schema)
    if mistakes:
        raise EgaraError("config: " + "; ".join(mistakes[:3]))
    return settings


def examine_config(config: dict, schema: Path = SCHEMA) -> tuple[dict, list[str]]:
    """Return a copy of `config` with all defaults filled in, and a line for every mistake in it.

    Raises
    ------
    EgaraError : a value that cannot even be compared with what is expected.
    """
    import jsonschema
    import yaml

    rules = yaml.safe_load(schema.read_text(encoding="utf-8"))
    settings = _with_defaults(deepcopy(dict(config)), rules)
    unfit: dict[str, str] = {}
    for key, value in settings.items():
        try:
            settings[key] = fit(value, rules["properties"].get(key, {}), key)
        except EgaraError as error:
            unfit[key] = str(error)
    try:
        errors = sorted(
            jsonschema.Draft7Validator(rules).iter_errors(settings), key=lambda error: list(map(str, error.path))
        )
    except (ValueError, ArithmeticError) as error:  # a number that cannot be compared, or not even be written
        raise EgaraError(f"config: a value cannot be checked ({error}); expected values of usual size") from error
    told = [error for error in errors if not (error.absolute_path and error.absolute_path[0] in unfit)]
    mistakes = [*unfit.values(), *(_sentence(error, settings, rules) for error in told)]
    if not mistakes:
        strange = [where for where, value in _numbers(settings, ()) if not math.isfinite(value)]
        mistakes = [f"{where} is not a finite number; expected one" for where in strange]
    return settings, mistakes


FILES = ("works", "casts", "base")


def find_file(path: str, checkout: Path = CHECKOUT) -> str:
    """Return a path of a configuration: from the working directory, else from the checkout, where shipped files lie.

    A path that leads nowhere from either stays as it is; who reads it says what was expected there.
    """
    try:
        shipped = not Path(path).exists() and (checkout / path).exists()
    except (OSError, ValueError):  # too long for a path, or no path at all
        return path
    return str(checkout / path) if shipped else path


def find_files(settings: dict, checkout: Path = CHECKOUT) -> dict:
    """Return checked settings in which the files of the configuration are found, see `find_file`."""
    found = settings | {key: find_file(settings[key], checkout) for key in FILES if settings[key]}
    kind, colon, path = settings["faces"]["detector"].partition(":")
    found["faces"] = settings["faces"] | {"detector": f"{kind}:{find_file(path, checkout)}" if colon else kind}
    return found


def _numbers(value: object, where: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    """Yield each floating-point number of checked settings with its place."""
    if isinstance(value, float):
        yield ".".join(where), value
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from _numbers(part, (*where, str(key)))


def _with_defaults(value: dict, rules: dict) -> dict:
    for key, rule in rules.get("properties", {}).items():
        if key not in value and "default" in rule:
            value[key] = deepcopy(rule["default"])
        if value.get(key) is None and rule.get("type") == "object":  # a heading whose keys are all commented out
            value[key] = deepcopy(rule["default"])
        if isinstance(value.get(key), dict):
            value[key] = _with_defaults(value[key], rule)
    return value


def _sentence(error: "object", settings: dict, rules: dict) -> str:
    where = ".".join(map(str, error.absolute_path)) or "top level"
    if error.validator == "additionalProperties":
        known = sorted(error.schema.get("properties", {}))
        unknown = sorted(str(key)[:40] for key in set(error.instance) - set(known))
        meant = dict.fromkeys(filter(None, (_nearest(key, known, rules) for key in unknown)))
        hint = f" (did you mean {' or '.join(meant)}?)" if meant else ""
        return f"{where}: unknown key {', '.join(unknown)}{hint}; expected one of {', '.join(known)}"
    if error.validator == "required":
        missing = ", ".join(key for key in error.validator_value if key not in error.instance)
        return f"{where}: {missing} is missing"
    value = error.instance
    found = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    found = found if len(found) <= 80 else f"{found[:80]}…"
    said = error.schema.get("description", "")
    wanted = _wanted(error)
    return f"{where} is {found}; expected {wanted}" + (f" ({said.rstrip('.')})" if said and wanted != said else "")


TYPES = {
    "array": "a list", "object": "keys with values", "string": "text", "integer": "a whole number",
    "number": "a number", "boolean": "true or false", "null": "null",
}  # fmt: skip
BOUNDS = {
    "minimum": "at least {}", "maximum": "at most {}", "exclusiveMinimum": "more than {}",
    "multipleOf": "a multiple of {}", "minItems": "at least {} in the list", "minLength": "text that is not empty",
    "uniqueItems": "no value twice",
}  # fmt: skip


def _wanted(error: "object") -> str:
    """Return in words what the rule that a value broke asks for."""
    rule, value = error.validator, error.validator_value
    if rule == "type":
        return " or ".join(TYPES[kind] for kind in ([value] if isinstance(value, str) else value))
    if rule == "enum":
        return "one of " + ", ".join(one if isinstance(one, str) else json.dumps(one) for one in value)
    if rule in BOUNDS:
        return BOUNDS[rule].format(value)
    if rule == "oneOf":
        return error.schema.get("description", error.message)
    return f"text that matches {value}" if rule == "pattern" else error.message


def _nearest(key: str, known: list[str], rules: dict) -> str:
    """Return the key that was perhaps meant: one that is spelt alike, or of this name at another place."""
    places = list(_places(rules, ()))
    elsewhere = [place for place in places if place.rpartition(".")[2] == key]
    return next(
        iter(difflib.get_close_matches(key, known, 1) or elsewhere or difflib.get_close_matches(key, places, 1)), ""
    )


def _places(rules: dict, where: tuple[str, ...]) -> Iterator[str]:
    for key, rule in rules.get("properties", {}).items():
        yield ".".join((*where, key))
        yield from _places(rule, (*where, key))
