"""A class of settings and its rules: each field's type, range, default and meaning, as JSON Schema (draft 7)."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, field, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", NoneType: "null"}
NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "multipleOf")
LIMITS = {int: NUMBERS, float: NUMBERS, str: ("minLength", "pattern")}


def setting(description: str, default: object = MISSING, **limits: object) -> Any:
    """Declare a setting of a section, a field of its dataclass.

    Parameters
    ----------
    description : what it means, a sentence.
    default : its value where the configuration does not say; without one it is required.
    limits : keywords of JSON Schema, such as `minimum`; in a list they hold for each item, `minItems` aside.
    """
    return field(default=default, metadata={"description": description, "limits": limits})


def section(kind: type) -> Any:
    """Declare a section, whose settings are those of a dataclass; left out, all have their defaults."""
    return field(default_factory=kind)


@cache
def rules_of(kind: type) -> Mapping[str, Any]:
    """Return the rules of a section as an object of JSON Schema; its properties are in the order of the fields."""
    hints = get_type_hints(kind)
    properties = {one.name: _rule(one, hints[one.name]) for one in fields(kind)}
    needed = [name for name, rule in properties.items() if "default" not in rule]
    whole = {"type": "object", "description": (kind.__doc__ or "").split("\n")[0], "additionalProperties": False}
    return whole | ({"required": needed} if needed else {"default": {}}) | {"properties": properties}


def rule_of(kind: type, name: str, item: bool = False) -> dict[str, Any]:
    """Return the rule of one setting, or of an `item` of its list, with what the setting means and its default."""
    rule = rules_of(kind)["properties"][name]
    if not item:
        return rule
    default = {"default": rule["default"][0]} if isinstance(rule.get("default"), list) and rule["default"] else {}
    items = next(one["items"] for one in alternatives(rule) if "items" in one)
    return items | {"description": rule["description"]} | default


def choices(kind: type, name: str, item: bool = False) -> tuple[Any, ...]:
    """Return the values that a setting, or an `item` of its list, is chosen from."""
    return tuple(rule_of(kind, name, item)["enum"])


def alternatives(rule: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the rules of which a value must meet one; most settings have one alone."""
    return rule.get("oneOf", [rule])


def _rule(one: Field, hint: object) -> dict[str, Any]:
    if is_dataclass(hint):
        return dict(rules_of(hint))
    rule = _of_type(hint, one.metadata["limits"]) | {"description": one.metadata["description"]}
    if one.default is not MISSING:
        rule["default"] = list(one.default) if isinstance(one.default, tuple) else one.default
    return rule


def _of_type(hint: object, limits: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of a type: text, a number, a truth value, some values, a list, or several of these."""
    kind, parts = get_origin(hint), get_args(hint)
    if kind is Literal:
        return {"enum": list(parts)}
    if kind is tuple:
        items = {"type": "array", "items": _of_type(parts[0], limits), "minItems": limits.get("minItems", 0)}
        return items | {"uniqueItems": limits.get("uniqueItems", True)}
    if kind in (Union, UnionType):
        if all(part in TYPES for part in parts):
            every = [_of_type(part, limits) for part in parts]
            return {key: value for one in every for key, value in one.items()} | {"type": [TYPES[p] for p in parts]}
        return {"oneOf": [_of_type(part, limits) for part in parts]}
    return {"type": TYPES[hint]} | {key: limits[key] for key in LIMITS.get(hint, ()) if key in limits}
