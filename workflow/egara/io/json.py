"""JSON from files, headers and command lines: the value of the expected type, or one clear error."""

import json
from pathlib import Path

from egara.io.errors import EgaraError

NAMES = {dict: "object", list: "list"}


def read_json(path: str | Path, expected: str, kind: type = dict) -> dict | list:
    """Read a JSON file.

    Parameters
    ----------
    path : the file.
    expected : what it should hold, for the message.
    kind : `dict` or `list`.

    Raises
    ------
    EgaraError : the file is missing, is not JSON, or holds a value of another type.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EgaraError(
            f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}); expected {expected}"
        ) from error
    return parse_json(text, path, expected, kind)


def parse_json(text: str, where: str | Path, expected: str, kind: type = dict) -> dict | list:
    """Parse a JSON text; `where` says in the message where it was found.

    Raises
    ------
    EgaraError : the text is not JSON, or holds a value of another type.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EgaraError(f"{where}: not JSON ({error}); expected {expected}") from error
    if not isinstance(value, kind):
        raise EgaraError(f"{where}: not a JSON {NAMES[kind]}; expected {expected}")
    return value
