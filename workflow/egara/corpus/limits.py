"""What a volume may hold: names that stay inside it, sizes that memory and time can bear."""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from egara.errors import EgaraError, one_line

MEBIBYTE = 2**20


class Unreadable(Exception):
    """One page cannot be read, while the other pages of its volume can; the message is the reason, in one line."""

    def __init__(self, reason: str) -> None:
        super().__init__(one_line(reason))


@dataclass(frozen=True)
class Limits:
    """Bounds that an honest scan stays far below; members, their bytes and the ratio are settings (`pages.limits`).

    A small blank page may shrink a thousandfold, so the ratio counts only from `ratio_from` bytes.
    """

    pixels: int = 100_000_000  # a double page of 600 dpi has 70 million
    side: int = 30_000
    member_bytes: int = 256 * MEBIBYTE
    members: int = 100_000
    ratio: int = 200
    ratio_from: int = 16 * MEBIBYTE


# The largest limits that a configuration may set (workflow/schemas/config.schema.yaml).
MEMBERS, RATIO, MEMBER_MEBIBYTES = 10_000_000, 100_000, 4096


def is_hidden(name: str) -> bool:
    """Tell whether a member is a system's own: a dot file, or what a Mac or Windows leaves in an archive."""
    parts = PurePosixPath(name).parts
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def check_name(path: Path, name: str) -> str:
    """Return a member's name, or raise `EgaraError` where it leaves its volume or cannot stand in a table."""
    parts = re.split(r"[\\/]", name)
    if ".." in parts or not parts[0] or re.match("[A-Za-z]:", name):
        raise EgaraError(f"{path}: member {name!a} climbs out of the archive; expected paths inside it")
    return check_text(path, name)


def check_text(path: Path, name: str) -> str:
    """Return a name, or raise `EgaraError` where it is not one line of text."""
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in name):
        raise EgaraError(f"{path}: name {name!a} is no text; expected one line of UTF-8")
    return name


def check_count(path: Path, count: int, limits: Limits) -> None:
    """Raise `EgaraError` where a volume has more members than any book has pages."""
    if count > limits.members:
        raise EgaraError(f"{path}: {count} members or more; expected at most {limits.members} (pages.limits.members)")


def check_bytes(path: Path, name: str, size: int, compressed: int | None, limits: Limits) -> None:
    """Raise `EgaraError` where a member unpacks to more than a page can be: a decompression bomb."""
    if size > limits.member_bytes:
        raise EgaraError(
            f"{path}: member {name} unpacks to {size / MEBIBYTE:.0f} MiB or more, a decompression bomb;"
            f" expected at most {limits.member_bytes // MEBIBYTE} MiB a page (pages.limits.member)"
        )
    if compressed is not None and size > limits.ratio_from and size > limits.ratio * max(compressed, 1):
        raise EgaraError(
            f"{path}: member {name} unpacks from {compressed} to {size} bytes, a decompression bomb;"
            f" expected at most {limits.ratio} times (pages.limits.ratio)"
        )


def check_total(path: Path, size: int, limits: Limits) -> None:
    """Raise `EgaraError` where an archive unpacks to far more than itself, be it in many small members."""
    packed = path.stat().st_size
    if size > limits.member_bytes and size > limits.ratio * packed:
        raise EgaraError(
            f"{path}: unpacks from {packed} to {size} bytes, a decompression bomb;"
            f" expected at most {limits.ratio} times (pages.limits.ratio)"
        )


def check_pixels(where: str, width: int, height: int, limits: Limits) -> None:
    """Raise `EgaraError` where a page has no pixels, or more than memory should be asked for."""
    if width < 1 or height < 1:
        raise EgaraError(f"{where}: page of {width} x {height} pixels; expected at least 1 x 1")
    if max(width, height) > limits.side:
        raise EgaraError(f"{where}: page of {width} x {height} pixels; expected at most {limits.side} a side")
    if width * height > limits.pixels:
        raise EgaraError(
            f"{where}: page of {width} x {height} pixels; expected at most {limits.pixels} in all (--max-pixels)"
        )
