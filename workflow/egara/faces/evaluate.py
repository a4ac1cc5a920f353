"""Score a detector on pages whose faces are known: precision, recall and average precision.

Example: python -m egara.faces.evaluate --pages pages/w.tsv --boxes volumes/w.boxes.tsv --work w --output w.detector.tsv
"""

from pathlib import Path

import numpy as np

from egara.errors import EgaraError, run
from egara.faces.accuracy import measure
from egara.faces.backends.annotations import read_boxes
from egara.faces.boxes import empty
from egara.faces.detectors import KINDS, load_detector
from egara.faces.reading import detect_pages, read_work
from egara.files import write_tsv
from egara.progress import logger, parser

COLUMNS = [
    "work", "pages", "faces", "precision", "recall", "ap", "threshold", "detector",
    "large", "recall_large", "min_pixels",
]  # fmt: skip
# The curve of precision over recall needs what lies below the threshold as well.
LOW = 0.05


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, detect, compare with the truth, write one row."""
    arguments = parser(__doc__)
    arguments.add_argument("--pages", type=Path, required=True, help="table of the work's pages")
    arguments.add_argument("--boxes", type=Path, required=True, help="table of true boxes")
    arguments.add_argument("--work", required=True, help="name of the work")
    arguments.add_argument("--detector", default="egara", help=f"one of {', '.join(KINDS)}")
    arguments.add_argument("--threshold", type=float, default=0.5, help="least score of a face, 0 to 1")
    arguments.add_argument("--min-pixels", type=int, default=10_000, help="area from which a face counts as large")
    arguments.add_argument("--threads", type=int, default=1, help="processor threads")
    arguments.add_argument("--batch", type=int, default=4, help="pages that are looked at together")
    arguments.add_argument("--output", type=Path, required=True, help="table of one row to write")
    options = arguments.parse_args(argv)
    log = logger("faces")
    if not 0 <= options.threshold <= 1 or min(options.batch, options.threads) < 1:
        raise EgaraError("--threshold, --batch, --threads; expected 0 to 1, at least 1 and at least 1")

    table = read_work(options.pages, options.work)
    true_boxes = read_boxes(options.boxes)
    if unknown := sorted(set(true_boxes) - set(zip(table["volume"], table["page"], strict=True))):
        volume, page = unknown[0]
        raise EgaraError(
            f"{options.boxes}: page {page} of volume {volume} is not in {options.pages}; expected its pages"
        )
    detector = load_detector(options.detector, min(LOW, options.threshold), options.threads)
    found, truth = [], []
    for page, boxes in detect_pages(table, detector, options.batch):
        found.append(boxes)
        truth.append(true_boxes.get((page.volume, page.page), empty())[:, :4])
    sure = measure([boxes[boxes[:, 4] >= options.threshold] for boxes in found], truth, options.min_pixels)
    whole = measure(found, truth, options.min_pixels)
    values = (
        options.work, len(table), sure.faces, sure.precision, sure.recall, whole.ap, options.threshold,
        options.detector, sure.large, sure.recall_large, options.min_pixels,
    )  # fmt: skip
    import pandas as pd

    write_tsv(options.output, pd.DataFrame([dict(zip(COLUMNS, values, strict=True))]))
    log.info(
        "work %s: %d faces, precision %.3f, recall %.3f, AP %.3f", options.work, sure.faces, *np.round(values[3:6], 3)
    )


if __name__ == "__main__":
    run(main)
