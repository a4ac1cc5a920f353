"""Compose one work's volumes from a drawing kit, with all true face boxes.

Writes a folder of CBZ archives with ComicInfo.xml, and a table of boxes: volume, page, left, top, right, bottom,
style, character. The same arguments write the same bytes.
"""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from egara.demo.artists import attribution
from egara.demo.cbz import comic_info, write_cbz
from egara.demo.composition import CastMember, Page, compose_page
from egara.demo.drawings import cast_variants, character_name
from egara.io.atomic import replacing_folder
from egara.io.errors import EgaraError
from egara.io.progress import bar, logger, parser
from egara.io.tables import write_tsv
from egara.settings import Settings
from egara.settings.arguments import add_setting

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["volume", "page", "left", "top", "right", "bottom", "style", "character"]
# In every work, odd volumes are clean PNG files and even ones scanned JPEG files. If formats differed between works,
# noise instead of drawing could distinguish them.
FORMATS = (("png", 0.0), ("jpg", 0.5))
JPEG_QUALITY = 90


def make_cast(style: str, part: int, parts: int, characters: int) -> list[CastMember]:
    """Return the characters of a work.

    Raises
    ------
    EgaraError : an unknown style, a part outside 0 to parts - 1, no characters, or a kit too small for disjoint casts.
    """
    if characters < 1:
        raise EgaraError(f"style {style}: {characters} characters; expected at least 1")
    if not cast_variants(style, part, parts) and parts > 1:
        raise EgaraError(f"style {style}: too few variants for {parts} disjoint casts; expected fewer parts")
    return [CastMember(style, character_name(style, part, parts, n), part, parts) for n in range(characters)]


def describe_volume(work: str, author: str, style: str, parts: int, number: int, volumes: int, pages: int) -> bytes:
    """Return a volume's ComicInfo.xml; its notes name the drawing kit."""
    kit = attribution(style)
    licence = " ".join(filter(None, (kit["licence"], kit["licence_url"])))
    cast = f" The cast is one of {parts} disjoint parts of the kit, which is our construction too." if parts > 1 else ""
    notes = (
        f"Constructed for a demonstration; no such volume was published. The heads are drawings from the kit"
        f" {kit['title']} ({style}) by {kit['creator']}, licence: {licence}; changed in colour, size and tilt, with"
        f" outlines added.{cast} Panels, backgrounds, balloons and most bodies are by this project."
    )
    return comic_info(
        {
            "Title": f"{work} v{number:02d}", "Series": work, "Number": number, "Count": volumes, "Notes": notes,
            "Writer": author, "Penciller": author, "Web": kit["source_url"], "PageCount": pages,
            "BlackAndWhite": "Yes", "Manga": "YesAndRightToLeft",
        }
    )  # fmt: skip


def compose_volumes(
    folder: Path,
    cast: list[CastMember],
    author: str,
    work: str,
    volumes: int,
    pages: int,
    seed: int,
    composed: Callable[[], None] = lambda: None,
) -> "pd.DataFrame":
    """Write the volumes of a work into `folder` and return its table of faces; call `composed` after each page."""
    import pandas as pd

    rows = []
    for number in range(1, volumes + 1):
        volume = f"{work} v{number:02d}"
        suffix, scan = FORMATS[(number - 1) % len(FORMATS)]
        info = describe_volume(work, author, cast[0].style, cast[0].parts, number, volumes, pages)
        members = [("ComicInfo.xml", info)]
        for index in range(1, pages + 1):
            name = f"p{index:03d}.{suffix}"
            page = compose_page(cast, f"{volume}/p{index:03d}", seed, scan=scan)
            members.append((name, encode_page(page, suffix)))
            rows += [
                (volume, name, face.left, face.top, face.right, face.bottom, face.style, face.character)
                for face in page.faces
            ]
            composed()
        write_cbz(folder / f"{volume}.cbz", members)
    return pd.DataFrame(rows, columns=COLUMNS)


def encode_page(page: Page, suffix: str) -> bytes:
    """Return a page as the bytes of a `png` or `jpg` file."""
    stream = BytesIO()
    if suffix == "png":
        page.image.save(stream, "PNG", compress_level=4)
    else:
        page.image.save(stream, "JPEG", quality=JPEG_QUALITY)
    return stream.getvalue()


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, compose the volumes, write the folder and the table."""
    arguments = parser(__doc__)
    arguments.add_argument("--style", required=True, help="drawing kit")
    arguments.add_argument("--part", type=int, default=0, help="index of the cast among the kit's disjoint casts")
    arguments.add_argument("--parts", type=int, default=1, help="number of disjoint casts that the kit is split into")
    arguments.add_argument("--characters", type=int, default=8, help="number of characters")
    arguments.add_argument("--author", help="author, as in the works table; default: the kit's creator")
    arguments.add_argument("--work", required=True, help="work, as in the works table")
    arguments.add_argument("--volumes", type=int, default=2, help="number of volumes")
    arguments.add_argument("--pages", type=int, default=12, help="pages per volume")
    add_setting(arguments, Settings, "seed")
    arguments.add_argument("--output", required=True, help="folder to write")
    arguments.add_argument("--boxes", required=True, help="table of face boxes to write")
    options = arguments.parse_args(argv)
    log = logger("volumes")
    if not options.work.strip() or set(options.work) & set("/\\\t\n"):
        raise EgaraError(f"--work {options.work!r}: not a valid file name; expected a name without slash or tab")
    for option, most in (("volumes", 99), ("pages", 999)):
        if not 1 <= getattr(options, option) <= most:
            raise EgaraError(f"--{option} {getattr(options, option)}; expected 1 to {most}")

    cast = make_cast(options.style, options.part, options.parts, options.characters)
    author = options.author or attribution(options.style)["creator"]
    total = options.volumes * options.pages
    with replacing_folder(options.output) as folder, bar(total=total, unit="page") as watched:
        table = compose_volumes(
            folder, cast, author, options.work, options.volumes, options.pages, options.seed, watched.update
        )
    write_tsv(options.boxes, table)
    log.info(
        "work %s: %d volumes, %d pages, %d faces (%s)", options.work, options.volumes, total, len(table), options.output
    )
