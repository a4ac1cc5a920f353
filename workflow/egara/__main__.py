"""The command `egara`: each module of the library with a `main` is a subcommand, called by the words of its path.

egara check config/paper.yaml          what a study holds and takes, and what would stop it
egara faces evaluate --help            what a stage takes
"""

import importlib
import shutil
import sys
import textwrap
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
if not __package__:  # run as a file: the library is the one around it, and its folder holds no modules of the top level
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != PACKAGE]
    if str(PACKAGE.parent) not in sys.path:
        # An installed library is found last: the packages around it may be another Python's.
        sys.path.insert(len(sys.path) if (PACKAGE / "data").is_dir() else 0, str(PACKAGE.parent))

# What the rules of the workflow do not call.
GROUPS = {
    "Commands": ("check", "loras files", "loras store", "provenance", "tables show"),
    "For developers": ("check measure", "config", "demo licences"),
}
STAGES = "Stages, as the workflow's rules call them"


def commands() -> dict[str, str]:
    """Return the words of every subcommand and what it does in one line, without importing any."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        words = " ".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__main__").rstrip()
        if words and (text := _command_text(path)):
            found[words] = text.split('"""')[1].splitlines()[0]
    return found


def resolve(words: list[str]) -> tuple[str, list[str]]:
    """Split words of a command line into the longest that name a subcommand and its arguments.

    Returns
    -------
    The subcommand's words with spaces between, "" where there is none or only a group, and what follows.
    """
    for count in range(len(words), 0, -1):
        named = words[:count]
        if all(word.isidentifier() for word in named):
            path = PACKAGE.joinpath(*named)
            if _command_text(path.with_suffix(".py")) or _command_text(path / "__main__.py"):
                return " ".join(named), words[count:]
            if path.is_dir():
                break
    return "", words


def main(argv: list[str] | None = None) -> int | None:
    """Run a subcommand and return its exit status.

    Raises
    ------
    SystemExit : wrong usage, with status 2 as argparse has it.
    """
    given = sys.argv[1:] if argv is None else argv
    words, arguments = resolve(given)
    if not words:
        _explain(given)
        return 0
    if argv is None:
        sys.argv = [f"egara {words}", *arguments]  # argparse's name of the program
    module = f"egara.{words.replace(' ', '.')}"
    path = PACKAGE.joinpath(*words.split(), "__main__.py")
    return importlib.import_module(f"{module}.__main__" if path.is_file() else module).main(arguments)


def start() -> None:
    """Run the command line and exit, as the installed command does."""
    from egara.io.errors import run

    run(main)


def _command_text(path: Path) -> str:
    """Return the text of a module with a `main`, "" for any other file."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return text if "\ndef main(" in text else ""


def _explain(given: list[str]) -> None:
    """Answer what names no subcommand: help of a group or of all, the version, or what is wrong."""
    if given[:1] == ["--version"]:
        from egara import __version__

        print(f"egara {__version__}")
        return
    found = commands()
    named = [word for word in given if not word.startswith("-")]
    group = list(named)
    while group and not any(words.startswith(" ".join([*group, ""])) for words in found):
        group.pop()
    called = " ".join(["egara", *group])
    if len(named) > len(group):
        from difflib import get_close_matches

        wanted = " ".join(named[: len(group) + 1])
        hint = "".join(f" (did you mean egara {meant}?)" for meant in get_close_matches(wanted, found, 1))
        sys.exit(_wrong(f"egara {wanted}: unknown command{hint}; {called} --help lists all"))
    shown = {words: said for words, said in found.items() if words.startswith(" ".join([*group, ""]).lstrip())}
    if not {"-h", "--help"} & set(given):
        sys.exit(_wrong(_listing(called, shown)))
    print(_listing(called, shown))


def _wrong(text: str) -> int:
    """Print what is wrong with a command line and return the status for it."""
    print(text, file=sys.stderr)
    return 2


def _listing(called: str, shown: dict[str, str]) -> str:
    """Return the help of a group of subcommands, as wide as the terminal."""
    width = max(60, shutil.get_terminal_size((110, 24)).columns)
    column = max(map(len, shown)) + 4
    lines = [f"usage: {called} COMMAND …", "", "egara COMMAND --help says what a command takes."]
    grouped = {words for group in GROUPS.values() for words in group}
    for heading, group in {**GROUPS, STAGES: [words for words in shown if words not in grouped]}.items():
        listed = [words for words in group if words in shown]
        lines += ["", f"{heading}:"] if listed else []
        for words in listed:
            lines.append(f"  {words:{column - 2}}{textwrap.shorten(shown[words], width - column, placeholder=' …')}")
    return "\n".join(lines)


if __name__ == "__main__":
    start()
