"""Detect the faces on the pages of a work and crop them.

Example: egara faces --pages pages/w.tsv --work w --output faces/w.tsv --crops faces/w --sheet faces/w.png
"""

import argparse
from pathlib import Path

from egara.faces.crops import COLUMNS, Cropping, describe_small, write_crops
from egara.faces.detectors import add_arguments, load_detector, read_arguments
from egara.faces.reading import detect_pages, read_work
from egara.faces.sheet import render_sheet
from egara.io.atomic import replacing, replacing_folder
from egara.io.errors import EgaraError, counted
from egara.io.progress import logger, parser
from egara.io.tables import write_tsv
from egara.settings import Faces, Pages
from egara.settings.arguments import add_setting
from egara.skipped import COLUMNS as SKIPPED_COLUMNS
from egara.skipped import count_by_cause, describe_counts


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, detect and crop faces, write crops, contact sheet and tables."""
    arguments = parser(__doc__)
    arguments.add_argument("--pages", type=Path, required=True, help="table of the work's pages")
    arguments.add_argument("--work", required=True, help="name of the work")
    add_arguments(arguments)
    add_setting(arguments, Faces, "margin")
    add_setting(arguments, Faces, "min_pixels")
    add_setting(arguments, Pages, "unreadable", help="what to do with a page on which the detector fails")
    arguments.add_argument("--output", type=Path, required=True, help="table of faces to write")
    arguments.add_argument("--crops", type=Path, required=True, help="folder of crops to write or replace")
    arguments.add_argument("--sheet", type=Path, required=True, help="contact sheet to write (.png)")
    arguments.add_argument(
        "--skipped", type=Path, help="table to write of everything left out; default: next to the table of faces"
    )
    options = arguments.parse_args(argv)
    log = logger("faces")

    table = read_work(options.pages, options.work)
    detector = load_detector(options.detector, read_arguments(options))
    left_out: list[dict[str, str | int]] = []
    with replacing_folder(options.crops) as folder:
        found = detect_pages(table, detector, options.batch, left_out, options.unreadable)
        result = write_crops(found, folder, options.margin, options.min_pixels)
        left_out += result.left_out
        summary = (
            f"work {options.work}: {counted(len(result.rows), 'face')} on {counted(result.pages, 'page')}; "
            f"left out: {describe_counts(count_by_cause(left_out))}"
        )
        if result.found:
            log.info("work %s: %s", options.work, describe_small(result, options.min_pixels))
        if not result.rows:
            raise EgaraError(f"{summary} ({_why(result, left_out, options)}); expected at least one face")
        with replacing(options.sheet) as part:
            render_sheet([folder / row["file"] for row in result.rows], summary).save(part)
    import pandas as pd

    skipped = options.skipped or options.output.with_name(f"{options.output.stem}.skipped.tsv")
    write_tsv(skipped, pd.DataFrame(left_out, columns=SKIPPED_COLUMNS))
    write_tsv(options.output, pd.DataFrame(result.rows, columns=list(COLUMNS)))
    log.info("%s", summary)


def _why(result: Cropping, left_out: list[dict[str, str | int]], options: argparse.Namespace) -> str:
    """Return why a work has no face at all."""
    if result.small:
        return describe_small(result, options.min_pixels)
    failed = [row for row in left_out if row["cause"] in ("unseen", "box")]
    if failed:
        return f"first {failed[0]['member']}: {failed[0]['reason']}"
    return f"{options.pages}, detector {options.detector}, threshold {options.threshold}"
