"""Read score files and pivot them: one row per setting and space, one column per hypothesis, metric and kind."""

from typing import TYPE_CHECKING

from egara.io.tables import read_tsv
from egara.vocabulary import AXES, HYPOTHESES, L2, PROJECTIONS, SPACES, TEXT_AXES
from egara.weights.representations import REPRESENTATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

CELL = [*AXES, "representation", "l2"]
KEYS = [*CELL, "space"]
KINDS = ["value", "chance", "p", "low", "high", "null_mean", "n", "majority", "note"]
ORDER = {
    "representation": [*REPRESENTATIONS], "l2": [*L2], "space": [*SPACES], "map": [*PROJECTIONS],
}  # fmt: skip
WHOLE_FIRST = {"full": 0, "pca": 1, "ipca": 2}
PUBLISHED_FIRST = {"ipca": 0, "full": 1, "pca": 2}
TEXT = [*TEXT_AXES, "representation", "l2", "space", "metric", "level", "note"]


def read_scores(paths: list[str]) -> "pd.DataFrame":
    """Read score files one below the other; what a file lacks of the optional columns is left empty."""
    import pandas as pd

    columns = [*KEYS, "metric", "level", "value", "chance", "p"]
    return pd.concat([read_tsv(path, columns, text=TEXT) for path in paths], ignore_index=True)


def spread(scores: "pd.DataFrame", metrics: list[str]) -> "pd.DataFrame":
    """Return KEYS and `{hypothesis}_{metric}`, and that followed by the other KINDS: `_chance`, `_p`, `_note`, …

    Rows keep the order of the grid's axes, representation (factors first, as published), L2 (on first) and space (the
    published one first).
    """
    import pandas as pd

    rows: dict[tuple, dict] = {}
    for record in scores[scores["metric"].isin(metrics)].to_dict("records"):
        row = rows.setdefault(tuple(record[key] for key in KEYS), {key: record[key] for key in KEYS})
        name = f"{record['level']}_{record['metric']}"
        row[name] = record["value"]
        row |= {f"{name}_{kind}": record.get(kind, float("nan")) for kind in KINDS[1:]}
    return pd.DataFrame(sorted(rows.values(), key=place), columns=None if rows else KEYS)


def reasons(table: "pd.DataFrame", metric: str) -> list[str]:
    """Return a note for each hypothesis without a value of `metric` in any row of a spread table, with the reason."""
    texts = []
    for name, hypothesis in HYPOTHESES.items():
        values, notes = table.get(f"{name}_{metric}"), table.get(f"{name}_{metric}_note")
        if (
            notes is not None
            and not values.notna().any()
            and (found := list(dict.fromkeys(filter(None, _text(notes)))))
        ):
            texts.append(nothing_to_tell(hypothesis.label, found))
    return texts


def nothing_to_tell(label: str, reasons: list[str]) -> str:
    """Say that there is no score, and why."""
    return f"{label[:1].upper()}{label[1:]}: nothing to tell, {', '.join(reasons)}."


def _text(notes: "pd.Series") -> list[str]:
    """Return notes as text; a column that was empty when it was read holds numbers."""
    return [note if isinstance(note, str) else "" for note in notes]


def place(row: dict) -> tuple:
    """Sort key of a row by its settings: published ways first (factors, L2 on, IncrementalPCA)."""
    known = {
        key: (values.index(row[key]) if row[key] in values else len(values), row[key])
        for key, values in ORDER.items()
        if key in row
    }
    return tuple(known.get(key, (0, row[key])) for key in [*KEYS, "map"] if key in row)


def add_published(table: "pd.DataFrame", paths: "Sequence[str]", columns: dict[str, str]) -> "pd.DataFrame":
    """Add published values to the rows that repeat the published method: factors, IncrementalPCA, same rank and L2.

    Parameters
    ----------
    paths : tables of rank, alpha, l2 and the values; without one the columns stay empty.
    columns : published column -> name in the table.
    """
    table = table.assign(**{name: float("nan") for name in columns.values()})
    rows = [
        row
        for path in paths
        for row in read_tsv(path, ["rank", "alpha", "l2", *columns], text=["l2"]).to_dict("records")
    ]
    for row in rows:
        same = (table["representation"] == "factors") & (table["space"] == "ipca") & (table["l2"] == row["l2"])
        same &= (table["rank"] == row["rank"]) & (table["alpha"] == row["alpha"])
        for column, name in columns.items():
            table.loc[same, name] = row[column]
    return table


def principal(table: "pd.DataFrame") -> "pd.DataFrame":
    """Keep one space per setting, for short tables: the published one for factors, else the whole vectors."""
    published = table["representation"] == "factors"
    return _first(table, table["space"].map(WHOLE_FIRST).where(~published, table["space"].map(PUBLISHED_FIRST)))


def whole(table: "pd.DataFrame") -> "pd.DataFrame":
    """Keep one space per setting: the whole vectors rather than any map of them."""
    return _first(table, table["space"].map(WHOLE_FIRST))


def _first(table: "pd.DataFrame", places: "pd.Series") -> "pd.DataFrame":
    best = places.fillna(9).groupby([table[key] for key in CELL], sort=False).idxmin()
    return table.loc[best.sort_values()].reset_index(drop=True)
