"""Score a detector on pages with true boxes: precision, recall and average precision.

Example: egara faces evaluate --pages pages/w.tsv --boxes volumes/w.boxes.tsv --work w --output w.detector.tsv
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from egara.faces.accuracy import measure
from egara.faces.backends.annotations import read_boxes
from egara.faces.boxes import empty
from egara.faces.crops import crop_window
from egara.faces.detectors import add_arguments, load_detector, read_arguments
from egara.faces.reading import detect_pages, read_work
from egara.io.errors import EgaraError, counted
from egara.io.progress import logger, parser
from egara.io.tables import write_tsv
from egara.settings import Faces
from egara.settings.arguments import add_setting

COLUMNS = [
    "work", "pages", "faces", "precision", "recall", "ap", "threshold", "detector",
    "large", "recall_large", "min_pixels",
]  # fmt: skip
# The precision-recall curve needs boxes below the threshold as well.
CURVE_THRESHOLD = 0.05


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, detect faces, compare them with the true boxes, write one row."""
    arguments = parser(__doc__)
    arguments.add_argument("--pages", type=Path, required=True, help="table of the work's pages")
    arguments.add_argument("--boxes", type=Path, required=True, help="table of true boxes")
    arguments.add_argument("--work", required=True, help="name of the work")
    add_arguments(arguments)
    add_setting(arguments, Faces, "margin")
    add_setting(arguments, Faces, "min_pixels")
    arguments.add_argument("--output", type=Path, required=True, help="table of one row to write")
    options = arguments.parse_args(argv)
    log = logger("faces")
    settings = read_arguments(options)

    table = read_work(options.pages, options.work)
    true_boxes = read_boxes(options.boxes)
    if unknown := sorted(set(true_boxes) - set(zip(table["volume"], table["page"], strict=True))):
        volume, page = unknown[0]
        raise EgaraError(
            f"{options.boxes}: page {page} of volume {volume} is not in {options.pages}; expected its pages"
        )
    for (volume, page), boxes in true_boxes.items():
        if not (boxes[:, 2:4] > boxes[:, :2]).all():
            raise EgaraError(f"{options.boxes}: page {page} of volume {volume}: a box has no size; expected one")
    low = min(CURVE_THRESHOLD, settings.threshold_or(1.0))
    detector = load_detector(options.detector, replace(settings, threshold=low))
    found, truth, pixels = [], [], []
    for page, boxes in detect_pages(table, detector, options.batch):
        found.append(boxes)
        truth.append(true_boxes.get((page.volume, page.page), empty())[:, :4])
        height, width = page.image.shape[:2]
        windows = [crop_window(box, width, height, options.margin) for box in truth[-1]]
        pixels.append(np.array([(right - left) * (bottom - top) for left, top, right, bottom in windows]))
    threshold = settings.threshold_or(detector.default_threshold)
    scored = measure([boxes[boxes[:, 4] >= threshold] for boxes in found], truth, options.min_pixels, pixels)
    whole = measure(found, truth, options.min_pixels)
    values = (
        options.work, len(table), scored.faces, scored.precision, scored.recall, whole.ap, threshold,
        options.detector, scored.large, scored.recall_large, options.min_pixels,
    )  # fmt: skip
    import pandas as pd

    write_tsv(options.output, pd.DataFrame([dict(zip(COLUMNS, values, strict=True))]))
    log.info(
        "work %s: %s, at threshold %g precision %.3f and recall %.3f; AP %.3f, of boxes from %g",
        options.work, counted(scored.faces, "face"), threshold, scored.precision, scored.recall, whole.ap, low,
    )  # fmt: skip
