"""One clear line for bad input: what, where, and what was expected."""

import logging
import sys
import unicodedata
from collections.abc import Callable

# A message quotes what it found, and a hostile file chooses how long that is.
_LONGEST = 2000


class EgaraError(Exception):
    """Bad input that the user can fix; the message is one line that says what, where and what was expected."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def one_line(text: str) -> str:
    """Return text as one line that a terminal only shows: without control characters, and not endless."""
    shown = "".join(
        letter if unicodedata.category(letter) not in ("Cc", "Cs", "Zl", "Zp") else _escaped(letter)
        for letter in text.strip()[: _LONGEST + 1]
    )
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"


def counted(number: float, one: str, several: str = "") -> str:
    """Return a number and what is counted, in the singular for one: `1 page`, `2,000 pages`, `3 copies`."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def _escaped(letter: str) -> str:
    return " " if letter in "\t\n\r" else ascii(letter)[1:-1]


def run(main: Callable[[], int | None]) -> None:
    """Run a stage's `main` and exit: 0 when it is done, 1 with one line on stderr for bad input."""
    try:
        code = main() or 0
    except EgaraError as error:
        logging.getLogger("egara").error("%s", error)
        code = 1
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
