"""A cell of the training grid and its name in paths: `rank~8_alpha~8_resolution~512_init~shared_token~none`.

The axes are those of `egara.vocabulary.AXES`, and the name is the one that Snakemake's `Paramspace` gives, so that a
stage can read a cell without Snakemake. A control cell, trained on other sets than the study's, says so at its end:
`…_token~none_sets~disjoint`.
"""

import itertools
import re
from collections import Counter
from collections.abc import Mapping

from egara.io.errors import EgaraError
from egara.vocabulary import AXES

DRAWN = "drawn"  # sets as the study draws them; not written in names
NAME = re.compile("_".join(f"{axis}~(?P<{axis}>[^~_/]+)" for axis in AXES) + "(?:_sets~(?P<sets>[^~_/]+))?")

Cell = dict[str, int | float | str]


def format_cell(*, sets: str = DRAWN, **cell: int | float | str) -> str:
    """Name a cell; `~` binds key and value, `_` joins pairs, and a whole number is written without a point."""
    name = "_".join(f"{axis}~{_written(cell[axis])}" for axis in AXES)
    return name if sets == DRAWN else f"{name}_sets~{sets}"


def _written(value: int | float | str) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def parse_cell(text: str) -> Cell:
    """Read a cell's name back.

    Returns
    -------
    The value on each axis, in the order of AXES: numbers as int where they are whole, else as float; for a control cell
    also sets.

    Raises
    ------
    EgaraError : the text is not the name that `format_cell` gives to a cell.
    """
    try:
        if (found := NAME.fullmatch(text)) is None:
            raise ValueError(text)
        cell = {axis: AXES[axis].read(found[axis]) for axis in AXES}
        cell |= {"sets": found["sets"]} if found["sets"] else {}
        if format_cell(**cell) != text:
            raise ValueError(text)
    except (ValueError, OverflowError):
        expected = "rank~8_alpha~8_resolution~512_init~independent_token~none"
        raise EgaraError(f"cell {text!r}: not the name of a training cell; expected one like {expected}") from None
    return cell


def describe_cell(cell: str | Mapping, between: str = " · ") -> str:
    """Name a cell in words; `cell` is its name, or a row with all axes."""
    values = parse_cell(cell) if isinstance(cell, str) else cell
    words = {axis: AXES[axis].phrase.format(_written(values[axis])) for axis in AXES}
    if values["alpha"] == values["rank"]:
        words["rank"] = f"rank = alpha = {_written(values['rank'])}"
        del words["alpha"]
    return between.join(words.values())


def expand_grid(grid: Mapping) -> list[Cell]:
    """Return all cells of a grid of lists by axis, in the order of AXES; `alpha: rank` takes each cell's rank.

    Raises
    ------
    EgaraError : two cells with one name.
    """
    free = [axis for axis in AXES if not isinstance(grid[axis], str)]
    cells = []
    for values in itertools.product(*(grid[axis] for axis in free)):
        cell = dict(zip(free, values, strict=True))
        cells.append({axis: cell[axis] if axis in cell else cell[grid[axis]] for axis in AXES})
    names = Counter(format_cell(**cell) for cell in cells)
    if doubled := sorted(name for name, count in names.items() if count > 1):
        raise EgaraError(f"grid: two cells with one name, {doubled[0]}; numbers that differ need six digits at most")
    return [parse_cell(name) for name in names]


def list_cells(grid: Mapping) -> list[str]:
    """Return the names of all cells of a grid, in the order of `expand_grid`."""
    return [format_cell(**cell) for cell in expand_grid(grid)]


def list_controls(controls: dict, cells: list[str], count: int) -> dict[str, str]:
    """Return the control cells by kind: the grid's first cell with one change, `controls.sets` sets per work.

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
