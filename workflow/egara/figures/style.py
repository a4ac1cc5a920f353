"""What all figures share: theme, colours of authors, markers of works, the legend, and how a figure is saved.

Text in an SVG stays text, so that the viewer's fonts draw names in any script and a reader can search them. Title,
caption and name of a figure are in the file's metadata, where the report reads them.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from egara.io.atomic import replacing
from egara.io.errors import EgaraError
from egara.io.progress import logger
from egara.vocabulary import COLOURS, MARKERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EAST_ASIAN_FONTS = (
    "Noto Sans CJK JP", "Noto Sans JP", "IPAexGothic", "Source Han Sans JP", "Hiragino Sans", "Yu Gothic", "MS Gothic",
    "Noto Serif CJK JP", "Droid Sans Fallback", "WenQuanYi Zen Hei",
)  # fmt: skip
# Small print with ticks, as seaborn's context "paper" and style "ticks" have it, and lighter frames.
THEME = {
    "svg.hashsalt": "egara", "svg.fonttype": "none", "font.size": 9,
    "axes.titlesize": 9.5, "axes.titlelocation": "left", "axes.titlepad": 8, "axes.labelsize": 9,
    "axes.labelcolor": "0.15", "axes.linewidth": 0.7, "axes.edgecolor": "0.35", "axes.axisbelow": True,
    "axes.spines.top": False, "axes.spines.right": False, "text.color": "0.15", "grid.color": "0.8",
    "legend.frameon": False, "legend.fontsize": 8.8, "legend.title_fontsize": 9.6,
    "lines.linewidth": 1.2, "lines.markersize": 4.8, "lines.solid_capstyle": "round",
    "patch.edgecolor": "w", "patch.force_edgecolor": True, "patch.linewidth": 0.8,
} | {
    f"{axis}tick.{name}": value
    for axis in "xy"
    for name, value in {
        "color": "0.15", "labelsize": 8, "major.size": 4.8, "major.width": 1.0, "minor.size": 3.2, "minor.width": 0.8
    }.items()
}  # fmt: skip


def set_theme() -> None:
    """Set matplotlib up: no window, fixed identifiers in SVG, text as text, a font for every script."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    matplotlib.rcParams.update(
        THEME | {"font.family": ["DejaVu Sans", *(name for name in EAST_ASIAN_FONTS if name in installed)]}
    )


def palette(count: int) -> list[tuple[float, float, float]]:
    """Return `count` colours: up to ten that colour-blind people can tell apart, beyond that hues of one lightness."""
    from matplotlib.colors import to_rgb

    if count <= len(COLOURS):
        return [to_rgb(colour) for colour in COLOURS[:count]]
    import seaborn

    return seaborn.husl_palette(count, l=0.5)


def undrawable(texts: Sequence[str]) -> str:
    """Return the characters that no font of the theme has: a PNG shows boxes there, an SVG viewer may find a font."""
    import matplotlib
    from matplotlib import font_manager

    known: set[int] = set()
    for name in matplotlib.rcParams["font.family"]:
        known |= set(font_manager.get_font(font_manager.findfont(name)).get_charmap())
    return "".join(sorted({c for text in texts for c in text if ord(c) not in known and not c.isspace()}))


def warn_of_boxes(texts: Sequence[str]) -> None:
    """Log a warning if no font of the theme has some character of `texts`."""
    if boxes := undrawable(texts):
        logger("figures").warning("no installed font has %s; SVG viewers may find one, a PNG shows boxes", boxes)


def author_colours(authors: Sequence[str]) -> dict[str, tuple[float, float, float]]:
    """Return the colour of each author, in sorted order."""
    names = sorted(set(authors))
    return dict(zip(names, palette(len(names)), strict=True))


def work_markers(works: Sequence[str]) -> dict[str, str]:
    """Return the marker of each work, in sorted order."""
    return {work: MARKERS[place % len(MARKERS)] for place, work in enumerate(sorted(set(works)))}


def add_legend(figure: "Figure", pairs: Sequence[tuple[str, str]], extra: Sequence[object] = ()) -> None:
    """Put a legend right of the panels: authors in bold, their works with colour and marker below; then `extra`.

    `pairs` lists author and work of every point.
    """
    from matplotlib.lines import Line2D

    colours, markers = author_colours([a for a, _ in pairs]), work_markers([w for _, w in pairs])
    handles, heads = [], set()
    for author in sorted(colours):
        heads.add(len(handles))
        handles.append(Line2D([], [], linestyle="none", label=author))
        handles += [
            Line2D(
                [], [], linestyle="none", marker=markers[work], color=colours[author], markersize=5.5,
                markeredgecolor="white", markeredgewidth=0.4, label=work,
            )
            for work in sorted({w for a, w in pairs if a == author})
        ]  # fmt: skip
    handles += extra
    columns = 1 if len(handles) <= 24 else -(-len(handles) // 24)
    legend = figure.legend(
        handles=handles, loc="outside right upper", ncols=columns, handletextpad=0.3, labelspacing=0.35, fontsize=8
    )
    for place, text in enumerate(legend.get_texts()):
        text.set_parse_math(False)  # two dollar signs in a name are no formula
        if place in heads:
            text.set_fontweight("bold")
            text.set_x(-18)


def add_title(figure: "Figure", *lines: str) -> None:
    """Put lines above the panels: what is plotted, and the setting; empty ones are left out."""
    figure.suptitle("\n".join(filter(None, lines)), x=0.01, ha="left", fontsize=9, color="0.25", linespacing=1.5)


def plot_words(words: str) -> "Figure":
    """Say in place of a plot why there is none."""
    from textwrap import fill

    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.0, 1.6), layout="constrained")
    axes.text(0, 0.5, fill(words, 90), va="center", parse_math=False)
    axes.set_axis_off()
    return figure


def strip(axes: "Axes") -> None:
    """Take the ticks away where coordinates have no unit."""
    axes.set(xticks=[], yticks=[])


def save(figure: "Figure", paths: Sequence[str | Path], title: str, caption: str, keywords: Sequence[str]) -> None:
    """Save a figure as .svg or .png with its title, caption and keywords (its name first), the same bytes every time.

    Raises
    ------
    EgaraError : another suffix, before anything is written.
    """
    from matplotlib import pyplot

    for path in map(Path, paths):
        if path.suffix not in (".svg", ".png"):
            raise EgaraError(f"{path}: unknown format of a figure; expected .svg or .png")
    for path in map(Path, paths):
        with replacing(path) as part:
            if path.suffix == ".png":
                figure.savefig(part, dpi=160, metadata={"Software": None, "Title": title, "Description": caption})
                continue
            metadata = {"Date": None, "Creator": None, "Title": title, "Description": caption}
            figure.savefig(part, metadata={**metadata, "Keywords": list(keywords)})
            part.write_text(shorten(part.read_text(encoding="utf-8")), encoding="utf-8")
    pyplot.close(figure)


def shorten(svg: str) -> str:
    """Round coordinates to hundredths of a point: a third of the size, and no eye sees it. Text stays as it is."""
    head, mark, body = svg.partition("</metadata>")
    number = re.compile(r"(?<=[\s\"(,MLCQ-])\d+\.\d{3,}(?=[\s\"),])")

    def in_tag(tag: re.Match) -> str:
        return number.sub(lambda found: f"{float(found[0]):.2f}", tag[0])

    return head + mark + re.sub(r"<[^>]*>", in_tag, body)
