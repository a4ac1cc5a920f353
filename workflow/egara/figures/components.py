"""Figures 2-5 of the paper: components 1 and 2 beside 41 and 42 of a map, colour by author, marker by work."""

from typing import TYPE_CHECKING

import numpy as np

from egara.figures.style import (
    METHODS,
    add_legend,
    add_title,
    author_colours,
    describe_setting,
    draw_words,
    save,
    set_theme,
    undrawable,
    work_markers,
)
from egara.io.errors import EgaraError, counted, run
from egara.io.progress import logger, parser
from egara.io.tables import read_tsv
from egara.seeds import stream
from egara.weights.geometry import read_maps

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PUBLISHED = ((1, 2), (41, 42))
EQUAL = "The {count} LoRAs do not differ: they lie at one point"


def choose_components(count: int) -> list[tuple[int, int]]:
    """Return the pairs of components to draw, counted from 1: the published ones, or the last two of fewer.

    Of one component there is one pair, whose second is 0 for all LoRAs.
    """
    if count < 2:
        return [PUBLISHED[0]]
    return list(dict.fromkeys(pair if pair[1] <= count else (count - 1, count) for pair in PUBLISHED))


def draw_components(points: np.ndarray, index: "pd.DataFrame", ratios: np.ndarray, title: tuple[str, str]) -> "Figure":
    """Draw both panels.

    Parameters
    ----------
    points : (n, k) coordinates.
    index : author and work of each row.
    ratios : (k,) share of the variance of each component.
    title : kind of map, and setting.
    """
    from matplotlib import pyplot

    pairs, single = choose_components(points.shape[1]), points.shape[1] == 1
    if single:
        points, ratios = np.pad(points, ((0, 0), (0, 1))), np.pad(ratios, (0, 1))
    figure, panels = pyplot.subplots(
        1, len(pairs), figsize=(4.8 * len(pairs) + 1.4 * single, 4.3), squeeze=False, layout="constrained"
    )
    for axes, pair, wanted in zip(panels[0], pairs, PUBLISHED, strict=False):
        first, second = pair
        scatter(axes, points[:, [first - 1, second - 1]], index)
        note = "" if pair == wanted else f" (the last two; published: {wanted[0]} and {wanted[1]})"
        axes.set_title("The only component" if single else f"Components {first} and {second}{note}")
        axes.set_xlabel(f"component {first} ({100 * ratios[first - 1]:.1f} % of variance)")
        axes.set_ylabel("no second component" if single else f"component {second} ({100 * ratios[second - 1]:.1f} %)")
        axes.ticklabel_format(style="sci", scilimits=(-2, 3), useMathText=True)
    add_title(figure, *title)
    add_legend(figure, list(zip(index["author"], index["work"], strict=True)))
    return figure


def scatter(axes: "Axes", points: np.ndarray, index: "pd.DataFrame", hollow: np.ndarray | None = None) -> None:
    """Scatter points (n, 2), in mixed order so that no author lies on top; those in `hollow` (n,) bool as outlines."""
    from matplotlib.markers import MarkerStyle

    hollow = np.zeros(len(points), bool) if hollow is None else hollow
    colours, markers = author_colours(index["author"]), work_markers(index["work"])
    rows = stream("figures", "order").permutation(np.flatnonzero(~hollow))
    drawn = axes.scatter(
        *points[rows].T, s=34, color=[colours[name] for name in index["author"].iloc[rows]],
        edgecolors="white", linewidths=0.35,
    )  # fmt: skip
    shapes = {work: MarkerStyle(marker) for work, marker in markers.items()}
    paths = {work: shape.get_path().transformed(shape.get_transform()) for work, shape in shapes.items()}
    drawn.set_paths([paths[work] for work in index["work"].iloc[rows]])
    for (author, work), found in index.loc[hollow].groupby(["author", "work"]).groups.items():
        x, y = points[index.index.get_indexer(found)].T
        axes.scatter(x, y, s=22, marker=markers[work], facecolors="none", edgecolors=[colours[author]], linewidths=0.9)


def main(argv: list[str] | None = None) -> None:
    """Read a map and draw it."""
    arguments = parser(__doc__)
    arguments.add_argument("--map", required=True, help="coordinates (.tsv)")
    arguments.add_argument("--variance", required=True, help="share of variance of each component (.tsv)")
    arguments.add_argument("--cell", required=True, help="cell of the training grid, as in paths")
    arguments.add_argument("--representation", required=True, help="how a LoRA became a point, for the title")
    arguments.add_argument("--l2", required=True, choices=["on", "off"], help="L2 setting, for the title")
    arguments.add_argument("--method", required=True, choices=["ipca", "pca"], help="kind of map, for the title")
    arguments.add_argument("--output", required=True, nargs="+", help="figures to write (.svg, .png)")
    options = arguments.parse_args(argv)
    points, index = read_maps([f"map={options.map}"])["map"]
    ratios = read_tsv(options.variance, ["component", "ratio"])["ratio"].to_numpy(dtype=float)
    if len(ratios) != points.shape[1]:
        raise EgaraError(f"{options.variance}: {len(ratios)} components, but {options.map} has {points.shape[1]}")
    set_theme()
    log = logger("figures")
    if boxes := undrawable([*index["author"], *index["work"]]):
        log.warning("no installed font has %s; SVG viewers may find one, a PNG shows boxes", boxes)
    setting = describe_setting(options.cell, options.representation, options.l2)
    method = METHODS[options.method]
    pairs = " and ".join(f"{a}–{b}" for a, b in choose_components(points.shape[1]))
    what = f"Components {pairs}" if points.shape[1] > 1 else "The only component"
    caption = (
        f"{what} of {method}: {counted(len(index), 'LoRA')} of {counted(index['work'].nunique(), 'work')} by "
        f"{counted(index['author'].nunique(), 'author')}; colour: author, marker: work."
    )
    title = f"{method}: {setting}"
    if points.any():
        figure = draw_components(points, index, ratios, (method, setting))
    else:
        caption = f"{EQUAL.format(count=len(index))}, so that no component is defined."
        figure = draw_words(caption, (method, setting))
        log.warning("%s", caption)
    save(figure, options.output, title, caption, ["components", options.method, setting])
    log.info("components %s: %s", pairs, options.output[0])


if __name__ == "__main__":
    run(main)
