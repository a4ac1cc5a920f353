"""The registry of tables: a table is one decorated function in one file of this folder; everything else asks here."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from egara.io.errors import EgaraError
from egara.io.tables import read_tsv
from egara.registry import Registry
from egara.tables.layout import Layout
from egara.tables.pivot import TEXT
from egara.tables.writing import write_table

if TYPE_CHECKING:
    import pandas as pd

# Kinds of files that tables are made from, the flags of the command.
KINDS = {
    "pages": "pages/{work}.tsv, in the order of the rows",
    "skipped": "pages/{work}.skipped.tsv",
    "faces": "faces/{work}.tsv",
    "faces-skipped": "faces/{work}.skipped.tsv",
    "detector": "faces/{work}.detector.tsv",
    "sets": "sets/{work}.tsv, in the order of the rows",
    "base": "description of the base model (base.json)",
    "scores": "scores of every space (scores.tsv)",
    "nulls": "Top-1 under permuted labels, of every space: <cell>/<representation>_l2~<l2>/nulls.npz",
    "clusters": "agreement of clusters with labels, of every space (clusters.tsv)",
    "series": "distances within and between series, of every space (series.tsv)",
    "layers": "scores of layers (<representation>.layers.tsv)",
    "controls": "scores of the controls (controls.tsv)",
    "published": "values that the papers published (.tsv)",
}
# When a study has a table.
CONDITIONS = {
    "always": "in every study",
    "composed": "volumes are composed, so that their faces are known",
    "compared": "there are two LoRAs to compare",
    "layers": "layers are scored, too",
    "series": "some author has several series",
}
# Of the report, in its order.
SECTIONS = ("material", "run", "scores")


@dataclass(frozen=True)
class Table:
    """A table of the study.

    Attributes
    ----------
    name : of its files and of its module.
    title : above it.
    note : what its columns mean; below it, and in Snakemake's report.
    build : files by kind -> a data frame, all that is true.
    layout : the data frame -> what is shown.
    inputs : kinds of files, as in `KINDS`; `published/cosine` is one file of published values.
    when : one of `CONDITIONS`.
    number : of the table of the paper that it repeats; 0 for none.
    text : columns of text besides the settings, so that a work called `001` stays `001`.
    short : keep one space per setting where room is short (terminal, first view of the report).
    section : of the report, one of `SECTIONS`.
    order : within the section.
    folded : whether the report folds it where it is long.
    """

    name: str
    title: str
    note: str
    build: "Callable[..., pd.DataFrame]"
    layout: "Callable[[pd.DataFrame], Layout]"
    inputs: tuple[str, ...]
    when: str
    number: int
    text: tuple[str, ...]
    short: bool
    section: str = "scores"
    order: int = 100
    folded: bool = True

    @property
    def heading(self) -> str:
        """The title, after the number of the paper's table."""
        return f"Table {self.number}. {self.title}" if self.number else self.title

    @property
    def kinds(self) -> list[str]:
        """Kinds of files, published ones as one."""
        return list(dict.fromkeys(kind.partition("/")[0] for kind in self.inputs))

    def make(self, files: Mapping[str, Sequence[str]], paths: Sequence[str | Path]) -> "pd.DataFrame":
        """Build the table from files by kind and write it to every path: .tsv, .md or .tex.

        Raises
        ------
        EgaraError : files of a kind that it does not take, or none of one that it needs.
        """
        given = {kind.replace("-", "_"): list(found) for kind, found in files.items() if found}
        wanted = inspect.signature(self.build).parameters
        if unknown := given.keys() - wanted.keys():
            raise EgaraError(f"table {self.name}: takes no --{min(unknown)}; expected {_flags(wanted)}")
        needed = [kind for kind, one in wanted.items() if one.default is inspect.Parameter.empty]
        if missing := [kind for kind in needed if kind not in given]:
            raise EgaraError(f"table {self.name}: no files given; expected {_flags(missing)}")
        table = self.build(**given)
        write_table(paths, table, self.layout(table))
        return table

    def read(self, path: str | Path) -> "pd.DataFrame":
        """Read what `make` wrote as .tsv."""
        return read_tsv(path, [], text=[*TEXT, *self.text])


def _flags(kinds: "Sequence[str] | Mapping") -> str:
    return ", ".join(f"--{kind.replace('_', '-')}" for kind in kinds)


TABLES: Registry[Table] = Registry("table")


def table(
    name: str,
    title: str,
    note: str,
    *,
    layout: "Callable[[pd.DataFrame], Layout]",
    inputs: tuple[str, ...],
    when: str = "always",
    number: int = 0,
    text: tuple[str, ...] = (),
    short: bool = False,
    section: str = "scores",
    order: int = 100,
    folded: bool = True,
) -> "Callable[[Callable[..., pd.DataFrame]], Callable[..., pd.DataFrame]]":
    """Register the decorated function as the one that builds a table; parameters as `Table` has them.

    The function takes lists of files, named by kind (`faces_skipped` for `faces-skipped`); one with a default may be
    absent.
    """
    if odd := [kind for kind in inputs if kind.partition("/")[0] not in KINDS]:
        raise ValueError(f"table {name}: unknown kind of input {odd[0]}")
    if when not in CONDITIONS:
        raise ValueError(f"table {name}: unknown condition {when}")
    if section not in SECTIONS:
        raise ValueError(f"table {name}: unknown section {section}")

    def register(build: "Callable[..., pd.DataFrame]") -> "Callable[..., pd.DataFrame]":
        entry = Table(name, title, note, build, layout, inputs, when, number, text, short, section, order, folded)
        TABLES.add(name, entry)
        return build

    return register


def table_names(conditions: Mapping[str, bool]) -> list[str]:
    """Return the names of all tables that a study has; `conditions` says which of `CONDITIONS` hold."""
    return [name for name, entry in sorted(TABLES.items()) if entry.when == "always" or conditions[entry.when]]
