"""One clear line for bad input: what, where, and what was expected."""

import logging
import sys
from collections.abc import Callable


class EgaraError(Exception):
    """Bad input that its owner can mend; the message is one line that says what, where and what was expected."""


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
