"""The table of volumes to compose: which drawing kit, and which part of it, each work is drawn from."""

from pathlib import Path

from egara.io.errors import EgaraError
from egara.io.spreadsheets import read_sheet
from egara.works import Work

CAST_COLUMNS = ("work", "style", "part", "parts", "characters", "volumes", "pages")


def read_casts(path: str | Path | None, works: list[Work]) -> dict[str, dict[str, str]]:
    """Read the table of volumes to compose, one row per work; without one all volumes are the user's own."""
    if path is None:
        return {}
    casts: dict[str, dict[str, str]] = {}
    for number, cells in read_sheet(path, CAST_COLUMNS).rows:
        if cells["work"] in casts:
            raise EgaraError(f"{path}, row {number}: work {cells['work']} appears twice; expected one row per work")
        casts[cells["work"]] = cells
    if missing := sorted({work.work for work in works} - set(casts)):
        raise EgaraError(f"{path}: no cast for work {', '.join(missing)}; expected one row per work of the works table")
    return casts
