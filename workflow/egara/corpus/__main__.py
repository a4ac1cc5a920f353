"""List the pages of a work's volumes: size, SHA-256 and place of each, in reading order.

A volume is a folder of images, a CBZ/ZIP, CBT, CB7, CBR, EPUB or PDF, or a book of Manga109 (images/<book>).
"""

from egara.corpus.images import PIXELS
from egara.corpus.limits import MEBIBYTE, MEMBER_MEBIBYTES, MEMBERS, RATIO, Limits
from egara.corpus.pages import COLUMNS, SKIPPED_COLUMNS, check_distinct, list_volume
from egara.corpus.sources import find_volumes, name_volumes
from egara.errors import EgaraError, run
from egara.files import write_tsv
from egara.progress import bar, logger, parser


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, list the pages, write both tables."""
    arguments = parser(__doc__)
    arguments.prog = "python -m egara.corpus"
    arguments.add_argument("--author", required=True, help="author, as the works table names them")
    arguments.add_argument("--work", required=True, help="work, as the works table names it")
    arguments.add_argument(
        "--volumes",
        required=True,
        nargs="+",
        help="files, folders of images, folders of volumes, or globs; one value's volumes come in natural order",
    )
    arguments.add_argument(
        "--unreadable", choices=["skip", "error"], default="skip", help="what an image is that cannot be read"
    )
    arguments.add_argument("--max-pixels", type=int, default=Limits.pixels, help="most pixels that a page may have")
    arguments.add_argument(
        "--max-member", type=int, default=Limits.member_bytes // MEBIBYTE, help="most MiB that a member unpacks to"
    )
    arguments.add_argument("--max-members", type=int, default=Limits.members, help="most members of an archive")
    arguments.add_argument(
        "--max-ratio", type=int, default=Limits.ratio, help="most times that a large member or archive may unpack to"
    )
    arguments.add_argument("--dpi", type=float, default=150, help="resolution at which a PDF is rendered")
    arguments.add_argument("--output", required=True, help="table of pages to write")
    arguments.add_argument("--skipped", required=True, help="table of unreadable images to write")
    options = arguments.parse_args(argv)
    log = logger("corpus")
    bounds = {"max_pixels": PIXELS, "max_member": MEMBER_MEBIBYTES, "max_members": MEMBERS, "max_ratio": RATIO}
    for name, most in bounds.items():
        if not 1 <= (value := getattr(options, name)) <= most:
            raise EgaraError(f"--{name.replace('_', '-')} {value}; expected 1 to {most}")
    if not 1 <= options.dpi <= 2400:
        raise EgaraError(f"--dpi {options.dpi:g}; expected 1 to 2400")

    limits = Limits(
        pixels=options.max_pixels,
        member_bytes=options.max_member * MEBIBYTE,
        members=options.max_members,
        ratio=options.max_ratio,
    )
    paths, warnings = find_volumes(options.volumes)
    for warning in warnings:
        log.warning("%s", warning)
    volumes = []
    with bar(total=len(paths), unit="volume") as watched:
        for path, name in zip(paths, name_volumes(paths), strict=True):
            watched.note(name)
            volume = list_volume(
                path,
                name,
                options.author,
                options.work,
                unreadable=options.unreadable,
                limits=limits,
                dpi=options.dpi,
            )
            for warning in volume.warnings:
                log.warning("%s", warning)
            log.info("volume %s: %d pages, %d skipped", name, len(volume.pages), len(volume.skipped))
            volumes.append(volume)
            watched.update()
    check_distinct(volumes)

    import pandas as pd

    pages = [row for volume in volumes for row in volume.pages]
    skipped = [row for volume in volumes for row in volume.skipped]
    write_tsv(options.skipped, pd.DataFrame(skipped, columns=SKIPPED_COLUMNS))
    write_tsv(options.output, pd.DataFrame(pages, columns=COLUMNS))
    log.info(
        "work %s: %d pages in %d volumes, %d skipped (%s)",
        options.work,
        len(pages),
        len(volumes),
        len(skipped),
        options.skipped,
    )


if __name__ == "__main__":
    run(main)
