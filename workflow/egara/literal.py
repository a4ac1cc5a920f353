"""Paths in Snakemake's rules and commands: taken letter by letter, never as a pattern, and found from any folder.

Snakemake reads every path of a rule as a pattern. In `Title {c2c}.cbz` it sees the wildcard `c2c`, in `a <b>/1.cbz` the
path variable `b`, and there is no way to write either (9.27: `io.apply_wildcards`, `Pathvars.apply`). So a path of the
user's carries a mark, and marked paths are left as they are. A module's `prefix` does not move them either.
"""

import shlex
import sys
import tempfile
import unicodedata
from pathlib import Path
from types import SimpleNamespace

from egara.io.errors import EgaraError

MARK = "egara_literal"
SHELL_SIGNS = set('"$`\\')  # what stays a sign between double quotes


def literal(path: str | Path) -> str:
    """Return a path that a rule's input takes letter by letter; `./` before a leading `-`, which is no option.

    Raises
    ------
    EgaraError : a line break, a tab or another control character is in it.
    """
    from snakemake.io import flag

    text = str(Path(path))  # without the doubled slashes and leading dots that Snakemake warns of
    if any(unicodedata.category(letter) == "Cc" for letter in text):
        raise EgaraError(
            f"{ascii(text)}: a control character is in this path; expected a name of one line without tabs"
        )
    return flag(flag(f"./{text}" if text.startswith("-") else text, MARK), "local")


def verbatim(value: object) -> object:
    """Return a rule's parameter whose text Snakemake does not search for wildcards."""
    return lambda wildcards: value


def take_literally() -> bool:
    """Let Snakemake leave marked paths, its own sources and its working directory as they are, in this process.

    Returns
    -------
    False where this version of Snakemake has no such parts: then `{` and `<` in a path begin a pattern.
    """
    try:
        import snakemake.shell  # noqa: F401
        from snakemake.io import _IOFile, is_flagged
        from snakemake.sourcecache import LocalSourceFile
    except ImportError:
        return False
    if not (hasattr(_IOFile, "apply_wildcards") and hasattr(LocalSourceFile, "format")):
        return False
    if hasattr(_IOFile, "is_literal"):
        return True
    make, fill = _IOFile.__new__, LocalSourceFile.format

    class Literal(_IOFile):
        """A marked path: no wildcard in it has a value, and no path variable."""

        def apply_wildcards(self, wildcards: object) -> object:
            """Stay."""
            return self

    def make_literal(cls: type, file: object, rule: object) -> object:
        """As before, but a marked path is a literal one."""
        if type(file) is str or not is_flagged(file, MARK):  # the first is quick: a plan makes a hundred thousand
            return make(cls, file, rule)
        made = make(Literal, file, None)  # without a rule, which has the path variables
        made.rule = rule
        return made

    def fill_literally(file: object, **values: object) -> object:
        """As before, but a file that is there is itself: the checkout's own folder is no pattern."""
        return file if Path(file.get_path_or_uri(secret_free=True)).exists() else fill(file, **values)

    def make_folder(dir: str, prefix: str) -> str:
        """As before, but a long command's script has a path without signs of the shell, which is not quoted."""
        return tempfile.mkdtemp(dir=dir if not SHELL_SIGNS & set(str(Path.cwd())) else None, prefix=prefix)

    sys.modules["snakemake.shell"].tempfile = SimpleNamespace(mkdtemp=make_folder)
    LocalSourceFile.format = fill_literally
    _IOFile.is_literal = lambda file: isinstance(file, Literal)
    _IOFile.__new__ = staticmethod(make_literal)
    return True


def project_path(path: str, whole: Path) -> str:
    """Return the name of the project's file `whole`: its `path` in a checkout from there, else in full."""
    here = Path(path)
    return str(here if here.exists() and here.samefile(whole) else whole)


def command_prefix(main: Path, python: str | None, before: str | None = None) -> str:
    """Return what goes before every shell command, as `shell.prefix` takes it.

    `egara faces` then means this library and the Python that runs Snakemake, without an installation or an activated
    environment. It is a function of the shell, so that other commands, of workflows that have this one as a module,
    stay as they are.

    Parameters
    ----------
    main : the library's `__main__.py`, see `egara.shipped.MAIN`.
    python : interpreter; None for the first on PATH.
    before : a prefix that is set already; Snakemake's own strict mode where there is none.
    """
    run = f"{shlex.quote(python) if python else 'command python'} -P {shlex.quote(str(main))}"
    before = "set -euo pipefail; " if before is None else before.partition("egara() {")[0]
    return f'{before}egara() {{ {run} "$@"; }}; '.replace("{", "{{").replace("}", "}}")
