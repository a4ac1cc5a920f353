"""The explorer's data, ready for the page: safe inside an element that runs nothing."""

import json
from pathlib import Path

from egara.io.errors import EgaraError


def read_explorer(path: str | Path) -> dict[str, object]:
    """Read the file that `egara.report.explorer` writes.

    Returns
    -------
    data : its text as `Markup`, in which no `<` is left that could end its element.
    content : the same as a dictionary.

    Raises
    ------
    EgaraError : no such file, or something else inside.
    """
    from markupsafe import Markup

    try:
        data = Path(path).read_text(encoding="utf-8")
        content = json.loads(data)
        content["spaces"], content["loras"], content["words"]  # noqa: B018
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EgaraError(f"{path}: cannot be read ({error}); expected what egara.report.explorer writes") from error
    return {"data": Markup(data.replace("<", "\\u003c")), "content": content}
