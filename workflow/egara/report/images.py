"""Images on the page, all as data URIs: figures with their titles and captions, and smaller copies of sheets."""

import base64
import io
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from egara.io.errors import EgaraError

DC = "{http://purl.org/dc/elements/1.1/}"
PIXELS = 4 / 3  # of the page, per point of a figure
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"


@dataclass(frozen=True)
class Image:
    """An image of the page: its file, what it shows, and its bytes as a data URI. `kind` is the name of a figure."""

    path: str
    kind: str
    title: str
    caption: str
    source: str
    width: float
    height: float

    @property
    def alternative(self) -> str:
        """The text alternative, for screen readers."""
        return f"{self.title}. {self.caption}" if self.caption else self.title


def read_figure(path: str | Path) -> Image:
    """Read an SVG of `egara.figures` with its title, caption and name from the metadata.

    Raises
    ------
    EgaraError : no such file, or not an SVG.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
        root = ElementTree.fromstring(data)
    except (OSError, ElementTree.ParseError) as error:
        raise EgaraError(f"{path}: not an SVG figure ({error})") from error
    title = root.findtext(f".//{DC}title") or path.stem
    caption = root.findtext(f".//{DC}description") or ""
    kinds = [item.text or "" for item in root.findall(f".//{DC}subject/{RDF}Bag/{RDF}li")]
    _, _, width, height = (float(number) for number in root.get("viewBox", "0 0 640 480").split())
    return Image(
        str(path),
        kinds[0] if kinds else "",
        title,
        caption,
        _uri(data, "image/svg+xml"),
        width * PIXELS,
        height * PIXELS,
    )


def read_picture(path: str | Path, title: str, caption: str, side: int, quality: int = 72) -> Image:
    """Read an image as a JPEG of at most `side` pixels in width.

    Raises
    ------
    EgaraError : no such file, or not an image.
    """
    from PIL import Image as Pictures

    try:
        with Pictures.open(path) as opened:
            picture = opened.convert("RGB" if opened.mode in ("RGB", "RGBA", "P") else "L")
    except (OSError, Pictures.DecompressionBombError) as error:
        raise EgaraError(f"{path}: not an image ({error})") from error
    if picture.width > side:
        picture = picture.resize((side, round(picture.height * side / picture.width)), Pictures.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, optimize=True)
    source = _uri(buffer.getvalue(), "image/jpeg")
    return Image(str(path), "picture", title, caption, source, picture.width, picture.height)


def _uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def within(images: list[Image], budget: int) -> tuple[list[Image], list[Image]]:
    """Split images, in order, into those that together take at most `budget` bytes, and the rest."""
    kept, rest, used = [], [], 0
    for image in images:
        used += len(image.source)
        (kept if used <= budget else rest).append(image)
    return kept, rest
