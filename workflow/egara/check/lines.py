"""Text for a terminal: lists, aligned columns, sizes and times."""

import textwrap
from collections.abc import Iterable

from egara.io.errors import counted
from egara.tables.writing import cells, pad

WIDTH = 110
SHOWN = 12  # items of a list


def listed(lines: Iterable[str], most: int = SHOWN) -> list[str]:
    """Return lines as wrapped items of a list, at most `most` of them."""
    lines = list(dict.fromkeys(lines))
    shown = [
        text
        for line in lines[:most]
        for text in textwrap.wrap(
            line, WIDTH, initial_indent="  - ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
        )
    ]
    return shown + ([f"    and {len(lines) - most} more (--json lists all)"] if len(lines) > most else [])


def shorten(text: str, width: int) -> str:
    """Return a text that takes at most `width` columns, with an ellipsis where it was longer."""
    if cells(text) <= width:
        return text
    while cells(text) >= width:
        text = text[:-1]
    return f"{text}…"


def table(rows: list[list[str]], right: tuple[int, ...]) -> list[str]:
    """Return rows with aligned columns; those in `right` are right-aligned."""
    widths = [max(cells(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = []
    for row in rows:
        padded = [pad(cell, widths[place], right=place in right) for place, cell in enumerate(row)]
        lines.append(("  " + "  ".join(padded)).rstrip())
    return lines


def milliseconds(seconds: float) -> str:
    """Format the time of one training step."""
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{1000 * seconds:.0f} ms" if seconds >= 0.1 else f"{1000 * seconds:.2g} ms"


def duration(seconds: float) -> str:
    """Format a duration in seconds, minutes, hours or days."""
    if seconds < 90:
        return counted(max(1, round(seconds)), "second")
    if seconds < 5400:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def in_bytes(size: float) -> str:
    """Format a number of bytes in KiB, MiB or GiB."""
    for unit, power in (("GiB", 30), ("MiB", 20)):
        if size >= 2**power:
            return f"{size / 2**power:,.1f} {unit}"
    return f"{size / 2**10:,.0f} KiB"
