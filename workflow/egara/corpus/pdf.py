"""PDF: its pages rendered, a page that is one scan at the scan's own size."""

import zlib
from pathlib import Path

from egara.corpus.archives import Opening, Source
from egara.corpus.jpeg import whole_jpeg
from egara.corpus.limits import Unreadable, check_count, check_pixels, key
from egara.io.errors import EgaraError

POINTS_PER_INCH = 72
# How much of a page's width and height an image must take to be its scan; scanners leave narrow borders.
_FILLS = 0.9
# And how much it must take to say how fine the page is.
_COUNTS = 0.2
# A narrow strip of a page counts where its pixels are square but for this factor, as those of a drawn line are not.
_SQUARE = 1.05


class Pdf(Source):
    """PDF: the stored bytes of a page are its rendering as a PPM or PGM file.

    A member is a page's index from 0. A page that images fill is rendered so that they keep their pixels; any other at
    `dpi`. `sizes` (member → width, height) renders pages again as they were listed, because pdfium's
    rendering depends on nothing but the size in pixels.
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
            raise EgaraError(f"{self.path}: PDF cut short or damaged ({error}); expected a whole one") from error
        count = len(self._archive)
        check_count(self.path, count, self.limits)
        if not count:
            raise EgaraError(f"{self.path}: no pages inside; expected a volume's pages")
        self._pages = [str(index) for index in range(count)]

    def page_name(self, member: str) -> str:
        """Return `p0001` for the first page."""
        return f"p{int(member) + 1:04d}"

    def page_size(self, member: str) -> tuple[int, int]:
        """Return the size at which a page is rendered."""
        page = self._page(member)
        try:
            return self._size(page, member)
        finally:
            page.close()

    def _blocks(self, name: str):
        """Yield one page rendered, white behind it: a PGM file where it is grey, else a PPM file."""
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

    def _joined(self, blocks) -> bytes:
        """Return a page's bytes; its pixels were tested, and bound them."""
        return b"".join(blocks)

    def _page(self, member: str):
        import pypdfium2

        try:
            return self._archive[int(member)]
        except (pypdfium2.PdfiumError, IndexError, ValueError) as error:
            raise Unreadable(f"no page that can be read ({error})") from error

    def _size(self, page, member: str) -> tuple[int, int]:
        """Return width and height in pixels, after testing the page and its images, before pdfium unpacks them."""
        points = page.get_size()
        if not all(side > 0 for side in points):
            raise Unreadable(f"page of {points[0]:g} x {points[1]:g} points; expected boxes that meet")
        # Sides of damaged pages may even be infinite, and no whole number.
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
    """Return pixels a point, across and down, at which a page is rendered: those of the images that fill it.

    Of several, such as letters in black over a coarse page in colour, the finest counts; a page may also be put
    together from strips or halves. Where they do not fill it, and where text or lines are drawn on them, which would
    lose sharpness at the size of a coarse scan, it is `least` at least. Text that nobody sees (recognised characters)
    does not count, nor does what lies behind an image.
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
            if min(shares) >= _FILLS and not raw.FPDFPageObj_HasTransparency(item.raw):
                drawn = False
            if min(shares) >= _COUNTS or max(shares) >= _FILLS and min(shares) > 0:
                density = [count / size for count, size in zip(pixels, placed, strict=True)]
                if min(shares) >= _COUNTS or max(density) <= _SQUARE * min(density):
                    found.append(density)
        elif item.type == raw.FPDF_PAGEOBJ_TEXT:
            drawn |= raw.FPDFTextObj_GetTextRenderMode(item.raw) != raw.FPDF_TEXTRENDERMODE_INVISIBLE
        elif item.type != raw.FPDF_PAGEOBJ_FORM:
            drawn = True
    if not found or filled < _FILLS**2:
        return least, least
    across, down = map(max, zip(*found, strict=True))
    return (max(across, least), max(down, least)) if drawn else (across, down)


def _check_images(page, rendered: bytes, area: int) -> None:
    """Raise `Unreadable` where a large image of a page is damaged: pdfium leaves it white, or grey from there on."""
    from pypdfium2 import raw

    blank = rendered.count(rendered[-1:], 20) == len(rendered) - 20  # behind a header
    for item in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE]):
        try:
            width, height = item.get_px_size()
            if width * height < _COUNTS**2 * area:
                continue
            whole = _is_whole(item, blank)
        except Unreadable as error:
            raise Unreadable(f"its image: {error}") from error
        except Exception:  # what damaged files make of names, sizes and streams
            whole = not blank
        if not whole:
            raise Unreadable("its image is damaged, or of a kind that pdfium does not read")


def _is_whole(item, blank: bool) -> bool:
    """Tell whether an image has all its pixels: a JPEG by its scans, another one on a blank page by its bytes."""
    from pypdfium2 import raw

    if (filters := item.get_filters()) == ["DCTDecode"]:
        whole_jpeg(bytes(item.get_data(decode_simple=False)))
    elif blank and filters == ["FlateDecode"]:
        width, height = item.get_px_size()
        least = height * -(-width // 8)  # of one bit a pixel; a bomb unpacks to more, which is not asked for
        return len(zlib.decompressobj().decompress(bytes(item.get_data(decode_simple=False)), least)) >= least
    elif blank:
        if not (bitmap := raw.FPDFImageObj_GetBitmap(item.raw)):
            return False
        raw.FPDFBitmap_Destroy(bitmap)
    return True


def _linear(item) -> tuple[float, float, float, float]:
    """Return how an object's unit square is turned and stretched on its page, by the forms around it, too."""
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
