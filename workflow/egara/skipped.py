"""What a stage leaves out, and why.

Every stage that skips material writes a table `{work}.skipped.tsv` with the columns `COLUMNS`: one row per page, file,
folder or group of faces, with its cause and a count. The log, the table of works and the report count by cause.
"""

from collections.abc import Iterable, Mapping

COLUMNS = ["source", "member", "cause", "count", "reason"]

# Cause → singular and plural. Material that the study loses:
LOST = {
    "unreadable": ("unreadable image", "unreadable images"),
    "limit": ("page beyond a limit", "pages beyond a limit"),
    "missing": ("page listed but missing", "pages listed but missing"),
    "volume": ("unreadable volume", "unreadable volumes"),
    "unseen": ("page on which detection failed", "pages on which detection failed"),
    "box": ("box outside its page or without size", "boxes outside their page or without size"),
    "small": ("face with too few pixels", "faces with too few pixels"),
}
# Material that is not a page or face, or a duplicate:
OTHER = {
    "system": ("system file (thumbnail, recycle bin, hidden)", "system files (thumbnails, recycle bins, hidden)"),
    "foreign": ("file that is neither page nor volume", "files that are neither pages nor volumes"),
    "link": ("link not followed", "links not followed"),
    "duplicate": ("duplicate file or volume", "duplicate files and volumes"),
    "frames": ("further frame of an animation", "further frames of animations"),
    "repeated": ("duplicate face", "duplicate faces"),
    "faceless": ("page without a face", "pages without a face"),
}
CAUSES = LOST | OTHER


def skipped(source: object, member: str, cause: str, reason: str, count: int = 1) -> dict[str, str | int]:
    """Return one row of a table of skipped material.

    Parameters
    ----------
    source : volume or folder of the material.
    member : page, file or folder inside it, "" for the whole.
    cause : a key of `CAUSES`.
    reason : what was found and what was expected, in one line; a limit names its key in the configuration.
    count : number of pages, files or faces in the row.
    """
    if cause not in CAUSES:
        raise ValueError(f"cause {cause}; expected one of {', '.join(CAUSES)}")
    return dict(zip(COLUMNS, (str(source), member, cause, count, reason), strict=True))


def count_by_cause(rows: Iterable[Mapping]) -> dict[str, int]:
    """Return the counts of the causes that occur, in the order of `CAUSES`."""
    counts = dict.fromkeys(CAUSES, 0)
    for row in rows:
        counts[row["cause"]] += int(row["count"])
    return {cause: count for cause, count in counts.items() if count}


def describe_counts(counts: Mapping[str, int]) -> str:
    """Return counts by cause as a phrase: `1 unreadable image, 3 pages beyond a limit`, or `nothing`."""
    return ", ".join(f"{count} {CAUSES[cause][count != 1]}" for cause, count in counts.items()) or "nothing"
