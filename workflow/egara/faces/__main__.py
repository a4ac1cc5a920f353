"""Find the faces on a work's pages and cut them out.

Example: python -m egara.faces --pages pages/w.tsv --work w --output faces/w.tsv --crops faces/w --sheet faces/w.png
"""

from pathlib import Path

from egara.errors import EgaraError, run
from egara.faces.crops import COLUMNS, SHAPES, write_crops
from egara.faces.detectors import KINDS, load_detector
from egara.faces.reading import detect_pages, read_work
from egara.faces.sheet import draw_sheet
from egara.files import replacing, replacing_folder, write_tsv
from egara.progress import logger, parser


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, find and cut out faces, write crops, contact sheet and table."""
    arguments = parser(__doc__)
    arguments.prog = "python -m egara.faces"
    arguments.add_argument("--pages", type=Path, required=True, help="table of the work's pages")
    arguments.add_argument("--work", required=True, help="name of the work")
    arguments.add_argument("--detector", default="egara", help=f"one of {', '.join(KINDS)}")
    arguments.add_argument("--threshold", type=float, default=0.5, help="least score of a face, 0 to 1")
    arguments.add_argument(
        "--margin", type=float, default=0.1, help="margin on each side, as a fraction of the box's side"
    )
    arguments.add_argument("--shape", choices=SHAPES, default="square", help="shape of the crops")
    arguments.add_argument("--min-pixels", type=int, default=10_000, help="least width x height of a crop")
    arguments.add_argument("--threads", type=int, default=1, help="processor threads")
    arguments.add_argument("--batch", type=int, default=4, help="pages that are looked at together")
    arguments.add_argument("--output", type=Path, required=True, help="table of faces to write")
    arguments.add_argument("--crops", type=Path, required=True, help="folder of crops to write; an old one is replaced")
    arguments.add_argument("--sheet", type=Path, required=True, help="contact sheet to write (.png)")
    options = arguments.parse_args(argv)
    log = logger("faces")
    if not 0 <= options.threshold <= 1:
        raise EgaraError(f"--threshold {options.threshold:g}; expected 0 to 1")
    if not 0 <= options.margin <= 2:
        raise EgaraError(f"--margin {options.margin:g}; expected 0 to 2")
    if min(options.batch, options.threads) < 1 or options.min_pixels < 0:
        raise EgaraError("--batch, --threads, --min-pixels; expected at least 1, 1 and 0")

    table = read_work(options.pages, options.work)
    detector = load_detector(options.detector, options.threshold, options.threads)
    with replacing_folder(options.crops) as folder:
        found = detect_pages(table, detector, options.batch)
        result = write_crops(found, folder, options.margin, options.min_pixels, options.shape)
        summary = (
            f"work {options.work}: {len(result.rows)} faces on {result.pages} pages;"
            f" left out {result.small} below {options.min_pixels} pixels, {result.repeated} repeated"
        )
        if not result.rows:
            raise EgaraError(f"{summary} ({options.pages}, detector {options.detector}); expected at least one face")
        with replacing(options.sheet) as part:
            draw_sheet([folder / row["file"] for row in result.rows], summary).save(part)
    import pandas as pd

    write_tsv(options.output, pd.DataFrame(result.rows, columns=list(COLUMNS)))
    log.info("%s", summary)


if __name__ == "__main__":
    run(main)
