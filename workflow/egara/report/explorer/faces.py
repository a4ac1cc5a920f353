"""Strips of faces: one sheet of thumbnails per work, and the places of each LoRA's first faces on it."""

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING

from egara.io.errors import EgaraError
from egara.io.tables import read_tsv

if TYPE_CHECKING:
    import pandas as pd

SIDE, SHOWN, COLUMNS = 42, 6, 16


def make_sheet(sets: "pd.DataFrame", folder: Path, chosen: list[str]) -> dict[str, object]:
    """Put the first faces of the sets named in `chosen` on one sheet.

    Returns
    -------
    sheet : JPEG as data URI.
    side, columns : of the sheet's thumbnails, pixels and number per row.
    strips : numbers of thumbnails by set.
    """
    from PIL import Image

    first = (
        sets[sets["set"].isin(chosen)].astype({"order": int}).sort_values(["set", "order"]).groupby("set").head(SHOWN)
    )
    files = list(dict.fromkeys(first["file"]))
    sheet = Image.new("L", (SIDE * min(COLUMNS, max(len(files), 1)), SIDE * max(1, -(-len(files) // COLUMNS))), 255)
    for place, name in enumerate(files):
        try:
            with Image.open(folder / name) as picture:
                picture = picture.convert("L")
                picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        except OSError as error:
            raise EgaraError(f"{folder / name}: not a picture ({error}); expected a crop of a face") from error
        corner = (place % COLUMNS * SIDE, place // COLUMNS * SIDE)
        sheet.paste(picture, (corner[0] + (SIDE - picture.width) // 2, corner[1] + (SIDE - picture.height) // 2))
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=60, optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    places = {name: place for place, name in enumerate(files)}
    strips = {name: [places[file] for file in part["file"]] for name, part in first.groupby("set")}
    return {"sheet": f"data:image/jpeg;base64,{data}", "side": SIDE, "columns": COLUMNS, "strips": strips}


def read_sheets(sets: list[str], crops: list[str], chosen: dict[str, list[str]]) -> dict[str, dict[str, object]]:
    """Make the sheet of each work that `chosen` names, from its table of sets and its folder of crops."""
    sheets = {}
    for table, folder in zip(sets, crops, strict=True):
        work = Path(table).stem
        if work in chosen:
            rows = read_tsv(table, ["set", "order", "face", "file"], text=["set", "face", "file"])
            sheets[work] = make_sheet(rows, Path(folder), chosen[work])
    return sheets
