"""How a table looks to people: settings on the left, then groups of columns; chance next to each score.

A module of `egara.tables` makes a data frame (what is true) and a `Layout` of it (what is shown). Markdown, LaTeX,
plain text and the report's HTML are all drawn from the layout.
"""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from egara.vocabulary import AXES, SIGNIFICANT

if TYPE_CHECKING:
    import pandas as pd

NOTHING = "–"
# Settings of a row, in the order in which people read them, and their heading.
SETTINGS = {
    "representation": "weights as", **{name: axis.heading for name, axis in AXES.items()},
    "l2": "L2", "space": "space", "map": "map",
}  # fmt: skip


@dataclass(frozen=True)
class Group:
    """Columns under one heading; `strong` lists the cells (row number, column) that are set in bold."""

    name: str
    columns: dict[str, list[str]]
    strong: frozenset[tuple[int, str]] = frozenset()
    muted: tuple[str, ...] = ("chance", "published")


@dataclass(frozen=True)
class Layout:
    """A table as it is shown: title, settings of each row, groups of columns of text, notes below."""

    title: str
    head: dict[str, list[str]]
    groups: list[Group]
    notes: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(next(iter([*self.head.values(), *(c for g in self.groups for c in g.columns.values())]), []))

    def numeric(self, values: list[str]) -> bool:
        """Whether a column holds numbers, which are set flush right."""
        return any(value[:1].isdigit() or value[1:2].isdigit() for value in values) and not any(
            character.isalpha() for value in values for character in value
        )


def fixed(value: float, digits: int = 3, sign: bool = False) -> str:
    """Write a number with `digits` decimals, a real minus sign, and a dash where there is no value."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{value:{'+' if sign else ''}.{digits}f}".replace("-", "−")


def interval(low: float, high: float) -> str:
    """Write an interval with two decimals, or one dash where it has no ends."""
    ends = (fixed(low, 2), fixed(high, 2))
    return NOTHING if NOTHING in ends else "–".join(ends)


def share(part: float, whole: float) -> str:
    """Write a part of a whole in whole percent, but never 0 % of something, or 100 % of less than all."""
    if not (math.isfinite(part) and math.isfinite(whole)) or whole <= 0:
        return NOTHING
    percent = round(100 * part / whole)
    if percent == 0 and part > 0:
        return "<1 %"
    return ">99 %" if percent == 100 and part < whole else f"{percent} %"


def count(value: float) -> str:
    """Write a whole number, thousands separated by a comma."""
    return f"{value:,.0f}" if value is not None and math.isfinite(value) else NOTHING


def probability(value: float) -> str:
    """Write a p-value with three decimals."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return "<0.001" if value < 0.0005 else f"{value:.3f}"


def significant(values: "pd.Series", column: str) -> frozenset[tuple[int, str]]:
    """Return the cells of `column` whose p-values are below `SIGNIFICANT`."""
    return frozenset((row, column) for row, p in enumerate(values) if math.isfinite(p) and p < SIGNIFICANT)


def settings(table: "pd.DataFrame", keep: tuple[str, ...] = ("representation",)) -> tuple[dict[str, list[str]], str]:
    """Return the columns of settings that vary (or are in `keep`), as text, and a note on those that do not."""
    columns = {name: [_plain(v) for v in table[name]] for name in SETTINGS if name in table.columns}
    headings = {name: SETTINGS[name] for name in columns}
    if "rank" in columns and columns.get("alpha") == columns["rank"]:
        del columns["alpha"]
        headings["rank"] = "rank = alpha"
    shown, same = {}, []
    for name, values in columns.items():
        if name in keep or len(set(values)) > 1:
            shown[headings[name]] = values
        elif values:
            same.append(f"{headings[name]} {values[0]}" if name != "rank" else f"{headings[name]} = {values[0]}")
    return shown, f"All rows: {', '.join(same)}." if same else ""


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
