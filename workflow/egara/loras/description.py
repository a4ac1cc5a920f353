"""The description of a base model, `base/base.json`: base (name), folder, sha256, provenance."""

import json
from pathlib import Path

from egara.errors import EgaraError


def read_description(path: Path) -> dict[str, object]:
    """Read what `describe_base` wrote."""
    try:
        return json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise EgaraError(f"{path}: cannot be read ({error}); expected a description of the base model") from error
