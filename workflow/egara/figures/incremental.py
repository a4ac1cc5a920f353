"""How far the papers' IncrementalPCA is from exact PCA: component by component, and in the distances that it leaves."""

from typing import TYPE_CHECKING

import numpy as np

from egara.figures.components import EQUAL
from egara.figures.style import add_title, describe_setting, draw_words, palette, save, set_theme
from egara.io.errors import run
from egara.io.progress import logger, parser
from egara.io.tables import read_tsv
from egara.scores.distances import cosine_distances
from egara.weights.geometry import normalise_and_center, read_maps, read_vectors

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FLAT = 1e-9  # a spread of distances that rounding makes


def agreement(found: np.ndarray, exact: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compare components of two maps of the same LoRAs, (n, k) each.

    Returns
    -------
    alike : (k,) size of the correlation of component i with exact component i.
    inside : (k,) length of component i, scaled to 1, within the first i exact components; 1 where it is a mixture of
        them, about √(i / (n - 1)) where it is any direction.
    """
    one, other = (_unit(points - points.mean(axis=0)) for points in (found, exact))
    products = other.T @ one
    basis = np.linalg.qr(other)[0]
    within = np.sqrt(np.cumsum((basis.T @ one) ** 2, axis=0))
    return np.abs(np.diag(products)), np.minimum(np.diag(within), 1.0)


def _unit(columns: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(columns, axis=0)
    return columns / np.where(lengths, lengths, 1.0)


def kept(points: np.ndarray, distances: np.ndarray) -> float:
    """Correlation of the cosine distances of a map's points (n, k) with those of the whole vectors (n, n).

    NaN where one of them has no spread, as between two LoRAs.
    """
    pairs = np.triu_indices(len(points), 1)
    values = np.stack([cosine_distances(points @ points.T)[pairs], distances[pairs]])
    if values.shape[1] < 2 or (np.ptp(values, axis=1) < FLAT).any():
        return float("nan")
    return float(np.corrcoef(values)[0, 1])


def draw_incremental(
    alike: np.ndarray, inside: np.ndarray, ratios: tuple[np.ndarray, np.ndarray], count: int, title: tuple[str, str]
) -> "Figure":
    """Draw agreement of components left, shares of variance (incremental, exact) right; `count` LoRAs."""
    from matplotlib import pyplot

    blue, orange, green = palette(3)[:3]
    numbers = np.arange(1, len(alike) + 1)
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9.6, 3.4), layout="constrained")
    left.plot(numbers, inside, color=blue, marker="o", markersize=3, linewidth=1, label="inside the first i exact ones")
    left.plot(numbers, alike, color=orange, marker="s", markersize=3, linewidth=1, label="|r| with exact component i")
    chance = np.sqrt(numbers / max(count - 1, 1))
    left.plot(numbers, chance, color="0.55", linestyle="--", linewidth=1, label="any direction, inside")
    left.set(xlabel="component i of IncrementalPCA", ylabel="agreement (1: the same)", ylim=(-0.03, 1.05))
    left.set_title("Components")
    left.legend(fontsize=7.5, loc="best")
    for values, colour, marker, name in zip(
        ratios, (orange, green), "s^", ("IncrementalPCA", "exact PCA"), strict=True
    ):
        places = np.arange(1, len(values) + 1)
        right.plot(places, 100 * values, color=colour, marker=marker, markersize=3, linewidth=1, label=name)
    flat = 100 / max(count - 1, 1)
    right.axhline(flat, color="0.55", linestyle="--", linewidth=1, label="no direction before another")
    right.set(xlabel="component", ylabel="% of variance", ylim=(0, None))
    right.set_title("Variance")
    right.legend(fontsize=7.5)
    add_title(figure, *title)
    return figure


def main(argv: list[str] | None = None) -> None:
    """Read both maps and the Gram matrix and draw how far they are apart."""
    arguments = parser(__doc__)
    arguments.add_argument("--gram", required=True, help="Gram matrix, n x n (.npy)")
    arguments.add_argument("--index", required=True, help="index of its rows (.tsv)")
    arguments.add_argument("--ipca", required=True, help="IncrementalPCA's coordinates (.tsv)")
    arguments.add_argument("--pca", required=True, help="exact PCA's coordinates (.tsv)")
    arguments.add_argument("--variance", required=True, nargs=2, help="shares of variance of both (.tsv)")
    arguments.add_argument("--cell", required=True, help="cell of the training grid, as in paths")
    arguments.add_argument("--representation", required=True, help="how a LoRA became a point, for the title")
    arguments.add_argument("--l2", required=True, choices=["on", "off"], help="L2 setting")
    arguments.add_argument("--output", required=True, nargs="+", help="figures to write (.svg, .png)")
    options = arguments.parse_args(argv)
    gram, index = read_vectors(options.gram, options.index)
    maps = read_maps([f"ipca={options.ipca}", f"pca={options.pca}"], index)
    found, exact = (maps[name][0] for name in ("ipca", "pca"))
    shared = min(found.shape[1], exact.shape[1])
    ratios = tuple(read_tsv(path, ["component", "ratio"])["ratio"].to_numpy(dtype=float) for path in options.variance)
    set_theme()
    setting = describe_setting(options.cell, options.representation, options.l2)
    title, log = "IncrementalPCA beside exact PCA", logger("figures")
    if not (found.any() and exact.any()):
        caption = f"{EQUAL.format(count=len(index))}, so that there are no components to compare."
        log.warning("%s", caption)
        save(
            draw_words(caption, (title, setting)),
            options.output,
            f"{title}: {setting}",
            caption,
            ["incremental", setting],
        )
        return
    alike, inside = agreement(found[:, :shared], exact[:, :shared])
    distances = cosine_distances(normalise_and_center(gram, options.l2 == "on"))
    left = [kept(points, distances) for points in (found, exact)]
    of = f"{shared} component" + ("s" if shared > 1 else "")
    caption = (
        f"{title}, {len(index)} LoRAs. The first component agrees to {alike[0]:.2f}"
        + (f", component {shared} to {alike[-1]:.2f}. " if shared > 1 else "; there is no second. ")
        + (
            f"Distances in {of} follow those of the whole vectors with r = {left[0]:.2f} (IncrementalPCA) and "
            f"{left[1]:.2f} (exact)."
            if np.isfinite(left).all()
            else f"Distances in {of}, or those of the whole vectors, are all equal, so that nothing correlates."
        )
    )
    figure = draw_incremental(alike, inside, ratios, len(index), (title, setting))
    save(figure, options.output, f"{title}: {setting}", caption, ["incremental", setting])
    log.info("incremental: |r| %.2f to %.2f: %s", alike[0], alike[-1], options.output[0])


if __name__ == "__main__":
    run(main)
