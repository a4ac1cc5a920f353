"""Distributions of cosine distances: within a work, between works of an author, between authors."""

from typing import TYPE_CHECKING

import numpy as np

from egara.figures.style import add_title, describe_setting, draw_words, palette, save, set_theme
from egara.io.errors import EgaraError, run
from egara.io.progress import logger, parser
from egara.scores.distances import NoDirections, cosine_distances, noise_distance
from egara.weights.geometry import prepare, read_vectors
from egara.weights.words import in_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

KINDS = ("same work", "same author, other work", "other author")


def sort_pairs(distances: np.ndarray, index: "pd.DataFrame") -> dict[str, np.ndarray]:
    """Distances of all pairs of LoRAs by kind of pair; kinds without a pair are left out."""
    first, second = np.triu_indices(len(distances), 1)
    works, authors = index["work"].to_numpy(), index["author"].to_numpy()
    work, author = works[first] == works[second], authors[first] == authors[second]
    values = distances[first, second]
    found = dict(zip(KINDS, (values[work], values[author & ~work], values[~author]), strict=True))
    return {kind: values for kind, values in found.items() if len(values)}


def draw_distances(pairs: dict[str, dict[str, np.ndarray]], count: int, title: tuple[str, str]) -> "Figure":
    """Draw one panel a representation, each kind of pair with area 1, and the line at 1 + 1 / (count - 1).

    `title` is what is drawn, and the setting.
    """
    import seaborn
    from matplotlib import pyplot
    from matplotlib.patches import Patch

    blue, orange, green = palette(3)[:3]
    colours = dict(zip(KINDS, (green, orange, blue), strict=True))
    figure, panels = pyplot.subplots(
        1, len(pairs), figsize=(4.4 * len(pairs), 3.4), squeeze=False, layout="constrained"
    )
    for axes, (name, kinds) in zip(panels[0], pairs.items(), strict=True):
        values = np.concatenate(list(kinds.values()))
        bins = np.linspace(values.min(), values.max(), 41) if np.ptp(values) > 0 else 10
        for kind, part in kinds.items():
            seaborn.histplot(
                x=part,
                bins=bins,
                stat="density",
                element="step",
                color=colours[kind],
                alpha=0.25,
                linewidth=1.1,
                ax=axes,
            )
        axes.axvline(noise_distance(count), color="0.2", linewidth=0.9, dashes=(4, 3))
        axes.set_title(in_words(name))
        axes.set(xlabel="cosine distance", ylabel="density of pairs", yticks=[])
    add_title(figure, *title)
    handles = [Patch(facecolor=(*colours[k], 0.3), edgecolor=colours[k], label=k) for k in KINDS]
    line = pyplot.Line2D([], [], color="0.2", linewidth=0.9, dashes=(4, 3), label=f"noise: {noise_distance(count):.4f}")
    shown = [handle for handle in handles if any(handle.get_label() in kinds for kinds in pairs.values())]
    figure.legend(handles=[*shown, line], loc="outside lower center", ncols=4, fontsize=8)
    return figure


def main(argv: list[str] | None = None) -> None:
    """Read Gram matrices and draw the distances in them."""
    arguments = parser(__doc__)
    arguments.add_argument("--gram", required=True, nargs="+", metavar="NAME=NPY", help="Gram matrix by representation")
    arguments.add_argument("--index", required=True, nargs="+", metavar="NAME=TSV", help="index by representation")
    arguments.add_argument("--cell", required=True, help="cell of the training grid, as in paths")
    arguments.add_argument("--l2", required=True, choices=["on", "off"], help="give every vector length 1 first")
    arguments.add_argument("--output", required=True, nargs="+", help="figures to write (.svg, .png)")
    options = arguments.parse_args(argv)
    grams, indexes = (dict(pair.partition("=")[::2] for pair in pairs) for pairs in (options.gram, options.index))
    if grams.keys() != indexes.keys() or not all([*grams, *grams.values(), *indexes.values()]):
        raise EgaraError("--gram and --index: expected NAME=FILE, the same names in both")
    pairs, without, count, log = {}, [], 0, logger("figures")
    for name, path in grams.items():
        gram, index = read_vectors(path, indexes[name])
        count = len(index)
        try:
            pairs[name] = sort_pairs(cosine_distances(prepare(gram, options.l2 == "on")), index)
        except NoDirections as reason:
            log.warning("%s: no distances, %s", name, reason)
            without.append(in_words(name))
    set_theme()
    setting = describe_setting(options.cell, "", options.l2).removeprefix(" · ")
    caption = (
        f"Cosine distances of all pairs of {count} LoRAs, each kind of pair with the same area; dashed: the mean that "
        f"independent directions give, 1 + 1/(n − 1) = {noise_distance(count):.4f}."
    )
    if without:
        caption += f" Not drawn, because the LoRAs do not differ: {', '.join(without)}."
    name = ("Cosine distances", setting)
    words = f"The {count} LoRAs do not differ, so that no distance is defined."
    figure = draw_distances(pairs, count, name) if pairs else draw_words(words, name)
    save(figure, options.output, f"Distances: {setting}", caption if pairs else words, ["distances", setting])
    log.info("distances of %d LoRAs: %s", count, options.output[0])


if __name__ == "__main__":
    run(main)
