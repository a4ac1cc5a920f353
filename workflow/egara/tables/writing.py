"""Write a layout as Markdown, LaTeX (booktabs) or plain text, and a table in all forms that are asked for."""

import re
import textwrap
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from egara.io.atomic import write_text
from egara.io.errors import EgaraError
from egara.io.tables import write_tsv
from egara.tables.layout import Group, Layout

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 110
WIDE = 10  # columns from which a LaTeX table is shrunk to the line's width
TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "−": "$-$", "–": "--", "×": r"$\times$", "Δ": r"$\Delta$", "±": r"$\pm$", "·": r"$\cdot$",
    "≥": r"$\geq$", "≤": r"$\leq$", "ᵀ": r"$^{T}$",
}  # fmt: skip


def write_table(paths: Sequence[str | Path], table: "pd.DataFrame", layout: Layout) -> None:
    """Write `table` to every path; the suffix chooses the form: .tsv (all columns), .md and .tex (the layout).

    Raises
    ------
    EgaraError : a suffix that is none of these, before anything is written.
    """
    writers: dict[str, Callable[[Layout], str]] = {".md": markdown, ".tex": latex}
    for path in map(Path, paths):
        if path.suffix not in (".tsv", *writers):
            raise EgaraError(f"{path}: unknown form of a table; expected .tsv, .md or .tex")
    for path in map(Path, paths):
        if path.suffix == ".tsv":
            write_tsv(path, table)
        else:
            write_text(path, writers[path.suffix](layout))


def markdown(layout: Layout) -> str:
    """Draw a layout as a Markdown table (pipes), title above and notes below."""
    heads, columns, strong = _flat(layout)
    aligned = ["---:" if layout.numeric(values) else ":---" for values in columns]
    lines = [f"**{_md(layout.title)}**", "", _md_row(map(_md, heads)), _md_row(aligned)]
    for row in range(layout.count):
        cells = (_md(values[row]) for values in columns)
        lines.append(_md_row(f"**{c}**" if (row, i) in strong else c for i, c in enumerate(cells)))
    for note in layout.notes:
        lines += ["", _md(note)]
    return "\n".join(lines) + "\n"


def _md_row(cells) -> str:
    return f"| {' | '.join(cells)} |"


def _md(text: str) -> str:
    for character in "\\`*_|<>$":
        text = text.replace(character, f"\\{character}")
    text = re.sub(r"&(?=#?\w+;)", r"\\&", text).replace("](", "]\\(")  # no entity and no link
    return text.replace("\n", " ")


def _flat(layout: Layout) -> tuple[list[str], list[list[str]], set[tuple[int, int]]]:
    """Return headings, columns and bold cells (row, column number) with groups written out in the headings."""
    heads, columns, strong = list(layout.head), list(layout.head.values()), set()
    for group in layout.groups:
        for name, values in group.columns.items():
            strong |= {(row, len(heads)) for row, column in group.strong if column == name}
            heads.append(f"{group.name}: {name}" if group.name else name)
            columns.append(values)
    return heads, columns, strong


def latex(layout: Layout) -> str:
    r"""Draw a layout as a LaTeX `table` of the package booktabs; groups become spanning headings."""
    _, columns, strong = _flat(layout)
    kinds = "".join("r" if layout.numeric(values) else "l" for values in columns)
    wide = len(columns) > WIDE
    lines = ["% needs \\usepackage{booktabs,graphicx}", "\\begin{table}", "\\centering\\small"]
    lines += [f"\\caption{{{tex(layout.title)}}}", "\\resizebox{\\linewidth}{!}{%" if wide else "{%"]
    lines += [f"\\begin{{tabular}}{{@{{}}{kinds}@{{}}}}", "\\toprule"]
    if any(group.name for group in layout.groups):
        start, spans, rules = len(layout.head) + 1, [""] * len(layout.head), []
        for group in layout.groups:
            width = len(group.columns)
            spans.append(f"\\multicolumn{{{width}}}{{c}}{{{tex(group.name)}}}")
            rules.append(f"\\cmidrule(lr){{{start}-{start + width - 1}}}")
            start += width
        lines += [f"{' & '.join(spans)} \\\\", " ".join(rules)]
    lines += [f"{' & '.join(map(tex, _names(layout)))} \\\\", "\\midrule"]
    for row in range(layout.count):
        texts = [tex(values[row]) for values in columns]
        texts = [f"\\textbf{{{t}}}" if (row, i) in strong else t for i, t in enumerate(texts)]
        lines.append(f"{' & '.join(texts)} \\\\")
    lines += ["\\bottomrule", "\\end{tabular}}"]
    if layout.notes:
        lines.append(f"\\par\\smallskip\\footnotesize {' '.join(map(tex, layout.notes))}")
    return "\n".join([*lines, "\\end{table}"]) + "\n"


def _names(layout: Layout) -> list[str]:
    return [*layout.head, *(name for group in layout.groups for name in group.columns)]


def tex(text: str) -> str:
    """Escape text for LaTeX."""
    return "".join(TEX.get(character, character) for character in text)


def plain(layout: Layout, width: int = WIDTH) -> str:
    """Draw a layout as text of at most `width` columns: groups that do not fit go into a second block below."""
    lines = [layout.title, ""]
    for block in blocks(layout, width):
        lines += [*_block(layout, block), ""]
    for note in layout.notes:
        lines += textwrap.wrap(note, width)
    return "\n".join(lines).rstrip() + "\n"


def blocks(layout: Layout, width: int) -> list[list[Group]]:
    """Split the groups, in order, into blocks that fit `width` characters together with the settings."""
    found: list[list[Group]] = [[]]
    for group in layout.groups:
        if found[-1] and _width(layout.head, [*found[-1], group]) > width:
            found.append([])
        found[-1].append(group)
    return found


def _block(layout: Layout, groups: list[Group]) -> list[str]:
    heads = {name: [name, *values] for name, values in layout.head.items()}
    parts = [_columns(layout, heads)]
    top = [" " * _span(parts[0])]
    for group in groups:
        drawn = _columns(layout, {name: [name, *values] for name, values in group.columns.items()})
        span = max(_span(drawn), cells(group.name))
        parts.append([pad(line, span) for line in drawn])
        top.append(pad(group.name, span))
    lines = ["   ".join(row).rstrip() for row in zip(*parts, strict=True)]
    headings = ["   ".join(top).rstrip()] if any(group.name for group in groups) else []
    return [*headings, lines[0], "-" * max(map(cells, [*headings, *lines])), *lines[1:]]


def _columns(layout: Layout, columns: dict[str, list[str]]) -> list[str]:
    """Draw columns side by side, one line per row, heading first."""
    drawn = []
    for values in columns.values():
        span, right = max(map(cells, values)), layout.numeric(values[1:])
        drawn.append([pad(value, span, right) for value in values])
    return ["  ".join(row) for row in zip(*drawn, strict=True)] if drawn else [""] * (layout.count + 1)


def _span(lines: list[str]) -> int:
    return max(map(cells, lines))


def _width(head: dict[str, list[str]], groups: list[Group]) -> int:
    spans = [sum(max(map(cells, [name, *values])) + 2 for name, values in head.items()) - 2]
    for group in groups:
        inner = sum(max(map(cells, [name, *values])) + 2 for name, values in group.columns.items()) - 2
        spans.append(max(inner, cells(group.name)))
    return sum(spans) + 3 * (len(spans) - 1)


def cells(text: str) -> int:
    """Columns that a text takes on a terminal: East Asian wide characters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def pad(text: str, span: int, right: bool = False) -> str:
    """Fill a text with blanks up to `span` terminal columns."""
    blanks = " " * (span - cells(text))
    return blanks + text if right else text + blanks
