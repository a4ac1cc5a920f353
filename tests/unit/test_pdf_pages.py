"""A page of a PDF that is a scan is read at the scan's own pixels, any other at the resolution of the configuration."""

import zlib
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from egara.corpus import iterate_pages, list_volume
from egara.io.errors import EgaraError


def read(path, **options):
    """List a volume, and open its pages again from their rows."""
    volume = list_volume(path, "v01", "An Author", "A Work", **options)
    shown = [image.size for _, image in iterate_pages(pd.DataFrame(volume.pages))]
    assert shown == [(row["width"], row["height"]) for row in volume.pages]
    return volume


def test_a_scan_in_a_pdf_keeps_its_pixels(tmp_path):
    scan = Image.fromarray(np.random.default_rng(0).integers(0, 256, (403, 301), np.uint8))
    for name, resolution in {"point": 72, "fine": 300, "coarse": 40}.items():
        scan.save(tmp_path / f"{name}.pdf", resolution=resolution, quality=100)
        volume = read(tmp_path / f"{name}.pdf")
        assert (volume.pages[0]["width"], volume.pages[0]["height"]) == (301, 403), name
        (_, shown), *_ = iterate_pages(pd.DataFrame(volume.pages))
        assert np.abs(np.asarray(shown, int) - np.asarray(scan)).mean() < 3, name


def pdf(
    content: bytes,
    box: str = "0 0 300 400",
    more: str = "",
    width: int = 600,
    height: int = 800,
    stream: bytes = b"",
    filtered: str = "",
) -> bytes:
    """Return a PDF of one page: what it draws, and its image /I of these pixels."""
    stream = stream or bytes(width * height)
    head = f"/Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /DeviceGray /BitsPerComponent 8"
    parts = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [{box}] {more} /Contents 4 0 R /Resources << /XObject << /I 5 0 R >>"
        " /Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>".encode(),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        f"<< {head} {filtered} /Length {len(stream)} >>\nstream\n".encode() + stream + b"\nendstream",
    ]
    data, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, start=1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % len(data)
    return data + b"xref\n0 6\n0000000000 65535 f \n" + table + end


FULL = b"q 300 0 0 400 0 0 cm /I Do Q "


@pytest.mark.parametrize(
    ("content", "more", "size"),
    [
        (FULL, "", (600, 800)),
        (FULL, "/Rotate 90", (800, 600)),
        (b"q 0 400 -300 0 300 0 cm /I Do Q", "", (800, 600)),  # a scan that lies on its side
        (FULL + b"BT /F 9 Tf 3 Tr 20 20 Td (words) Tj ET", "", (600, 800)),  # recognised characters
        (FULL + b"BT /F 9 Tf 20 20 Td (words) Tj ET", "", (625, 833)),  # letters that are seen
        (FULL + b"0 0 m 90 90 l S", "", (625, 833)),
        (b"q 290 0 0 390 5 5 cm /I Do Q", "", (621, 821)),  # a narrow border
        (b"q 150 0 0 200 0 0 cm /I Do Q", "", (625, 833)),  # a picture on a page
        (b"", "", (625, 833)),
    ],
)
def test_a_page_is_as_large_as_its_scan_or_as_the_resolution_says(tmp_path, content, more, size):
    (tmp_path / "a.pdf").write_bytes(pdf(content, more=more))
    row = read(tmp_path / "a.pdf", dpi=150).pages[0]
    assert (row["width"], row["height"]) == size


def test_finest_layer_determines_the_resolution(tmp_path):
    """A coarse page in colour lies behind its letters: two images that fill the page, or nearly."""
    layered = pdf(FULL + b"q 260 0 0 360 20 20 cm /J Do Q")
    fine = (
        b"<< /Type /XObject /Subtype /Image /Width 1040 /Height 1440 /ImageMask true /BitsPerComponent 1 /Length %d >>"
    )
    data = bytes(130 * 1440)
    number = b"6 0 obj\n" + fine % len(data) + b"\nstream\n" + data + b"\nendstream\nendobj\n"
    place = layered.index(b"xref\n0 6")
    layered = (
        layered[:place].replace(b"/I 5 0 R", b"/I 5 0 R /J 6 0 R")
        + number
        + b"trailer\n<< /Size 7 /Root 1 0 R >>\n%%EOF"
    )
    (tmp_path / "a.pdf").write_bytes(layered)
    row = read(tmp_path / "a.pdf").pages[0]
    assert (row["width"], row["height"]) == (1200, 1600)


def test_strips_and_halves_make_a_page_of_their_own_pixels(tmp_path):
    strips = b" ".join(b"q 300 0 0 4 0 %d cm /I Do Q" % (4 * place) for place in range(100))
    halves = b"q 150 0 0 400 0 0 cm /I Do Q q 150 0 0 400 150 0 cm /I Do Q"
    for content, width, height, size in [(strips, 1200, 16, (1200, 1600)), (halves, 450, 1200, (900, 1200))]:
        (tmp_path / "a.pdf").write_bytes(pdf(content, width=width, height=height))
        row = read(tmp_path / "a.pdf").pages[0]
        assert (row["width"], row["height"]) == size


def test_mark_on_a_fine_scan_keeps_its_resolution(tmp_path):
    mark = b"BT /F 9 Tf 20 20 Td (bought by somebody) Tj ET"
    (tmp_path / "a.pdf").write_bytes(pdf(FULL + mark, width=900, height=1200))
    assert read(tmp_path / "a.pdf").pages[0]["width"] == 900
    (tmp_path / "a.pdf").write_bytes(pdf(b"1 g 0 0 300 400 re f " + mark + FULL))  # what lies behind it is not seen
    assert read(tmp_path / "a.pdf").pages[0]["width"] == 600


def jpeg(cut=0):
    file = BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (800, 600), np.uint8)).save(file, "JPEG")
    return file.getvalue()[: -cut or None]


@pytest.mark.parametrize(
    ("stream", "filtered", "whole"),
    [
        (jpeg(), "DCTDecode", True),
        (jpeg(30_000), "DCTDecode", False),
        (b"\xff\xd8nothing", "DCTDecode", False),
        (zlib.compress(bytes(480_000)), "FlateDecode", True),
        (b"nothing", "FlateDecode", False),
        (b"nothing", "JPXDecode", False),
    ],
)
def test_damaged_image_is_not_a_white_page(tmp_path, stream, filtered, whole):
    (tmp_path / "a.pdf").write_bytes(pdf(FULL, stream=stream, filtered=f"/Filter /{filtered}"))
    if whole:
        assert len(read(tmp_path / "a.pdf").pages) == 1
    else:
        with pytest.raises(EgaraError, match="its image"):
            read(tmp_path / "a.pdf")


def test_page_with_disjoint_boxes_is_unreadable(tmp_path):
    (tmp_path / "a.pdf").write_bytes(pdf(FULL, more="/CropBox [500 500 600 600]"))
    with pytest.raises(EgaraError, match="expected page boxes that overlap"):
        read(tmp_path / "a.pdf")
