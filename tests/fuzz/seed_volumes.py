"""Small valid volumes, images and documents for fuzzing to start from."""

import contextlib
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from containers import epub_members, write_tar, write_zip
from PIL import Image
from PIL.PngImagePlugin import PngInfo

COMIC = b"<ComicInfo><Series>A Work</Series><Writer>An Author, B</Writer><Penciller>C</Penciller></ComicInfo>"


def written(writer: Callable, *content: object) -> bytes:
    """Return what a writer leaves in a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        writer(path, *content)
        return path.read_bytes()


def picture(kind: str, mode: str = "L", side: int = 12) -> bytes:
    """Return a small picture of noise."""
    file = BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (side, side + 3), np.uint8)
    Image.fromarray(noise).convert(mode).save(file, kind)
    return file.getvalue()


def members() -> dict[str, bytes]:
    """Return an archive's members."""
    return {"1.png": picture("PNG"), "b/2.jpg": picture("JPEG"), "ComicInfo.xml": COMIC, "notes.txt": b"words"}


def pages_of(kind: str, **options: object) -> bytes:
    """Return a file of three pictures."""
    file = BytesIO()
    frames = [Image.new("L", (12, 9), 60 * n) for n in range(3)]
    frames[0].save(file, kind, save_all=True, append_images=frames[1:], **options)
    return file.getvalue()


def nested() -> dict[str, bytes]:
    """Return the members of an archive with volumes inside, one of them in another."""
    inner = written(write_zip, members())
    outer = written(write_zip, {"deep.cbz": inner, "1.png": picture("PNG")})
    return {
        "a.cbz": inner,
        "b.cbt": written(write_tar, members()),
        "c/d.zip": outer,
        "e.pdf": documents()[0],
        **members(),
    }


def odd_zips() -> list[bytes]:
    """Return archives without their directory, behind other bytes, with other names in the members' headers."""
    whole = written(write_zip, members())
    place = whole.index(b"PK\x01\x02")
    return [whole[:place], b"MZ" + bytes(70) + whole, whole[:place].replace(b"b/2.jpg", b"b\\2.jpg") + whole[place:]]


def added_formats() -> list[bytes]:
    """Return pictures of the formats whose packages are installed."""
    found = []
    with contextlib.suppress(ImportError):
        import pillow_jxl  # noqa: F401

        found.append(picture("JXL"))
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
        found.append(picture("HEIF", side=40))
    return found


def odd_pictures() -> list[bytes]:
    """Return pictures with several frames, a progressive one, one cut at its end, and one with metadata."""
    progressive = BytesIO()
    Image.new("RGB", (20, 16), "red").save(progressive, "JPEG", progressive=True)
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", "x" * 3000, zip=True)
    labelled = BytesIO()
    Image.new("P", (9, 7)).save(labelled, "PNG", pnginfo=text, transparency=0)
    several = [pages_of(kind) for kind in ("TIFF", "GIF", "WEBP", "PNG", "MPO")]
    return [
        *several,
        progressive.getvalue(),
        picture("JPEG")[:-2],
        b"\r\n" + picture("JPEG"),
        labelled.getvalue(),
        *added_formats(),
    ]


def shelf() -> dict[str, bytes]:
    """Return an EPUB's members whose pages show their images by style sheets, objects and sources."""
    sheet = b"p.a, #b > i {background: #fff url('../images/c.png')} /* {} */"
    text = b"""<link rel="stylesheet" href="s.css"/><p class="a"/><object data="..\\images\\A.PNG"/><picture>
        <source srcset="../images/b.png 2x, x.png"/><img/></picture><i style="background:url(/images/b.png)"/>"""
    cipher = b'<EncryptionMethod Algorithm="x"/><CipherReference URI="OPS/x"/>'
    lock = b"<encryption><EncryptedData>" + cipher + b"</EncryptedData></encryption>"
    return book() | {"OPS/text/00.xhtml": text, "OPS/text/s.css": sheet, "META-INF/encryption.xml": lock}


def odd_texts() -> list[bytes]:
    """Return pages of a book: with style sheets and objects, in UTF-16, with pictures that lie in no file."""
    outside = b'<img src="data:image/png;base64,xx"/><iframe src="01.xhtml"/><img src="https://there/a.png"/>'
    stated = b'<?xml version="1.0" encoding="Shift_JIS"?>'
    return [shelf()["OPS/text/00.xhtml"], '<img src="../images/a.png"/>'.encode("utf-16"), stated + outside]


def tars() -> list[bytes]:
    """Return tars: whole, with volumes inside, one after the other, and with a header that is no more."""
    whole = written(write_tar, members())
    return [whole, written(write_tar, nested()), whole * 2, whole.replace(b"b/2.jpg", bytes(7))]


def pictures() -> list[bytes]:
    """Return pictures of all formats, and of the modes that are converted."""
    kinds = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM"]
    modes = [("PNG", "RGBA"), ("PNG", "P"), ("PNG", "I;16"), ("TIFF", "F"), ("WEBP", "RGB"), ("JPEG", "CMYK")]
    return [picture(kind) for kind in kinds] + [picture(kind, mode) for kind, mode in modes]


def documents() -> list[bytes]:
    """Return PDF files: one page and two, and one whose picture is damaged."""
    one, two = BytesIO(), BytesIO()
    Image.new("L", (20, 30), 90).save(one, "PDF")
    Image.new("RGB", (20, 30), "red").save(two, "PDF", save_all=True, append_images=[Image.new("1", (9, 9))])
    start = one.getvalue().index(b"\xff\xd8\xff")
    damaged = one.getvalue()[: start + 40] + bytes(40) + one.getvalue()[start + 80 :]
    return [one.getvalue(), two.getvalue(), damaged]


def book() -> dict[str, bytes]:
    """Return an EPUB's members."""
    return epub_members(["a.png", "b.png", "c.png"], "A Work", "An Author")
