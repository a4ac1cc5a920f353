"""List the pages of a work's volumes in reading order, with size and SHA-256.

A volume is a folder of images, a CBZ/ZIP, CBT, CB7, CBR, EPUB or PDF, or a book of Manga109 (images/<book>).
"""

from pathlib import Path

from egara.corpus.limits import parse_limits
from egara.corpus.names import PAGES, is_volume
from egara.corpus.pages import COLUMNS, NoPage, Volume, list_volume, remove_duplicates
from egara.corpus.sources import find_volumes, name_volumes
from egara.io.errors import EgaraError, counted
from egara.io.progress import bar, logger, parser
from egara.io.tables import write_tsv
from egara.settings import Pages
from egara.settings.arguments import add_setting
from egara.skipped import COLUMNS as SKIPPED
from egara.skipped import LOST, count_by_cause, describe_counts, skipped


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, list the pages, write both tables."""
    arguments = parser(__doc__)
    arguments.add_argument("--author", required=True, help="author, as the works table names them")
    arguments.add_argument("--work", required=True, help="work, as the works table names it")
    arguments.add_argument(
        "--volumes",
        required=True,
        nargs="+",
        help="files, folders of images, folders of volumes, or globs; volumes of one value are in natural order",
    )
    add_setting(arguments, Pages, "unreadable")
    add_setting(arguments, Pages, "max_pixels")
    arguments.add_argument(
        "--limits",
        nargs="*",
        default=[],
        metavar="KEY=VALUE",
        help="limits that differ from their defaults, such as member=512",
    )
    add_setting(arguments, Pages, "dpi")
    arguments.add_argument("--output", required=True, help="table of pages to write")
    arguments.add_argument("--skipped", required=True, help="table to write of everything left out")
    options = arguments.parse_args(argv)
    limits = parse_limits(options.limits, options.max_pixels)

    log = logger("corpus")
    found = find_volumes(options.volumes, limits)
    for warning in found.warnings:
        log.warning("%s", warning)
    rows = list(found.skipped)
    if lost := [row for row in rows if row["cause"] in LOST and options.unreadable == "error"]:
        raise EgaraError(f"{lost[0]['source']}: {lost[0]['member']}: {lost[0]['reason']} (pages.unreadable)")
    volumes: list[Volume] = []
    with bar(total=len(found.volumes), unit="volume") as watched:
        for path, name in zip(found.volumes, name_volumes(found.volumes), strict=True):
            watched.set_postfix_str(name)
            try:
                volume = list_volume(
                    path,
                    name,
                    options.author,
                    options.work,
                    unreadable=options.unreadable,
                    limits=limits,
                    dpi=options.dpi,
                )
            except EgaraError as error:
                if options.unreadable == "error" or len(found.volumes) == 1:
                    raise
                log.warning("%s; continuing with the other volumes", error)
                rows += [*_lost(path, error), *(error.skipped if isinstance(error, NoPage) else [])]
            else:
                for warning in volume.warnings:
                    log.warning("%s", warning)
                left = count_by_cause(volume.skipped)
                log.info("volume %s: %s; left out: %s", name, counted(len(volume.pages), "page"), describe_counts(left))
                volumes.append(volume)
                rows += volume.skipped
            watched.update()
    if not volumes:
        raise EgaraError(
            f"work {options.work}: none of its {counted(len(found.volumes), 'volume')} can be read "
            f"({rows[-1]['reason']})"
        )
    copies = remove_duplicates(volumes)
    for row in copies:
        if options.unreadable == "error":
            raise EgaraError(f"{row['source']}: {row['reason']}; expected each volume once")
        log.warning("%s: %s", row["source"], row["reason"])
    rows += copies

    import pandas as pd

    pages = [row for volume in volumes for row in volume.pages]
    write_tsv(options.skipped, pd.DataFrame(rows, columns=SKIPPED))
    write_tsv(options.output, pd.DataFrame(pages, columns=COLUMNS))
    log.info(
        "work %s: %s in %s; left out: %s (%s)",
        options.work,
        counted(len(pages), "page"),
        counted(sum(bool(volume.pages) for volume in volumes), "volume"),
        describe_counts(count_by_cause(rows)),
        options.skipped,
    )


def _lost(path: Path, error: EgaraError) -> list[dict[str, str | int]]:
    """Return the row of an unreadable volume, or of another file that a glob matched."""
    known = path.is_dir() or is_volume(path.name) or path.suffix.lower() in PAGES
    return [skipped(path, "", "volume" if known else "foreign", str(error).removeprefix(f"{path}: "))]
