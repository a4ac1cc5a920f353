"""Table 1: volumes, pages, faces and sets of each work, what was left out, and below it the published corpus."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from egara.io.errors import EgaraError, counted
from egara.io.progress import logger
from egara.io.tables import read_tsv
from egara.skipped import CAUSES, COLUMNS, LOST, OTHER, count_by_cause
from egara.tables.layout import NOTHING, Group, Layout, count, share
from egara.tables.registry import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

MOST = 10**9  # of anything that one row counts
SAID = {"lost": "pages or volumes", "passed": "other files", "small": "faces too small", "unused": "faces in no set"}
NUMBERS = ["volumes", "pages", "lost", "passed", "faces", "small", "found", "unused", "sets"]
TITLE = "Works, faces and sets"
NOTE = (
    "lost: what could not be read or used; other files: what is not a page, passed over. faces: crops in use, none "
    "twice; too small: faces of too few pixels, left out, and their share of all found. sets: one LoRA each in every "
    "cell; in no set: faces that no LoRA saw."
)


def by_work(paths: "Sequence[str]", ending: str) -> dict[str, str]:
    """Sort files by work: the name before `ending`; two files of one work are an error."""
    found: dict[str, str] = {}
    for path in paths:
        work = Path(path).name.removesuffix(ending)
        if work in found or not Path(path).name.endswith(ending):
            raise EgaraError(f"{path}: expected one file per work, named {{work}}{ending}")
        found[work] = path
    return found


def read_skipped(path: str | Path) -> "pd.DataFrame":
    """Read a table of what a stage left out: the columns of `egara.skipped`, `count` as int.

    Raises
    ------
    EgaraError : no such table, an unknown cause, or a count that is not a whole number.
    """
    import pandas as pd

    table = read_tsv(path, COLUMNS, text=["source", "member", "cause", "reason"])
    if unknown := sorted(set(table["cause"]) - CAUSES.keys()):
        raise EgaraError(f"{path}: cause {unknown[0]!r}; expected one of {', '.join(CAUSES)}")
    counts = pd.to_numeric(table["count"].astype(str), errors="coerce").astype(float)
    if not (odd := table["count"][~((counts >= 0) & (counts < MOST) & (counts % 1 == 0))]).empty:
        raise EgaraError(f"{path}: count {odd.iloc[0]!r}; expected a whole number below {MOST:,}")
    return table.assign(count=counts.astype(int))


def shared_pages(table: "pd.DataFrame") -> str:
    """Say which works hold pages of each other, or nothing: their faces count for both works, and for both authors."""
    run = table[table["corpus"] == "this run"]
    shared = run[run["shared"].fillna(0) > 0] if "shared" in run else run.iloc[:0]
    if shared.empty:
        return ""
    named = [
        f"{work} ({count(number)} of {counted(int(whole), 'page')})"
        for work, number, whole in zip(shared["work"], shared["shared"], shared["pages"], strict=True)
    ]
    more = f" and {len(named) - 5} more" if len(named) > 5 else ""
    return f"Works with the same pages: {', '.join(named[:5])}{more}; faces on them count for each of these works."


def layout(table: "pd.DataFrame") -> Layout:
    """Lay the table out, an author's name once, the sum of a corpus below it."""
    import pandas as pd

    parts = []
    for corpus, part in table.groupby("corpus", sort=False):
        sums = part[NUMBERS].sum(min_count=1)
        parts += [part, pd.DataFrame([{"corpus": corpus, "author": "", "work": "together", **sums}])]
    shown = pd.concat(parts, ignore_index=True)
    again = (shown["author"] == shown["author"].shift()) & (shown["corpus"] == shown["corpus"].shift())
    head = {"author": ["" if same else name for name, same in zip(shown["author"], again, strict=True)]}
    head["work"] = shown["work"].tolist()
    if table["corpus"].nunique() > 1:
        first = shown["corpus"] != shown["corpus"].shift()
        head = {"corpus": [name if new else "" for name, new in zip(shown["corpus"], first, strict=True)], **head}
    headings = {
        "volumes": "volumes", "pages": "pages", "lost": "lost", "passed": "other files", "faces": "faces",
        "small": "too small", "unused": "in no set", "sets": "sets",
    }  # fmt: skip
    columns = {heading: [count(v) for v in shown[name]] for name, heading in headings.items()}
    pairs = zip(columns["too small"], shown["small"], shown["found"], strict=True)
    columns["too small"] = [
        f"{text} ({share(small, found)})" if text != NOTHING and found > 0 else text for text, small, found in pairs
    ]
    sizes = sorted({int(size) for size in table["set_size"].dropna()})
    notes = [NOTE, f"Faces per set: {' or '.join(map(str, sizes))}."] if sizes else [NOTE]
    if table["corpus"].nunique() > 1:
        notes.append("Published: Shimoide & Ito, table 1; it gives no number of faces, and 30 sets of 50 per work.")
    return Layout(TITLE, head, [Group("", columns)], notes)


@table(
    "works", TITLE, NOTE, layout=layout,
    inputs=("pages", "skipped", "faces", "faces-skipped", "sets", "published/works"), number=1,
    text=("corpus", "author", "work"), section="material", order=1, folded=False,
)  # fmt: skip
def work_table(
    pages: list[str],
    skipped: "Sequence[str]" = (),
    faces: "Sequence[str]" = (),
    sets: "Sequence[str]" = (),
    published: "Sequence[str]" = (),
    faces_skipped: "Sequence[str]" = (),
) -> "pd.DataFrame":
    """One row per work, in the order of `pages`.

    Returns
    -------
    corpus (`this run` or `published`), author, work, volumes, pages; lost, material that could not be used, but for
    small faces; passed, files that are not pages; faces, those in use; small, those of too few pixels; found, all faces
    that the detector found; unused, faces in no set; sets, set_size; shared, pages that are in another work, too; and
    each cause of `egara.skipped` with its count, pages and faces together.
    """
    import pandas as pd

    unread, found, drawn = by_work(skipped, ".skipped.tsv"), by_work(faces, ".tsv"), by_work(sets, ".tsv")
    dropped = by_work(faces_skipped, ".skipped.tsv")
    rows, hashes = [], []
    for work, path in by_work(pages, ".tsv").items():
        listed = read_tsv(path, ["author", "work", "volume", "page"], text=["author", "work", "volume", "page"])
        hashes.append(set(map(str, listed["sha256"])) if "sha256" in listed else set())
        if listed.empty:
            raise EgaraError(f"{path}: no page of work {work}; expected at least one")
        row = {"corpus": "this run", "author": listed["author"].iloc[0], "work": listed["work"].iloc[0]}
        row |= {"volumes": listed["volume"].nunique(), "pages": len(listed)}
        if work in unread:
            causes = count_by_cause(read_skipped(unread[work]).to_dict("records"))
            row |= {cause: causes.get(cause, 0) for cause in CAUSES}
            row["lost"] = sum(causes.get(cause, 0) for cause in LOST)
            row["passed"] = sum(causes.get(cause, 0) for cause in OTHER)
        names = read_tsv(found[work], ["face"], text=["face"])["face"] if work in found else None
        if names is not None:
            row["faces"] = len(names)
        if names is not None and work in dropped:
            causes = count_by_cause(read_skipped(dropped[work]).to_dict("records"))
            row |= {cause: row.get(cause, 0) + causes.get(cause, 0) for cause in CAUSES}
            row["lost"] = row.get("lost", 0) + sum(causes.get(cause, 0) for cause in LOST if cause != "small")
            row["small"] = causes.get("small", 0)
            row["found"] = len(names) + row["small"] + causes.get("repeated", 0)
        if work in drawn:
            sets_of_work = read_tsv(drawn[work], ["set", "face"], text=["set", "face"])
            row |= {"sets": sets_of_work["set"].nunique(), "set_size": sets_of_work.groupby("set").size().max()}
            if names is not None:
                row["unused"] = int((~names.isin(sets_of_work["face"])).sum())
        rows.append(row)
    works_of = Counter(page for found in hashes for page in found)
    for row, found in zip(rows, hashes, strict=True):
        row["shared"] = sum(works_of[page] > 1 for page in found)
    for path in published:
        rest = read_tsv(path, ["author", "work", "volumes", "pages"], text=["author", "work"])
        rows += [{"corpus": "published", **row} for row in rest.to_dict("records")]
    columns = ["corpus", "author", "work", *NUMBERS, "set_size", "shared", *(c for c in CAUSES if c not in NUMBERS)]
    table = pd.DataFrame(rows, columns=columns)
    _log(table)
    return table


def _log(table: "pd.DataFrame") -> None:
    log, run = logger("tables"), table[table["corpus"] == "this run"]
    if shared := shared_pages(table):
        log.warning("%s", shared)
    left = ", ".join(f"{int(run[name].sum())} {what}" for name, what in SAID.items() if run[name].notna().any())
    log.info("works: left out: %s", left or "not known")
