"""The explorer's data, ready for the page: safe inside an element that runs nothing."""

import json
from pathlib import Path

from egara.io.errors import EgaraError
from egara.io.json import read_json


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

    expected = "what egara report explorer writes"
    content = read_json(path, expected)
    if missing := {"spaces", "loras", "words"} - content.keys():
        raise EgaraError(f"{path}: lacks {', '.join(sorted(missing))}; expected {expected}")
    data = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return {"data": Markup(data.replace("<", "\\u003c")), "content": content}
