"""A contact sheet: a work's first crops on one picture, for a person to look at."""

from collections.abc import Sequence
from pathlib import Path

SIDE, GAP, COLUMNS, MOST = 96, 6, 10, 100
HEADING = 30
GROUND, INK = 245, 30


def draw_sheet(files: Sequence[Path], heading: str) -> "object":
    """Return a PIL image with the first 100 crops in a grid under a line of text; their shapes are kept."""
    from PIL import Image, ImageDraw, ImageFont

    shown = files[:MOST]
    rows = -(-len(shown) // COLUMNS)
    step = SIDE + GAP
    sheet = Image.new("L", (COLUMNS * step + GAP, HEADING + rows * step + GAP), GROUND)
    ImageDraw.Draw(sheet).text((GAP, GAP), heading, fill=INK, font=ImageFont.load_default(size=15))
    for number, file in enumerate(shown):
        with Image.open(file) as opened:
            crop = opened.convert("L")
        scale = SIDE / max(crop.size)
        crop = crop.resize([max(1, round(side * scale)) for side in crop.size], Image.Resampling.LANCZOS)
        row, column = divmod(number, COLUMNS)
        place = GAP + column * step + (SIDE - crop.width) // 2, HEADING + row * step + (SIDE - crop.height) // 2
        sheet.paste(crop, place)
    return sheet
