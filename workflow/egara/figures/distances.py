"""Distributions of cosine distances: within one work, between works of one author, between authors."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egara.figures.registry import Plot, Request, figure
from egara.figures.style import palette
from egara.io.errors import EgaraError
from egara.io.progress import logger
from egara.scores.distances import NoDirections, cosine_distances, noise_distance
from egara.vocabulary import L2
from egara.weights.geometry import normalise_and_center, read_vectors
from egara.weights.representations import label_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

KINDS = ("same work", "same author, other work", "other author")
COLUMNS = {1: 1, 2: 2, 3: 3, 4: 2}  # by number of panels; four for more
Pairs = dict[str, np.ndarray]  # distances by kind of pair


@figure(
    "distances", title="Cosine distances", inputs=("gram", "index"), per="cell", order=20,
    remark="If the labels mean nothing, the three distributions are the same.",
)  # fmt: skip
def plot_cell(request: Request) -> Plot:
    """Plot the distances in every representation of a cell and under every L2 setting."""
    grams, indexes = request.files["gram"], request.files["index"]
    if len(grams) != len(indexes):
        raise EgaraError(f"figure distances: {len(grams)} Gram matrices, {len(indexes)} indexes; expected one each")
    if not request.l2:
        raise EgaraError("figure distances: no L2 setting; expected --l2 on, --l2 off, or both")
    panels, without, count = {}, [], 0
    for path, index_path in zip(grams, indexes, strict=True):
        gram, index = read_vectors(path, index_path)
        count = len(index)
        name = label_of(Path(path).name.removesuffix(".gram.npy"))
        for l2 in request.l2:
            panel = f"{name} · {L2[l2]}"
            try:
                panels[panel] = sort_pairs(cosine_distances(normalise_and_center(gram, l2 == "on")), index)
            except NoDirections as reason:
                logger("figures").warning("%s: no distances: %s", panel, reason)
                without.append(panel)
    if not panels:
        return Plot(None, f"The {count} LoRAs do not differ, so no distance is defined.")
    caption = (
        f"Cosine distances of all pairs of {count} LoRAs, each kind of pair with the same area. Dashed: the mean "
        f"distance of independent directions, 1 + 1/(n − 1) = {noise_distance(count):.4f}."
    )
    if without:
        caption += f" Not plotted, because the LoRAs do not differ: {', '.join(without)}."
    return Plot(plot_distances(panels, count), caption)


def sort_pairs(distances: np.ndarray, index: "pd.DataFrame") -> Pairs:
    """Return the distances of all pairs of LoRAs by kind of pair; a kind without a pair is left out."""
    first, second = np.triu_indices(len(distances), 1)
    works, authors = index["work"].to_numpy(), index["author"].to_numpy()
    work, author = works[first] == works[second], authors[first] == authors[second]
    values = distances[first, second]
    found = dict(zip(KINDS, (values[work], values[author & ~work], values[~author]), strict=True))
    return {kind: values for kind, values in found.items() if len(values)}


def plot_distances(panels: dict[str, Pairs], count: int) -> "Figure":
    """Plot one panel for each entry, each kind of pair with area 1, and a line at 1 + 1 / (count - 1)."""
    import seaborn
    from matplotlib import pyplot
    from matplotlib.patches import Patch

    blue, orange, green = palette(3)
    colours = dict(zip(KINDS, (green, orange, blue), strict=True))
    columns = COLUMNS.get(len(panels), 4)
    rows = -(-len(panels) // columns)
    drawn, grid = pyplot.subplots(
        rows, columns, figsize=(max(3.7 * columns, 6.0), 2.7 * rows + 0.9), squeeze=False, layout="constrained"
    )
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes, (name, kinds) in zip(grid.flat, panels.items(), strict=False):
        values = np.concatenate(list(kinds.values()))
        bins = np.linspace(values.min(), values.max(), 41) if np.ptp(values) > 0 else 10
        for kind, part in kinds.items():
            seaborn.histplot(
                x=part, bins=bins, stat="density", element="step", color=colours[kind], alpha=0.25, linewidth=1.1,
                ax=axes,
            )  # fmt: skip
        axes.axvline(noise_distance(count), color="0.2", linewidth=0.9, dashes=(4, 3))
        axes.set_title(name)
        axes.set(xlabel="cosine distance", ylabel="", yticks=[])
    for axes in grid[:, 0]:
        axes.set_ylabel("density of pairs")
    handles = [Patch(facecolor=(*colours[k], 0.3), edgecolor=colours[k], label=k) for k in KINDS]
    label = f"independent directions: {noise_distance(count):.4f}"
    line = pyplot.Line2D([], [], color="0.2", linewidth=0.9, dashes=(4, 3), label=label)
    shown = [handle for handle in handles if any(handle.get_label() in kinds for kinds in panels.values())]
    drawn.legend(handles=[*shown, line], loc="outside lower center", ncols=4 if columns > 1 else 2, fontsize=8)
    return drawn
