"""Whether a value meets the rule of its setting, and what that rule asks for, in words."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from egara.io.errors import EgaraError
from egara.settings.rules import alternatives

PYTHON = {"boolean": bool, "integer": int, "number": (int, float), "string": str, "null": type(None), "array": list}
LONGEST = 80  # letters of a value that a message quotes


def check_value(value: object, rule: Mapping[str, Any], where: str) -> None:
    """Refuse a value that does not meet its rule.

    Raises
    ------
    EgaraError : the message says where, which value was found and what was expected.
    """
    for mistake in find_mistakes(value, rule, where):
        raise EgaraError(mistake)


def find_mistakes(value: object, rule: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yield a line for each mistake in a value that is not a section; in a list, for each item at fault."""
    if meets(value, rule):
        return
    lists = [one for one in alternatives(rule) if one.get("type") == "array"]
    if lists and isinstance(value, list) and (wrong := _wrong_items(value, lists[0])):
        for number, item in wrong:
            yield _sentence(item, lists[0]["items"], f"{where}.{number}", rule)
    else:
        yield _sentence(value, rule, where, rule)


def meets(value: object, rule: Mapping[str, Any]) -> bool:
    """Tell whether a value meets a rule; True is not 1, and a number is finite."""
    if "oneOf" in rule:
        return any(meets(value, one) for one in rule["oneOf"])
    if "enum" in rule:
        return any(_same(value, one) for one in rule["enum"])
    kinds = [rule["type"]] if isinstance(rule["type"], str) else rule["type"]
    if not any(_is_one(value, kind) for kind in kinds):
        return False
    if isinstance(value, str):
        return len(value) >= rule.get("minLength", 0) and ("pattern" not in rule or _matches(value, rule["pattern"]))
    if isinstance(value, list):
        return len(value) >= rule["minItems"] and not _wrong_items(value, rule) and not _doubled(value, rule)
    return value is None or isinstance(value, bool) or _within(value, rule)


def in_words(rule: Mapping[str, Any]) -> str:
    """Return what a rule asks for: `auto or a number from 0 to 1`."""
    if "oneOf" in rule:
        return " or ".join(in_words(one) for one in rule["oneOf"])
    if "enum" in rule:
        values = [one if isinstance(one, str) else json.dumps(one) for one in rule["enum"]]
        return values[0] if len(values) == 1 else f"one of {', '.join(values)}"
    kinds = [rule["type"]] if isinstance(rule["type"], str) else rule["type"]
    return " or ".join(_kind_in_words(kind, rule) for kind in kinds)


def _kind_in_words(kind: str, rule: Mapping[str, Any]) -> str:
    if kind in ("integer", "number"):
        return _number_in_words("a whole number" if kind == "integer" else "a number", rule)
    if kind == "string":
        if "pattern" in rule:
            return f"text that matches {rule['pattern']}"
        return "non-empty text" if rule.get("minLength") else "text"
    if kind == "array":
        unique = ", no item twice" if rule["uniqueItems"] else ""
        return f"a {'non-empty ' if rule['minItems'] else ''}list, each item {in_words(rule['items'])}{unique}"
    return {"boolean": "true or false", "null": "null"}[kind]


def _number_in_words(said: str, rule: Mapping[str, Any]) -> str:
    if "multipleOf" in rule:
        said = f"a multiple of {rule['multipleOf']}"
    least, most, above = (rule.get(key) for key in ("minimum", "maximum", "exclusiveMinimum"))
    if least is not None and most is not None:
        return f"{said} from {least} to {most}"
    parts = [f"{word} {limit}" for word, limit in (("of at least", least), ("above", above)) if limit is not None]
    parts += [f"at most {most}"] if most is not None else []
    return " ".join([said, " and ".join(parts)]).strip()


def _sentence(value: object, rule: Mapping[str, Any], where: str, of: Mapping[str, Any]) -> str:
    means = f" ({of['description'].rstrip('.')})" if of.get("description") else ""
    if isinstance(value, float) and not math.isfinite(value):
        return f"{where} is not a finite number; expected {in_words(rule)}{means}"
    return f"{where} is {quote(value)}; expected {in_words(rule)}{means}"


def quote(value: object) -> str:
    """Write a value as a message shows it: text between quotes, everything else as JSON, and not endless."""
    try:
        text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    except ValueError:  # Python writes no number of more than 4,300 digits; JSON has no list within itself
        return "a value that cannot be written"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _is_one(value: object, kind: str) -> bool:
    return isinstance(value, PYTHON[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _within(number: float, rule: Mapping[str, Any]) -> bool:
    if isinstance(number, float) and not math.isfinite(number):
        return False
    return (
        number >= rule.get("minimum", number)
        and number <= rule.get("maximum", number)
        and ("exclusiveMinimum" not in rule or number > rule["exclusiveMinimum"])
        and ("multipleOf" not in rule or number % rule["multipleOf"] == 0)
    )


def _matches(text: str, pattern: str) -> bool:
    return re.fullmatch(pattern, text) is not None


def _same(one: object, other: object) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _doubled(values: list, rule: Mapping[str, Any]) -> bool:
    return rule["uniqueItems"] and any(
        _same(one, other) for place, one in enumerate(values) for other in values[:place]
    )


def _wrong_items(values: list, rule: Mapping[str, Any]) -> list[tuple[int, object]]:
    return [(number, item) for number, item in enumerate(values) if not meets(item, rule["items"])]
