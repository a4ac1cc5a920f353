"""The explorer as parts of a page: style, markup, script, and its data, safe inside an element that runs nothing."""

from pathlib import Path

from egara.io.errors import EgaraError

FOLDER = Path(__file__).parent
PARTS = {"style": "explorer.css", "markup": "explorer.html", "script": "explorer.js"}


def read_explorer(path: str | Path) -> dict[str, str]:
    """Return style, markup, script and the data of the file at `path`, in which no `<` is left that could end them.

    Raises
    ------
    EgaraError : no such file.
    """
    try:
        data = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EgaraError(f"{path}: cannot be read ({error}); expected what egara.report.explorer writes") from error
    parts = {name: (FOLDER / file).read_text(encoding="utf-8") for name, file in PARTS.items()}
    return parts | {"data": data.replace("<", "\\u003c")}
