"""What a stage leaves out, and why: one table next to each stage's own, one vocabulary of causes, one sentence.

Every stage that skips material writes a table `{work}.skipped.tsv` with the columns `COLUMNS`: one row per page, file,
folder or group of faces, its cause, and how many of them a row stands for. The log, the table of works and the report
count by cause; no other place names causes.
"""

from collections.abc import Iterable, Mapping

COLUMNS = ["source", "member", "cause", "count", "reason"]

# Cause → one of what is counted, and several. The first group is material that the study loses.
LOST = {
    "unreadable": ("image that cannot be read", "images that cannot be read"),
    "limit": ("page beyond a limit", "pages beyond a limit"),
    "missing": ("page that the volume names but does not hold", "pages that the volume names but does not hold"),
    "volume": ("volume that cannot be read", "volumes that cannot be read"),
    "unseen": ("page on which faces cannot be looked for", "pages on which faces cannot be looked for"),
    "box": ("box outside its page or without size", "boxes outside their page or without size"),
    "small": ("face of too few pixels", "faces of too few pixels"),
}
# The second is material that is no page or no face, or is there already.
OTHER = {
    "system": ("system file (thumbnail, recycle bin, hidden)", "system files (thumbnails, recycle bins, hidden)"),
    "foreign": ("file that is no page and no volume", "files that are no page and no volume"),
    "link": ("link that is not followed", "links that are not followed"),
    "duplicate": ("file or volume that is there already", "files and volumes that are there already"),
    "frames": ("further picture of an animation", "further pictures of animations"),
    "repeated": ("face that is there already", "faces that are there already"),
    "faceless": ("page without a face", "pages without a face"),
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
    """Return counts by cause as a phrase: `1 image that cannot be read, 3 pages beyond a limit`, or `nothing`."""
    return ", ".join(f"{count} {CAUSES[cause][count != 1]}" for cause, count in counts.items()) or "nothing"
