"""Table 1: authors, works, volumes, pages and faces of this run, and the published corpus below it."""

from pathlib import Path
from typing import TYPE_CHECKING

from egara.errors import EgaraError, run
from egara.files import read_tsv
from egara.progress import logger, parser
from egara.tables.layout import Group, Layout, count
from egara.tables.writing import write_table

if TYPE_CHECKING:
    import pandas as pd


def by_work(paths: list[str], ending: str) -> dict[str, str]:
    """Sort files by work: the name before `ending`; two files of one work are an error."""
    found: dict[str, str] = {}
    for path in paths:
        work = Path(path).name.removesuffix(ending)
        if work in found or not Path(path).name.endswith(ending):
            raise EgaraError(f"{path}: expected one file a work, named {{work}}{ending}")
        found[work] = path
    return found


def work_table(
    pages: list[str], skipped: list[str], faces: list[str], sets: list[str], published: str | None = None
) -> "pd.DataFrame":
    """One row a work, in the order of `pages`.

    Returns
    -------
    corpus (`this run` or `published`), author, work, volumes, pages, skipped, faces, sets, set_size.
    """
    import pandas as pd

    unread, found, drawn = by_work(skipped, ".skipped.tsv"), by_work(faces, ".tsv"), by_work(sets, ".tsv")
    rows = []
    for work, path in by_work(pages, ".tsv").items():
        listed = read_tsv(path, ["author", "work", "volume", "page"], text=["author", "work", "volume", "page"])
        if listed.empty:
            raise EgaraError(f"{path}: no page of work {work}; expected at least one")
        row = {"corpus": "this run", "author": listed["author"].iloc[0], "work": listed["work"].iloc[0]}
        row |= {"volumes": listed["volume"].nunique(), "pages": len(listed)}
        row["skipped"] = len(read_tsv(unread[work], [])) if work in unread else float("nan")
        row["faces"] = len(read_tsv(found[work], ["face"])) if work in found else float("nan")
        if work in drawn:
            sets_of_work = read_tsv(drawn[work], ["set", "face"], text=["set"])
            row |= {"sets": sets_of_work["set"].nunique(), "set_size": sets_of_work.groupby("set").size().max()}
        rows.append(row)
    if published:
        rest = read_tsv(published, ["author", "work", "volumes", "pages"], text=["author", "work"])
        rows += [{"corpus": "published", **row} for row in rest.to_dict("records")]
    columns = ["corpus", "author", "work", "volumes", "pages", "skipped", "faces", "sets", "set_size"]
    return pd.DataFrame(rows, columns=columns)


def layout(table: "pd.DataFrame") -> Layout:
    """Lay the table out, an author's name once, the sum of a corpus below it."""
    import pandas as pd

    numbers = ["volumes", "pages", "skipped", "faces", "sets"]
    parts = []
    for corpus, part in table.groupby("corpus", sort=False):
        sums = part[numbers].sum(min_count=1)
        parts += [part, pd.DataFrame([{"corpus": corpus, "author": "", "work": "together", **sums}])]
    shown = pd.concat(parts, ignore_index=True)
    again = (shown["author"] == shown["author"].shift()) & (shown["corpus"] == shown["corpus"].shift())
    head = {"author": ["" if same else name for name, same in zip(shown["author"], again, strict=True)]}
    head["work"] = shown["work"].tolist()
    if table["corpus"].nunique() > 1:
        first = shown["corpus"] != shown["corpus"].shift()
        head = {"corpus": [name if new else "" for name, new in zip(shown["corpus"], first, strict=True)], **head}
    headings = {"volumes": "volumes", "pages": "pages", "skipped": "skipped", "faces": "faces", "sets": "sets"}
    columns = {heading: [count(v) for v in shown[name]] for name, heading in headings.items()}
    sizes = sorted({int(size) for size in table["set_size"].dropna()})
    of = f" of {' or '.join(map(str, sizes))} faces" if sizes else ""
    notes = [
        f"skipped: images that could not be read; faces: crops of enough pixels, none twice; sets: drawn{of}, "
        "one LoRA each in every cell."
    ]
    if table["corpus"].nunique() > 1:
        notes.append("Published: Shimoide & Ito, table 1; it gives no number of faces, and 30 sets of 50 a work.")
    return Layout("Works", head, [Group("", columns)], notes)


def main(argv: list[str] | None = None) -> None:
    """Read what the first stages listed and write the table."""
    arguments = parser(__doc__)
    arguments.add_argument("--pages", required=True, nargs="+", help="pages/{work}.tsv, in the order of the rows")
    arguments.add_argument("--skipped", nargs="*", default=[], help="pages/{work}.skipped.tsv")
    arguments.add_argument("--faces", nargs="*", default=[], help="faces/{work}.tsv")
    arguments.add_argument("--sets", nargs="*", default=[], help="sets/{work}.tsv")
    arguments.add_argument("--published", help="published corpus: author, work, volumes, pages (.tsv)")
    arguments.add_argument("--output", required=True, nargs="+", help="tables to write (.tsv, .md, .tex)")
    options = arguments.parse_args(argv)
    table = work_table(options.pages, options.skipped, options.faces, options.sets, options.published)
    write_table(options.output, table, layout(table))
    logger("tables").info("works: %d rows: %s", len(table), options.output[0])


if __name__ == "__main__":
    run(main)
