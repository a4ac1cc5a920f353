"""What every target shares: a place for the file under test, and what a reader may do with it."""

import atexit
import shutil
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
from fuzz.guard import writing_only

from egara.corpus.limits import Limits, Unreadable
from egara.io.errors import EgaraError

LIMITS = Limits(pixels=1_000_000, member=4)
TARGETS: dict[str, Callable[[bytes], None]] = {}
refused: list[str] = []  # what readers said, the newest last


@cache
def folder() -> Path:
    """Return this process's own folder for the files under test."""
    made = Path(tempfile.mkdtemp(prefix="fuzz-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def target(name: str) -> Callable:
    """Register a function from bytes as the target `name`."""

    def register(function: Callable[[bytes], None]) -> Callable[[bytes], None]:
        TARGETS[name] = function
        return function

    return register


@contextmanager
def reading(*allowed: Path) -> Iterator[None]:
    """Let the reader refuse what it reads, in one line, and write nothing."""
    with writing_only(*allowed):
        try:
            yield
        except (EgaraError, Unreadable) as error:
            assert is_one_line(str(error)), repr(error)
            refused.append(str(error))


def is_one_line(text: str) -> bool:
    """Tell whether text is one line that a terminal only shows."""
    return 0 < len(text) < 3000 and not any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in text)


def placed(name: str, data: bytes) -> Path:
    """Write the bytes under test to a file."""
    path = folder() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def check_boxes(found: list[np.ndarray]) -> None:
    """Fail unless all boxes lie on the page of 40 x 30 pixels."""
    for boxes in found:
        assert np.isfinite(boxes).all() and (boxes[:, :4] >= 0).all() and (boxes[:, 2:4] <= [40, 30]).all(), boxes
