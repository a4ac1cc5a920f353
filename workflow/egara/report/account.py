"""What was left out between volumes and sets: one sentence per cause, and the rows themselves for a folded list."""

from pathlib import Path
from typing import TYPE_CHECKING

from egara.skipped import CAUSES, LOST
from egara.tables.layout import count, share
from egara.tables.works import read_skipped, shared_pages

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 25  # rows of each cause in the folded list
# The key of the configuration that decides about a cause; limits name their keys in the reasons of rows.
KEYS = {"unreadable": "pages.unreadable", "volume": "pages.unreadable", "missing": "pages.unreadable"}


def sentences(works: "pd.DataFrame", config: dict | None) -> list[str]:
    """Say for each cause how much was left out, of which works, and which key of the configuration decides.

    Parameters
    ----------
    works : what `egara.tables.works.work_table` returns.
    config : the checked configuration of the run.
    """
    run = works[works["corpus"] == "this run"]
    texts = []
    for cause, (_, what) in CAUSES.items():
        if cause == "small" or cause not in run or not (total := run[cause].fillna(0).sum()) > 0:
            continue
        verb = "left out" if cause in LOST else "ignored"
        key = f", as {KEYS[cause]} says" if cause in KEYS else ""
        texts.append(f"{what[:1].upper()}{what[1:]}: {count(total)} {verb}{_mostly(run, cause)}{key}.")
    texts += [_small(run, config), _unused(run), shared_pages(works)]
    texts = [text for text in texts if text]
    known = run["lost"].notna().all() and run["small"].notna().all()
    if known and not run["lost"].sum() and not run["small"].sum():
        texts.insert(0, "No page and no face was left out.")
    return texts


def _small(run: "pd.DataFrame", config: dict | None) -> str:
    found = run["found"].sum(min_count=1)
    if not found > 0 or not (small := run["small"].sum()) > 0:
        return ""
    least = (config or {}).get("faces", {}).get("min_pixels")
    than = f"fewer than {least:,} pixels" if least else "too few pixels"
    shares = run["small"] / run["found"].where(run["found"] > 0)
    worst = run.loc[shares.idxmax()]
    most = ""
    if len(run) > 1 and shares.max() >= 0.05 and shares.max() > 1.25 * small / found:
        most = f"; most in {worst['work']}, {share(worst['small'], worst['found'])}"
    return (
        f"{share(small, found)} of the faces found ({count(small)} of {count(found)}) have {than} (faces.min_pixels) "
        f"and were left out{most}."
    )


def _unused(run: "pd.DataFrame") -> str:
    unused = run["unused"].sum(min_count=1)
    if not unused > 0:
        return ""
    return f"Faces in no set, so that no LoRA is trained on them: {count(unused)} of {count(run['faces'].sum())}."


def _mostly(run: "pd.DataFrame", cause: str) -> str:
    """Name up to three works with the most of it, where there are several works."""
    if len(run) < 2:
        return ""
    most = run[run[cause] > 0].nlargest(3, cause)
    named = ", ".join(f"{work} {count(number)}" for work, number in zip(most["work"], most[cause], strict=True))
    return f" ({named}{', …' if (run[cause] > 0).sum() > 3 else ''})"


def skipped_rows(paths: list[str]) -> dict[str, object] | None:
    """Gather the rows of tables of what was left out: the first `SHOWN` of each cause, and the files with all of them.

    Returns
    -------
    rows : (work, source, member, cause in words, count, reason), lost material first.
    total : number of all rows.
    most : `SHOWN`.
    files : patterns of the files with all rows.

    None where nothing was left out.
    """
    import pandas as pd

    tables = []
    for path in paths:
        table = read_skipped(path)
        tables.append(
            table.assign(work=Path(path).name.removesuffix(".skipped.tsv"), file=f"{Path(path).parent}/*.skipped.tsv")
        )
    whole = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    if whole.empty:
        return None
    place = whole["cause"].map({cause: place for place, cause in enumerate(CAUSES)})
    whole = whole.iloc[place.argsort(kind="stable")]
    rows = [
        (
            row["work"],
            Path(row["source"]).name,
            row["member"],
            CAUSES[row["cause"]][1],
            count(row["count"]),
            row["reason"],
        )
        for row in whole.groupby("cause", sort=False).head(SHOWN).to_dict("records")
    ]
    return {"rows": rows, "total": len(whole), "most": SHOWN, "files": sorted(set(whole["file"]))}
