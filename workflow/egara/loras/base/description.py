"""The description of a base model, `base/base.json`: base (name), folder, sha256, parts (their hashes), provenance."""

import json
from pathlib import Path

from egara.io.errors import EgaraError


def read_description(path: Path) -> dict[str, object]:
    """Read what `describe_base` wrote."""
    try:
        base = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise EgaraError(f"{path}: cannot be read ({error}); expected a description of the base model") from error
    if not isinstance(base, dict):
        raise EgaraError(f"{path}: holds no JSON object; expected a description of the base model")
    return base


def part_hash(base: dict, part: str) -> str:
    """Return the SHA-256 of one part of a described base, such as `vae`."""
    try:
        return base["parts"][part]
    except (KeyError, TypeError) as error:
        name = base.get("base", "?")
        raise EgaraError(f"base model {name}: its description has no hash of {part}; describe it again") from error
