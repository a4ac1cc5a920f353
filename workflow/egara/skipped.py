"""What a stage leaves out, and why: one table beside each stage's own, one vocabulary of causes, one sentence.

Every stage that skips material writes a table `{work}.skipped.tsv` with the columns `COLUMNS`: one row per page, file,
folder or group of faces, its cause, and how many of them a row stands for. The log, the table of works and the report
count by cause; no other place names causes.
"""

from collections.abc import Iterable, Mapping

COLUMNS = ["source", "member", "cause", "count", "reason"]

# Cause → what is counted, as a person reads it. The first group is material that the study loses.
LOST = {
    "unreadable": "images that cannot be read",
    "limit": "pages beyond a limit",
    "missing": "pages that the volume names but does not hold",
    "volume": "volumes that cannot be read",
    "unseen": "pages on which faces cannot be looked for",
    "box": "boxes that lie beside their page or have no size",
    "small": "faces of too few pixels",
}
# The second is material that is no page or no face, and that nobody misses.
OTHER = {
    "system": "files of a system (thumbnails, recycle bins, hidden files)",
    "foreign": "files that are no page and no volume",
    "link": "links that are not followed",
    "duplicate": "files and volumes that are there already",
    "frames": "further pictures of an animation, which are not taken",
    "repeated": "faces that are there already",
    "faceless": "pages without a face",
}
CAUSES = LOST | OTHER


def skipped(source: object, member: str, cause: str, reason: str, count: int = 1) -> dict[str, str | int]:
    """Return one row of a table of skipped material.

    Parameters
    ----------
    source : volume or folder that the material lies in.
    member : page, file or folder inside it, or "" for the whole.
    cause : a key of `CAUSES`.
    reason : why, in one line: what was found and what was expected; a limit names its key of the configuration.
    count : how many pages, files or faces the row stands for.
    """
    if cause not in CAUSES:
        raise ValueError(f"cause {cause}; expected one of {', '.join(CAUSES)}")
    return dict(zip(COLUMNS, (str(source), member, cause, count, reason), strict=True))


def count_by_cause(rows: Iterable[Mapping]) -> dict[str, int]:
    """Return how much was skipped for each cause, in the order of `CAUSES`; causes that do not occur are left out."""
    counts = dict.fromkeys(CAUSES, 0)
    for row in rows:
        counts[row["cause"]] += int(row["count"])
    return {cause: count for cause, count in counts.items() if count}


def in_words(counts: Mapping[str, int]) -> str:
    """Return counts by cause as a phrase: `2 images that cannot be read, 3 pages beyond a limit`, or `nothing`."""
    return ", ".join(f"{count} {CAUSES[cause]}" for cause, count in counts.items()) or "nothing"
