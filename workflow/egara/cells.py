"""A cell of the training grid and its name in paths: `rank~8_alpha~8_resolution~512_init~shared_token~none`.

A control cell, trained on other sets than the study's, says so at its end: `…_token~none_sets~disjoint`.
"""

import itertools

from egara.io.errors import EgaraError

KEYS = ("rank", "alpha", "resolution", "init", "token")
DRAWN = "drawn"  # sets as the study draws them; not written in names


def format_cell(*, rank: int, alpha: float, resolution: int, init: str, token: str, sets: str = DRAWN) -> str:
    """Name a cell; `~` binds key and value, `_` joins pairs, and a whole alpha is written without a point."""
    name = f"rank~{rank}_alpha~{alpha:g}_resolution~{resolution}_init~{init}_token~{token}"
    return name if sets == DRAWN else f"{name}_sets~{sets}"


def parse_cell(text: str) -> dict[str, int | float | str]:
    """Read a cell's name back.

    Returns
    -------
    rank (int), alpha (int, or float where it has a fraction), resolution (int), init and token (text), in this order;
    for a control cell also sets.

    Raises
    ------
    EgaraError : the text is not the name that `format_cell` gives to a cell.
    """
    pairs = [pair.partition("~")[::2] for pair in text.split("_")]
    try:
        values = dict(pairs)
        if tuple(key for key, _ in pairs) not in (KEYS, (*KEYS, "sets")) or values.get("sets") == DRAWN:
            raise ValueError
        rank, alpha, resolution = int(values["rank"]), float(values["alpha"]), int(values["resolution"])
        cell = {"rank": rank, "alpha": int(alpha) if alpha == int(alpha) else alpha, "resolution": resolution}
        cell |= {key: values[key] for key in ("init", "token", "sets") if key in values}
        if format_cell(**cell) != text or min(rank, alpha, resolution) <= 0 or not all(values.values()):
            raise ValueError
    except (ValueError, OverflowError):
        expected = "rank~8_alpha~8_resolution~512_init~independent_token~none"
        raise EgaraError(f"cell {text!r}: not the name of a training cell; expected one like {expected}") from None
    return cell


def describe_cell(cell: str) -> str:
    """Name a cell of the training grid in words."""
    parts = parse_cell(cell)
    same = parts["rank"] == parts["alpha"]
    rank = f"rank = alpha = {parts['rank']}" if same else f"rank {parts['rank']}, alpha {parts['alpha']}"
    return f"{parts['init']} A · {rank} · {parts['resolution']} px · token {parts['token']}"


def list_cells(grid: dict) -> list[str]:
    """Return the names of all cells of a grid, in a fixed order."""
    ranks = grid["rank"]
    pairs = [(r, r) for r in ranks] if grid["alpha"] == "rank" else list(itertools.product(ranks, grid["alpha"]))
    cells = [
        format_cell(rank=rank, alpha=alpha, resolution=resolution, init=init, token=token)
        for (rank, alpha), resolution, init, token in itertools.product(
            pairs, grid["resolution"], grid["init"], grid["token"]
        )
    ]
    if doubled := sorted({cell for cell in cells if cells.count(cell) > 1}):
        raise EgaraError(f"grid: two cells with one name, {doubled[0]}; alphas that differ need six digits at most")
    return cells


def list_controls(controls: dict, cells: list[str], count: int) -> dict[str, str]:
    """Return the control cells by kind: twins of the grid's first cell, trained on `controls.sets` sets a work.

    token
        The same sets with another token policy; a cell of the grid itself where that has it.
    disjoint, same
        Sets without a common face; sets that are all the first one.

    Raises
    ------
    EgaraError : more sets than the study has.
    """
    if controls["kinds"] and controls["sets"] > count:
        raise EgaraError(f"config: controls.sets is {controls['sets']}; expected at most sets.count, {count}")
    first = parse_cell(cells[0])
    other = {"token": {"token": "author" if first["token"] == "none" else "none"}}
    return {kind: format_cell(**first | other.get(kind, {"sets": kind})) for kind in controls["kinds"]}
