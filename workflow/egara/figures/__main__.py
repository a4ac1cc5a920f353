"""Plot one figure of a study as SVG or PNG.

Which files a figure reads, and whether it shows a space, a cell or the study, is registered with the figure.
"""

from egara.figures.registry import Entry, Request, flag, load_figures
from egara.io.errors import EgaraError
from egara.io.progress import logger, parser
from egara.vocabulary import L2


def check_files(entry: Entry, given: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the files of each kind that a figure reads.

    Raises
    ------
    EgaraError : a kind is missing, or one is given that the figure does not read.
    """
    expected = " ".join(map(flag, entry.inputs))
    for kind, files in given.items():
        if bool(files) != (kind in entry.inputs):
            found = f"{flag(kind)} is missing" if kind in entry.inputs else f"{flag(kind)} is not read"
            raise EgaraError(f"figure {entry.name}: {found}; expected {expected}")
    return {kind: given[kind] for kind in entry.inputs}


def main(argv: list[str] | None = None) -> None:
    """Read the files of a figure, plot it and save it."""
    figures = load_figures()
    arguments = parser(__doc__)
    arguments.add_argument("name", choices=figures, help="figure to plot")
    kinds = dict.fromkeys(kind for entry in figures.values() for kind in entry.inputs)
    for kind in kinds:
        readers = ", ".join(name for name, entry in figures.items() if kind in entry.inputs)
        arguments.add_argument(flag(kind), nargs="+", default=[], metavar="FILE", help=f"input of {readers}")
    arguments.add_argument("--cell", default="", help="cell of the training grid, as in paths")
    arguments.add_argument("--representation", default="", help="how a LoRA became a point")
    arguments.add_argument("--l2", nargs="+", default=[], choices=list(L2), help="L2 settings to plot")
    arguments.add_argument("--output", required=True, nargs="+", help="files to write (.svg, .png)")
    options = arguments.parse_args(argv)
    entry = figures[options.name]
    needed = {"space": ["cell", "representation", "l2"], "cell": ["cell"], "study": []}[entry.per]
    if missing := [name for name in needed if not getattr(options, name)]:
        raise EgaraError(f"figure {entry.name}: one per {entry.per}; expected {', '.join(map(flag, missing))}")
    files = check_files(entry, {kind: getattr(options, kind) for kind in kinds})
    request = Request(entry.name, files, options.cell, options.representation, tuple(options.l2))

    from egara.figures.style import add_title, plot_words, save, set_theme

    set_theme()
    plotted, log = entry.plot(request), logger("figures")
    if plotted.figure is None:
        log.warning("%s: nothing to plot. %s", entry.name, plotted.caption)
    lines = [plotted.heading or entry.title, request.setting]
    figure = plotted.figure or plot_words(plotted.caption)
    add_title(figure, *lines)
    save(figure, options.output, ": ".join(filter(None, lines)), plotted.caption, [entry.name])
    log.info("%s: %s", entry.name, options.output[0])
