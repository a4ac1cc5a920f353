"""Arguments of a command that are settings: default, range and help are the setting's."""

import argparse
from collections.abc import Mapping
from typing import Any

from egara.settings.checking import check_value
from egara.settings.fitting import fit
from egara.settings.rules import alternatives, rule_of

UNCHANGED = object()


def add_setting(
    arguments: argparse.ArgumentParser,
    section: type,
    name: str,
    flag: str = "",
    item: bool = False,
    default: object = UNCHANGED,
    **options: Any,
) -> None:
    """Add a setting to a command's arguments, under its own name; not for one that may be a word or a list.

    Its value is written as in a configuration (`--tiles true`), a list as several words; a truth value is a flag
    (`--compile`, `--no-compile`). A value out of range is an `EgaraError`.

    Parameters
    ----------
    section, name : the setting, such as `Faces` and `margin`.
    flag : instead of the setting's name: `--margin`.
    item : whether the argument is one item of the setting's list.
    default : instead of the setting's.
    options : for `add_argument`, such as `help`.
    """
    rule, flag = rule_of(section, name, item), flag or f"--{name.replace('_', '-')}"
    options.setdefault("help", rule["description"].rstrip(".").replace("%", "%%"))
    options["default"] = rule.get("default") if default is UNCHANGED else default
    options.setdefault("required", "default" not in rule and default is UNCHANGED)
    if rule.get("type") == "boolean":
        arguments.add_argument(flag, action=argparse.BooleanOptionalAction, **options)
        return
    options.setdefault("metavar", _metavar(rule))
    if rule.get("type") == "array":
        options["nargs"], rule = "+" if rule["minItems"] else "*", rule["items"] | {"description": rule["description"]}
    arguments.add_argument(flag, type=lambda text: read_value(text, rule, flag), **options)


def read_value(text: object, rule: Mapping[str, Any], where: str) -> Any:
    """Return the value that a word of a command line has under a rule; else an `EgaraError` says what was expected."""
    value = fit(text, rule, where)
    check_value(value, rule, where)
    return value


def _metavar(rule: Mapping[str, Any]) -> str:
    words = []
    for one in alternatives(rule.get("items", rule)):
        words += [str(value).lower() for value in one["enum"]] if "enum" in one else [_kind(one["type"])]
    return f"{{{','.join(words)}}}" if len(words) > 1 else words[0]


def _kind(kinds: str | list[str]) -> str:
    names = {"integer": "N", "number": "X", "string": "TEXT", "boolean": "BOOL", "null": "null"}
    return "|".join(names[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds))
