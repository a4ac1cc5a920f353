"""A configuration checked against the settings, defaults filled in, one line for each mistake."""

import difflib
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from egara.config.renamed import drop_renamed, find_renamed
from egara.config.schema import schema
from egara.io.errors import EgaraError
from egara.settings.checking import find_mistakes, quote
from egara.settings.fitting import fit


def complete_config(config: dict) -> dict:
    """Return a copy of `config` with all defaults filled in and values of the settings' types.

    Raises
    ------
    EgaraError : an unknown key or a value out of range; the message names the key, the value and what was expected.
    """
    settings, mistakes = examine_config(config)
    if mistakes:
        raise EgaraError("config: " + "; ".join(mistakes[:3]))
    return settings


def examine_config(config: dict) -> tuple[dict, list[str]]:
    """Return a copy of `config` with all defaults filled in, and a line for each mistake in it."""
    rules = schema()
    settings = _with_defaults(deepcopy(drop_renamed(config)), rules)
    unfit: dict[str, str] = {}
    for key, value in settings.items():
        try:
            settings[key] = fit(value, rules["properties"].get(key, {}), key)
        except EgaraError as error:
            unfit[key] = str(error)
        except RecursionError:  # a YAML alias within its own anchor
            unfit[key] = f"{str(key)[:40]}: contains itself; expected values that end"
    fitted = {key: value for key, value in settings.items() if key not in unfit}
    return settings, [*find_renamed(config), *unfit.values(), *_examine(fitted, rules, "", set(unfit))]


def _examine(section: dict, rules: Mapping[str, Any], where: str, told: set[str] = frozenset()) -> Iterator[str]:
    """Yield a line for each mistake in a section; `told` are keys of which there is a line already."""
    properties, place = rules["properties"], where.removesuffix(".") or "top level"
    if missing := [key for key in rules.get("required", ()) if key not in section and key not in told]:
        yield f"{place}: {', '.join(missing)} is missing"
    if unknown := sorted(str(key)[:40] for key in set(section) - set(properties)):
        hint = _hint(unknown, where)
        yield f"{place}: unknown key {', '.join(unknown)}{hint}; expected one of {', '.join(properties)}"
    for key, rule in properties.items():
        if key not in section:
            continue
        value, name = section[key], f"{where}{key}"
        if rule.get("type") != "object":
            yield from find_mistakes(value, rule, name)
        elif isinstance(value, dict):
            yield from _examine(value, rule, f"{name}.")
        else:
            yield f"{name} is {quote(value)}; expected keys with values"


def _with_defaults(section: dict, rules: Mapping[str, Any]) -> dict:
    for key, rule in rules["properties"].items():
        if "default" in rule and (key not in section or section[key] is None and rule.get("type") == "object"):
            section[key] = deepcopy(rule["default"])  # also for a heading whose keys are all commented out
        if rule.get("type") == "object" and isinstance(section[key], dict):
            section[key] = _with_defaults(section[key], rule)
    return section


def _hint(unknown: list[str], where: str) -> str:
    meant = dict.fromkeys(filter(None, (_nearest(key, where) for key in unknown)))
    return f" (did you mean {' or '.join(meant)}?)" if meant else ""


def _nearest(key: str, where: str) -> str:
    """Return the key that was probably meant: one spelt alike, or the same name in another section."""
    places = list(list_keys(schema()))
    known = [place[len(where) :] for place in places if place.startswith(where) and "." not in place[len(where) :]]
    elsewhere = [place for place in places if place.rpartition(".")[2] == key]
    alike = difflib.get_close_matches
    return next(iter(alike(key, known, 1) or elsewhere or alike(key, places, 1)), "")


def list_keys(rules: Mapping[str, Any], where: str = "") -> Iterator[str]:
    """Yield all keys, sections included, with their sections: `pages`, `pages.limits`, `pages.limits.side`."""
    for key, rule in rules.get("properties", {}).items():
        yield f"{where}{key}"
        yield from list_keys(rule, f"{where}{key}.")
