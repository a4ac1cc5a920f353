"""Contact sheets: the first crops of a work in one image."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE, GAP, HEADING_HEIGHT = 96, 6, 30  # pixels
COLUMNS, MAX_CROPS = 10, 100
BACKGROUND, INK = 245, 30


def render_sheet(files: Sequence[Path], heading: str) -> "Image":
    """Return the first 100 crops in a grid under a heading; aspect ratios are kept."""
    from PIL import Image, ImageDraw, ImageFont

    shown = files[:MAX_CROPS]
    rows = -(-len(shown) // COLUMNS)
    step = SIDE + GAP
    sheet = Image.new("L", (COLUMNS * step + GAP, HEADING_HEIGHT + rows * step + GAP), BACKGROUND)
    ImageDraw.Draw(sheet).text((GAP, GAP), heading, fill=INK, font=ImageFont.load_default(size=15))
    for number, file in enumerate(shown):
        with Image.open(file) as opened:
            crop = opened.convert("L")
        scale = SIDE / max(crop.size)
        crop = crop.resize([max(1, round(side * scale)) for side in crop.size], Image.Resampling.LANCZOS)
        row, column = divmod(number, COLUMNS)
        place = GAP + column * step + (SIDE - crop.width) // 2, HEADING_HEIGHT + row * step + (SIDE - crop.height) // 2
        sheet.paste(crop, place)
    return sheet
