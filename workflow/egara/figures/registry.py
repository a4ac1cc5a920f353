"""The registry of figures: one decorated function in one file of this package is a figure, and nothing else lists it.

The command `egara figures`, the rule `plot` and the report ask here for names, inputs, titles and order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from egara.cells import describe_cell
from egara.io.errors import EgaraError
from egara.registry import Registry, discover
from egara.vocabulary import L2
from egara.weights.representations import label_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCOPES = ("space", "cell", "study")


@dataclass(frozen=True)
class Request:
    """What one figure is plotted from.

    Attributes
    ----------
    name : of the figure, as registered.
    files : paths by kind of input.
    cell : of the training grid, as in paths; empty for a figure of the study.
    representation : how a LoRA became a point; empty for a figure of a cell or of the study.
    l2 : settings "on" and "off": one for a figure of a space.
    """

    name: str
    files: dict[str, list[str]]
    cell: str = ""
    representation: str = ""
    l2: tuple[str, ...] = ()

    def file(self, kind: str) -> str:
        """Return the one file of a kind.

        Raises
        ------
        EgaraError : several files.
        """
        if len(self.files[kind]) != 1:
            raise EgaraError(f"figure {self.name}: {len(self.files[kind])} files for {flag(kind)}; expected one")
        return self.files[kind][0]

    @property
    def setting(self) -> str:
        """Representation, cell and L2 in words, or the cell alone."""
        cell = [describe_cell(self.cell)] if self.cell else []
        if not self.representation:
            return " · ".join(cell)
        return " · ".join([label_of(self.representation), *cell, *(L2[name] for name in self.l2)])


@dataclass(frozen=True)
class Plot:
    """What a registered function returns.

    Attributes
    ----------
    figure : the plot without its title; None if there is nothing to plot, and the caption says why.
    caption : what a reader must know.
    heading : title of the figure where that is not the registered one.
    """

    figure: "Figure | None"
    caption: str
    heading: str = ""


@dataclass(frozen=True)
class Entry:
    """A registered figure; see `figure` for the attributes."""

    name: str
    title: str
    remark: str
    inputs: tuple[str, ...]
    per: str
    order: int
    unless: str
    plot: Callable[[Request], Plot]

    @property
    def module(self) -> str:
        """The module that plots it."""
        return self.plot.__module__


FIGURES: Registry[Entry] = Registry("figure")


def figure(
    name: str, *, title: str, remark: str, inputs: tuple[str, ...], per: str, order: int, unless: str = ""
) -> Callable[[Callable[[Request], Plot]], Callable[[Request], Plot]]:
    """Register the decorated function as the figure `name`, which is also the name of its file.

    Parameters
    ----------
    title : heading of the figure and of its section in the report; figures with one title share a section.
    remark : what a reader should look for, one or two sentences.
    inputs : kinds of files that it is plotted from. The rules know where each kind is; a figure of a cell or of the
        study gets the files of all spaces within.
    per : what it shows: one "space" (cell, representation and L2), one "cell", or the "study".
    order : place among the figures of the report, least first.
    unless : another figure that takes its place in the report wherever that one can be made.
    """
    if per not in SCOPES:
        raise ValueError(f"figure {name}: per {per!r}; expected one of {', '.join(SCOPES)}")

    def register(plot: Callable[[Request], Plot]) -> Callable[[Request], Plot]:
        FIGURES.add(name, Entry(name, title, remark, inputs, per, order, unless, plot))
        return plot

    return register


def load_figures() -> dict[str, Entry]:
    """Return all figures of this package by name, in the order of the report."""
    discover(__package__)  # not by a literal name: a figure's fingerprint holds its own code, not that of all others
    return dict(sorted(FIGURES.items(), key=lambda item: item[1].order))


def flag(kind: str) -> str:
    """Return the command-line flag of a kind of input."""
    return f"--{kind.replace('_', '-')}"
