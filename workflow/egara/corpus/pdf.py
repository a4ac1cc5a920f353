"""PDF: rendered pages; a page that is one scan has the scan's size."""

import zlib
from pathlib import Path

from egara.corpus.archives import Opening, Source
from egara.corpus.jpeg import complete_jpeg
from egara.corpus.limits import Unreadable, check_count, check_pixels, key
from egara.io.errors import EgaraError

POINTS_PER_INCH = 72
# Share of a page's width and height that an image must cover to be its scan; scanners leave narrow borders.
_SCAN_SHARE = 0.9
# Share from which an image counts for the page's resolution.
_MIN_SHARE = 0.2
# A narrow strip counts if its pixels are square up to this factor; those of a drawn line are not.
_SQUARE_FACTOR = 1.05


class Pdf(Source):
    """PDF: the bytes of a page are its rendering as a PPM or PGM file.

    A member is a page's index from 0. A page filled by images is rendered at their resolution, any other at `dpi`.
    With `sizes` (member → width, height), pages are rendered as they were listed, because pdfium's rendering depends
    only on the size in pixels.
    """

    kind = "PDF"

    def __init__(self, file: Path, path: Path, opening: Opening) -> None:
        self._sizes = opening.sizes
        super().__init__(file, path, opening)

    def _open(self) -> None:
        import pypdfium2
        from pypdfium2 import raw

        try:
            self._archive = pypdfium2.PdfDocument(self.file)
        except pypdfium2.PdfiumError as error:
            if getattr(error, "err_code", None) in (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY):
                raise EgaraError(f"{self.path}: encrypted PDF; expected one that opens without a password") from error
            raise EgaraError(f"{self.path}: PDF truncated or damaged ({error}); expected an intact one") from error
        count = len(self._archive)
        check_count(self.path, count, self.limits)
        if not count:
            raise EgaraError(f"{self.path}: no pages inside; expected a volume's pages")
        self._pages = [str(index) for index in range(count)]

    def page_name(self, member: str) -> str:
        """Return `p0001` for the first page."""
        return f"p{int(member) + 1:04d}"

    def page_size(self, member: str) -> tuple[int, int]:
        """Return the rendered width and height of a page."""
        page = self._page(member)
        try:
            return self._size(page, member)
        finally:
            page.close()

    def _blocks(self, name: str):
        """Yield one page rendered on white, as PGM if it is grey, otherwise as PPM."""
        import pypdfium2

        page = self._page(name)
        try:
            width, height = self._size(page, name)
            check_pixels(width, height, self.limits)
            rendered = _portable_map(page, width, height)
            if name not in self._sizes:
                _check_images(page, rendered, width * height)
            yield rendered
        except pypdfium2.PdfiumError as error:
            raise Unreadable(f"cannot be rendered ({error})") from error
        finally:
            page.close()

    def _to_bytes(self, blocks) -> bytes:
        """Return a page's bytes, which the checked pixels bound."""
        return b"".join(blocks)

    def _page(self, member: str):
        import pypdfium2

        try:
            return self._archive[int(member)]
        except (pypdfium2.PdfiumError, IndexError, ValueError) as error:
            raise Unreadable(f"not a readable page ({error})") from error

    def _size(self, page, member: str) -> tuple[int, int]:
        """Return width and height in pixels, after checking the page and its images before pdfium unpacks them."""
        points = page.get_size()
        if not all(side > 0 for side in points):
            raise Unreadable(f"page of {points[0]:g} x {points[1]:g} points; expected page boxes that overlap")
        # Sides of damaged pages may even be infinite.
        if not all(side <= self.limits.points for side in points):
            raise Unreadable(
                f"page of {points[0]:g} x {points[1]:g} points; expected at most {self.limits.points} per side"
                f" ({key('points')})",
                "limit",
            )
        least = self.opening.dpi / POINTS_PER_INCH
        across, down = _density(page, points, self.limits, least)
        if listed := self._sizes.get(member):
            return listed
        return max(1, round(points[0] * across)), max(1, round(points[1] * down))


def _density(page, points: tuple[float, float], limits, least: float) -> tuple[float, float]:
    """Return the horizontal and vertical pixels per point for rendering a page: those of the images that fill it.

    Of several images, such as black letters over a coarse colour page, the finest counts; strips or halves may form a
    page together. The result is at least `least` where images do not fill the page, or where text or lines are drawn
    on them, which would be blurred at a coarse scan's resolution. Invisible text (from OCR) and objects behind an
    image do not count.
    """
    from pypdfium2 import raw

    found, filled, drawn = [], 0.0, False
    turned = page.get_rotation() in (90, 270)
    for item in page.get_objects():
        if item.type == raw.FPDF_PAGEOBJ_IMAGE:
            width, height = item.get_px_size()
            check_pixels(max(width, 1), max(height, 1), limits, "image")
            a, b, c, d = _linear(item)
            placed = [(a * a + b * b) ** 0.5, (c * c + d * d) ** 0.5]
            pixels = [width, height]
            if (abs(b) > abs(a)) != turned:
                placed, pixels = placed[::-1], pixels[::-1]
            shares = [size / side if side else 0 for size, side in zip(placed, points, strict=True)]
            filled += min(shares[0], 1) * min(shares[1], 1)
            if min(shares) >= _SCAN_SHARE and not raw.FPDFPageObj_HasTransparency(item.raw):
                drawn = False
            if min(shares) >= _MIN_SHARE or max(shares) >= _SCAN_SHARE and min(shares) > 0:
                density = [count / size for count, size in zip(pixels, placed, strict=True)]
                if min(shares) >= _MIN_SHARE or max(density) <= _SQUARE_FACTOR * min(density):
                    found.append(density)
        elif item.type == raw.FPDF_PAGEOBJ_TEXT:
            drawn |= raw.FPDFTextObj_GetTextRenderMode(item.raw) != raw.FPDF_TEXTRENDERMODE_INVISIBLE
        elif item.type != raw.FPDF_PAGEOBJ_FORM:
            drawn = True
    if not found or filled < _SCAN_SHARE**2:
        return least, least
    across, down = map(max, zip(*found, strict=True))
    return (max(across, least), max(down, least)) if drawn else (across, down)


def _check_images(page, rendered: bytes, area: int) -> None:
    """Raise `Unreadable` where a large image of a page is damaged: pdfium leaves the rest white or grey."""
    from pypdfium2 import raw

    blank = rendered.count(rendered[-1:], 20) == len(rendered) - 20  # after a header
    for item in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE]):
        try:
            width, height = item.get_px_size()
            if width * height < _MIN_SHARE**2 * area:
                continue
            whole = _is_whole(item, blank)
        except Unreadable as error:
            raise Unreadable(f"its image: {error}") from error
        except Exception:  # damaged names, sizes and streams
            whole = not blank
        if not whole:
            raise Unreadable("its image is damaged, or of a type that pdfium does not support")


def _is_whole(item, blank: bool) -> bool:
    """Return whether an image is complete: a JPEG by its scans, another on a blank page by its bytes."""
    from pypdfium2 import raw

    if (filters := item.get_filters()) == ["DCTDecode"]:
        complete_jpeg(bytes(item.get_data(decode_simple=False)))
    elif blank and filters == ["FlateDecode"]:
        width, height = item.get_px_size()
        least = height * -(-width // 8)  # at one bit per pixel; more of a bomb is not unpacked
        return len(zlib.decompressobj().decompress(bytes(item.get_data(decode_simple=False)), least)) >= least
    elif blank:
        if not (bitmap := raw.FPDFImageObj_GetBitmap(item.raw)):
            return False
        raw.FPDFBitmap_Destroy(bitmap)
    return True


def _linear(item) -> tuple[float, float, float, float]:
    """Return the linear transform of an object's unit square to its page, through the forms around it."""
    a, b, c, d, _, _ = item.get_matrix().get()
    while (item := item.container) is not None:
        e, f, g, h, _, _ = item.get_matrix().get()
        a, b, c, d = a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h
    return a, b, c, d


def _portable_map(page, width: int, height: int) -> bytes:
    """Render a PDF page at an exact size in pixels; return it as PGM or PPM."""
    import numpy as np
    from pypdfium2 import PdfBitmap, raw

    bitmap = PdfBitmap.new_native(width, height, raw.FPDFBitmap_BGR, rev_byteorder=True)
    bitmap.fill_rect((255, 255, 255, 255), 0, 0, width, height)
    raw.FPDF_RenderPageBitmap(bitmap, page, 0, 0, width, height, 0, raw.FPDF_ANNOT | raw.FPDF_REVERSE_BYTE_ORDER)
    pixels = bitmap.to_numpy()  # (height, width, 3)
    grey = np.array_equal(pixels[..., 0], pixels[..., 1]) and np.array_equal(pixels[..., 1], pixels[..., 2])
    shown = pixels[..., 0] if grey else pixels
    return b"P%d %d %d 255\n" % (5 if grey else 6, width, height) + np.ascontiguousarray(shown).tobytes()
