"""Place figures in panels: their number, sizes, and positions where heads are visible."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from egara.demo.characters import Figure, add_body, render_figure
from egara.demo.panels import Panel

SMALL, USUAL, LARGE = (40.0, 105.0), (115.0, 325.0), (325.0, 440.0)
SHARES, SPLASH_SHARES = (0.09, 0.79, 0.12), (0.1, 0.4, 0.5)
# Minimum visible share of a head's box, and maximum overlap of two heads as a share of the smaller box.
MIN_VISIBLE, MAX_OVERLAP = 0.78, 0.08
TRIES = 7
# A head without a body can become a standing person in a panel of at least this many heads' height.
STANDING_HEADS = 4.6


@dataclass(frozen=True)
class CastMember:
    """A character of a work: drawing kit, name, and cast of the kit."""

    style: str
    character: str
    part: int = 0
    parts: int = 1


@dataclass(frozen=True)
class Placed:
    """A figure at its position: `x`, `y` of its origin on the page."""

    figure: Figure
    x: int
    y: int
    member: CastMember

    @property
    def head(self) -> tuple[int, int, int, int]:
        """Return the head's box on the page: left, top, right, bottom."""
        left, top, right, bottom = self.figure.head
        return left + self.x, top + self.y, right + self.x, bottom + self.y


def plan_heads(rng: np.random.Generator, panels: list[Panel], unit: float) -> list[list[float]]:
    """Sample the head heights of each panel, largest last; an empty list is a panel without figures."""
    areas = np.array([np.prod(np.ptp(panel.corners, axis=0)) for panel in panels])
    room = np.clip(np.round(areas / (75_000 * unit**2)), 1, 4).astype(int)
    room[[panel.splash for panel in panels]] = 5
    empty = rng.random(len(panels)) < 0.14
    if empty.all() or (~empty).sum() < 2 <= len(panels):
        empty[:] = False
    total = min(int(rng.integers(6, 10)), int(room[~empty].sum()))
    counts = np.where(empty, 0, 1)
    while counts.sum() < total:
        open_panels = np.flatnonzero(~empty & (counts < room))
        if len(open_panels) == 0:
            break
        counts[rng.choice(open_panels, p=areas[open_panels] / areas[open_panels].sum())] += 1
    wanted = []
    for panel, count in zip(panels, counts, strict=True):
        across, down = np.ptp(panel.corners, axis=0)
        limit = 0.42 * across if panel.splash else min(0.82 * down, 0.95 * across / max(1, count) ** 0.65)
        shares = SPLASH_SHARES if panel.splash else SHARES
        crowd = count > 0 and rng.random() < 0.04
        bands = [SMALL] * int(rng.integers(3, 6)) if crowd else [
            (SMALL, USUAL, LARGE)[int(rng.choice(3, p=shares))] for _ in range(count)
        ]  # fmt: skip
        heights = [min(float(rng.uniform(*band)) * unit, limit * rng.uniform(0.82, 1)) for band in bands]
        wanted.append(sorted(max(height, 36 * unit) for height in heights))
    return wanted


def place_figures(
    rng: np.random.Generator,
    cast: Sequence[CastMember],
    name: str,
    heights: list[float],
    mask: np.ndarray,
    window: tuple[int, int, int, int],
    unit: float,
) -> list[Placed]:
    """Place figures, small ones first, because they are behind; one without a good position is left out."""
    placed: list[Placed] = []
    order = rng.permutation(len(cast))
    for index, height in enumerate(heights):
        member = cast[int(order[index % len(cast)])]
        tilt = float(rng.normal(0, 7)) if rng.random() < 0.6 else 0.0
        figure = render_figure(
            member.style, member.character, f"{name}/{index}", member.part, member.parts,
            height, float(np.clip(tilt, -18, 18)), bool(rng.random() < 0.5),
        )  # fmt: skip
        for _ in range(TRIES):
            one = _try_place(rng, figure, member, mask, window, unit)
            if _fits(one, placed, mask, window):
                placed.append(one)
                break
    return placed


def _try_place(
    rng: np.random.Generator,
    figure: Figure,
    member: CastMember,
    mask: np.ndarray,
    window: tuple[int, int, int, int],
    unit: float,
) -> Placed:
    left, top, right, bottom = figure.head
    across, down = right - left, bottom - top
    rows, columns = mask.shape
    x = int(rng.uniform(-0.1 * across, max(1, columns - 0.9 * across))) - left
    if figure.bodied:
        # The lower edge of the drawing must be invisible, so that the body does not end in the air.
        lowest = rows - 0.9 * down - top
        y = rows - _lower_edge(figure.alpha) + rng.uniform(0, 0.12) * figure.grey.shape[0]
        y = int(min(max(y, rng.uniform(-0.1, 0.1) * down - top), lowest))
    else:
        standing = rows > STANDING_HEADS * down and rng.random() < 0.6
        below = rng.uniform(3.0, 3.6) if standing else rng.uniform(-0.08, min(1.6, max(0.0, rows / down - 0.95)))
        y = round(rows - below * down - bottom)
        figure, moved = add_body(rng, figure, round(below * down) + 4, rng.uniform(1.5, 4) * unit, standing)
        x -= moved
    return Placed(figure, x + window[0], y + window[1], member)


def _lower_edge(alpha: np.ndarray) -> int:
    """Return the row that most columns of a drawing reach; a tilted bust ends in a slanting line."""
    rows, columns = alpha.shape
    middle = alpha[::-1, columns // 6 : columns - columns // 6] > 100
    ends = rows - middle.argmax(axis=0)[middle.any(axis=0)]
    return int(np.quantile(ends, 0.1)) if len(ends) else rows


def _fits(one: Placed, placed: list[Placed], mask: np.ndarray, window: tuple[int, int, int, int]) -> bool:
    """Return whether a head is visible enough, and neither it nor its body covers another head."""
    if visible_box(one.head, mask, window)[1] < MIN_VISIBLE:
        return False
    for other in placed:
        # A head directly above another one would look like a stack, not like two people.
        apart = abs(one.head[0] + one.head[2] - other.head[0] - other.head[2]) / 2
        if apart < 0.3 * (one.head[2] - one.head[0] + other.head[2] - other.head[0]):
            return False
        low, high = np.maximum(one.head[:2], other.head[:2]), np.minimum(one.head[2:], other.head[2:])
        shared = float(np.prod(np.maximum(high - low, 0)))
        sizes = [np.prod(np.subtract(h[2:], h[:2])) for h in (one.head, other.head)]
        if shared > MAX_OVERLAP * min(sizes):
            return False
        left, top, right, bottom = np.array(other.head) - [one.x, one.y, one.x, one.y]
        hidden = one.figure.alpha[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
        if np.count_nonzero(hidden > 128) > 0.1 * sizes[1]:
            return False
    return True


def visible_box(
    head: tuple[int, int, int, int], mask: np.ndarray, window: tuple[int, int, int, int]
) -> tuple[tuple[int, int, int, int] | None, float]:
    """Return a head box clipped to its visible part, and the visible share of its area."""
    left, top, right, bottom = np.array(head) - [window[0], window[1]] * 2
    rows, columns = mask.shape
    x, y, end, lower = max(0, left), max(0, top), min(columns, right), min(rows, bottom)
    if end <= x or lower <= y:
        return None, 0.0
    seen = mask[y:lower, x:end] > 128
    ys, xs = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    if len(ys) == 0:
        return None, 0.0
    box = x + xs[0] + window[0], y + ys[0] + window[1], x + xs[-1] + 1 + window[0], y + ys[-1] + 1 + window[1]
    return tuple(int(v) for v in box), float(seen.sum() / ((right - left) * (bottom - top)))
