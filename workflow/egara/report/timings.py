"""Time and memory of a run, from Snakemake's benchmark files."""

from pathlib import Path
from typing import TYPE_CHECKING

from egara.io.errors import EgaraError

if TYPE_CHECKING:
    import pandas as pd


def read_benchmarks(folder: str | Path) -> "pd.DataFrame":
    """Sum benchmark files by stage, the first part of their path below `folder`.

    Returns
    -------
    stage, jobs, seconds (of all jobs together), longest (seconds of one job), memory (largest resident set of one job,
    MiB), in descending order of seconds. Files that are not benchmarks are left out.

    Raises
    ------
    EgaraError : no such folder.
    """
    import pandas as pd

    folder = Path(folder)
    if not folder.is_dir():
        raise EgaraError(f"{folder}: no such folder; expected Snakemake's benchmark files")
    rows = []
    for path in sorted(folder.rglob("*.tsv")) + sorted(folder.rglob("*.txt")):
        table = pd.read_csv(path, sep="\t", na_values=["-", "NA"])
        if not {"s", "max_rss"} <= set(table.columns):
            continue
        stage = path.relative_to(folder).parts[0].removesuffix(path.suffix)
        rows += [{"stage": stage, "seconds": s, "memory": m} for s, m in zip(table["s"], table["max_rss"], strict=True)]
    if not rows:
        return pd.DataFrame(columns=["stage", "jobs", "seconds", "longest", "memory"])
    groups = pd.DataFrame(rows).groupby("stage")
    table = groups.agg(
        jobs=("seconds", "size"), seconds=("seconds", "sum"), longest=("seconds", "max"), memory=("memory", "max")
    )
    return table.sort_values("seconds", ascending=False).reset_index()
