"""Notices every file that is written or removed while a reader works."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod")
_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_seen: list[str] | None = None


def _note(event: str, arguments: tuple) -> None:
    if _seen is None or event not in ("open", *_CHANGES):
        return
    path = arguments[0]
    if event == "open" and (isinstance(path, int) or not isinstance(arguments[2], int) or not arguments[2] & _FLAGS):
        return
    _seen.append(os.path.abspath(os.fsdecode(path)))


@contextmanager
def writing_only(*allowed: Path) -> Iterator[None]:
    """Fail where anything outside `allowed` is written; compiled modules and our own temporary folder aside."""
    global _seen
    _seen = []
    try:
        yield
    finally:
        seen, _seen = _seen, None
        own = (*map(str, allowed), os.path.join(tempfile.gettempdir(), "egara-"), os.devnull)
        outside = [path for path in seen if not path.startswith(own) and "__pycache__" not in path]
        assert not outside, f"written or removed: {outside}"


sys.addaudithook(_note)
