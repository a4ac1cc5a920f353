"""Where the project's own files are: in a checkout around the library, in an installed wheel inside the package."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
# `python -P MAIN faces …` runs a stage, whatever the folder of the library is called: no entry of PYTHONPATH may hold a
# colon, and `python -m` looks for modules in the working directory first, where a user's `json.py` may be.
MAIN = PACKAGE / "__main__.py"
# A wheel holds resources/ and config/ in this folder, by the paths that they have in a checkout.
_INSTALLED = PACKAGE / "data"
CHECKOUT = _INSTALLED if _INSTALLED.is_dir() else PACKAGE.parents[1]


def shipped(path: str) -> Path:
    """Return where a file of the project is, by its path in a checkout."""
    in_package = path.removeprefix("workflow/egara/")
    return CHECKOUT / path if in_package == path else PACKAGE / in_package
