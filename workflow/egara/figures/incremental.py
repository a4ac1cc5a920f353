"""IncrementalPCA compared with exact PCA: component by component, and in the distances between LoRAs."""

from typing import TYPE_CHECKING

import numpy as np

from egara.figures.components import EQUAL
from egara.figures.registry import Plot, Request, figure
from egara.figures.style import palette
from egara.io.errors import counted
from egara.io.tables import read_tsv
from egara.scores.distances import cosine_distances
from egara.vocabulary import PROJECTIONS
from egara.weights.geometry import normalise_and_center, read_maps, read_vectors

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FLAT = 1e-9  # a spread of distances that rounding makes


@figure(
    "incremental", title="IncrementalPCA compared with exact PCA", per="space", order=40,
    inputs=("gram", "index", "ipca", "pca", "ipca_variance", "pca_variance"),
    remark="IncrementalPCA keeps only its components from one batch to the next. How much does the published "
    "projection lose by that?",
)  # fmt: skip
def plot_space(request: Request) -> Plot:
    """Compare both projections of one space with each other and with its distances."""
    gram, index = read_vectors(request.file("gram"), request.file("index"))
    maps = read_maps([f"{name}={request.file(name)}" for name in ("ipca", "pca")], index)
    found, exact = (maps[name][0] for name in ("ipca", "pca"))
    ratios = tuple(
        read_tsv(request.file(kind), ["component", "ratio"])["ratio"].to_numpy(dtype=float)
        for kind in ("ipca_variance", "pca_variance")
    )
    if not (found.any() and exact.any()):
        return Plot(None, f"{EQUAL.format(count=len(index))}, so there are no components to compare.")
    shared = min(found.shape[1], exact.shape[1])
    alike, inside = agreement(found[:, :shared], exact[:, :shared])
    distances = cosine_distances(normalise_and_center(gram, request.l2 == ("on",)))
    kept = [distance_correlation(points, distances) for points in (found, exact)]
    of = counted(shared, "component")
    caption = (
        f"{counted(len(index), 'LoRA')}. The first component agrees to {alike[0]:.2f}"
        + (f", component {shared} to {alike[-1]:.2f}. " if shared > 1 else "; there is no second. ")
        + (
            f"Distances in {of} correlate with those of the whole vectors: r = {kept[0]:.2f} (IncrementalPCA) and "
            f"{kept[1]:.2f} (exact PCA)."
            if np.isfinite(kept).all()
            else f"Distances in {of}, or those of the whole vectors, are all equal, so nothing correlates."
        )
    )
    return Plot(plot_incremental(alike, inside, ratios, len(index)), caption)


def agreement(found: np.ndarray, exact: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compare components of two projections of the same LoRAs, of shape (n_loras, n_components) each.

    Returns
    -------
    alike : absolute correlation of component i with exact component i, of shape (n_components,).
    inside : length of component i, scaled to 1, within the span of the first i exact components, of the same shape: 1
        for a mixture of them, about √(i / (n_loras - 1)) for a random direction.
    """
    one, other = (_unit(points - points.mean(axis=0)) for points in (found, exact))
    products = other.T @ one
    basis = np.linalg.qr(other)[0]
    within = np.sqrt(np.cumsum((basis.T @ one) ** 2, axis=0))
    return np.abs(np.diag(products)), np.minimum(np.diag(within), 1.0)


def _unit(columns: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(columns, axis=0)
    return columns / np.where(lengths, lengths, 1.0)


def distance_correlation(points: np.ndarray, distances: np.ndarray) -> float:
    """Correlate the cosine distances of projected points with those of the whole vectors.

    Parameters
    ----------
    points : of shape (n_loras, n_components).
    distances : of the whole vectors, of shape (n_loras, n_loras).

    Returns
    -------
    Pearson's r; NaN where one of them has no spread, as between two LoRAs.
    """
    pairs = np.triu_indices(len(points), 1)
    values = np.stack([cosine_distances(points @ points.T)[pairs], distances[pairs]])
    if values.shape[1] < 2 or (np.ptp(values, axis=1) < FLAT).any():
        return float("nan")
    return float(np.corrcoef(values)[0, 1])


def plot_incremental(
    alike: np.ndarray, inside: np.ndarray, ratios: tuple[np.ndarray, np.ndarray], count: int
) -> "Figure":
    """Plot the agreement of components on the left, shares of variance on the right.

    Parameters
    ----------
    alike, inside : as `agreement` returns them.
    ratios : shares of variance of IncrementalPCA's and of exact PCA's components.
    count : number of LoRAs.
    """
    from matplotlib import pyplot

    blue, orange, green = palette(3)
    numbers = np.arange(1, len(alike) + 1)
    drawn, (left, right) = pyplot.subplots(1, 2, figsize=(9.6, 3.4), layout="constrained")
    left.plot(numbers, inside, color=blue, marker="o", markersize=3, linewidth=1, label="within exact 1 to i")
    left.plot(numbers, alike, color=orange, marker="s", markersize=3, linewidth=1, label="|r| with exact component i")
    chance = np.sqrt(numbers / max(count - 1, 1))
    left.plot(numbers, chance, color="0.55", linestyle="--", linewidth=1, label="random direction within 1 to i")
    left.set(xlabel="component i of IncrementalPCA", ylabel="agreement (1: the same)", ylim=(-0.03, 1.05))
    left.set_title("Components")
    left.legend(fontsize=7.5, loc="best")
    for values, colour, marker, name in zip(
        ratios, (orange, green), "s^", (PROJECTIONS["ipca"], PROJECTIONS["pca"]), strict=True
    ):
        places = np.arange(1, len(values) + 1)
        right.plot(places, 100 * values, color=colour, marker=marker, markersize=3, linewidth=1, label=name)
    flat = 100 / max(count - 1, 1)
    right.axhline(flat, color="0.55", linestyle="--", linewidth=1, label="equal shares")
    right.set(xlabel="component", ylabel="% of variance", ylim=(0, None))
    right.set_title("Variance")
    right.legend(fontsize=7.5)
    return drawn
