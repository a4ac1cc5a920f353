"""Volumes that are documents: EPUB, whose spine orders its images, and PDF, whose pages are rendered."""

import posixpath
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from egara.corpus.archives import Source, Zip
from egara.corpus.images import SUFFIXES
from egara.corpus.limits import MEBIBYTE, Limits, Unreadable, check_count, check_name, check_pixels
from egara.errors import EgaraError

# Only fonts are scrambled with these; any other encryption hides pages.
_FONT_SCRAMBLING = {"http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"}

POINTS_PER_INCH = 72
# Larger pages are damaged; their sides may even be infinite, and no whole number.
_POINTS = 1e9


class _Images(HTMLParser):
    """Collects what `<img>` and SVG's `<image>` show, in document order.

    An HTML parser, because books hold entities and unclosed tags that no XML parser accepts.
    """

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the link of an image."""
        given = dict(attrs)
        if tag == "img" and given.get("src"):
            self.links.append(given["src"])
        elif tag.rpartition(":")[2] == "image" and (link := given.get("xlink:href") or given.get("href")):
            self.links.append(link)


class Epub(Zip):
    """EPUB: the images that the pages of its spine show, in the spine's order."""

    def _select(self, sizes: dict[str, int]) -> None:
        self._refuse_encryption()
        package = self._package()
        spine = [self._manifest[name] for name in package if name in self._manifest]
        shown: dict[str, None] = {}  # a set that keeps its order: an image shown twice is one page
        for name, media in spine:
            if media.startswith("image/") and media != "image/svg+xml":
                shown[name] = None
            elif media in ("application/xhtml+xml", "text/html", "image/svg+xml"):
                shown.update(dict.fromkeys(self._images_of(name)))
        pages = [name for name in shown if posixpath.splitext(name)[1].lower() in SUFFIXES]
        if not pages:
            raise EgaraError(f"{self.path}: its spine shows no images; expected a comic, whose pages are images")
        super()._select(sizes)
        self.members = pages

    def _refuse_encryption(self) -> None:
        if "META-INF/encryption.xml" not in self._infos:
            return
        root = self._xml("META-INF/encryption.xml")
        methods = {element.get("Algorithm") for element in root.iter() if _local(element.tag) == "EncryptionMethod"}
        if methods - _FONT_SCRAMBLING:
            raise EgaraError(f"{self.path}: encrypted EPUB (digital rights management); expected one without it")

    def _package(self) -> list[str]:
        """Read the package document: keep its manifest (id → path, media type), return the ids of its spine."""
        container = self._xml("META-INF/container.xml")
        files = [e.get("full-path") for e in container.iter() if _local(e.tag) == "rootfile" and e.get("full-path")]
        if not files:
            raise EgaraError(f"{self.path}: META-INF/container.xml names no package document; expected an EPUB's")
        name = check_name(self.path, files[0])
        package = self._xml(name)
        self.documents[name] = self._text(name)
        self._manifest = {
            item.get("id"): (self._resolve(name, item.get("href")), item.get("media-type", ""))
            for item in package.iter()
            if _local(item.tag) == "item" and self._path(item.get("href"))
        }
        return [item.get("idref") for item in package.iter() if _local(item.tag) == "itemref"]

    def _images_of(self, name: str) -> list[str]:
        parser = _Images()
        try:
            parser.feed(self._text(name).decode("utf-8", errors="replace"))
        except AssertionError as error:  # how Python's parser ends at a declaration that it does not know
            raise EgaraError(f"{self.path}: {name} is no page that can be read ({error}); expected XHTML") from error
        return [self._resolve(name, link) for link in parser.links if self._path(link)]

    def _path(self, link: str | None) -> str:
        """Return the path that a link has within the book, "" where it leads elsewhere or nowhere."""
        try:
            parts = urlsplit(link or "")
        except ValueError:  # brackets that hold no address
            return ""
        return "" if parts.scheme or parts.netloc else unquote(parts.path)

    def _resolve(self, base: str, link: str) -> str:
        """Return the member that a link in the member `base` points to."""
        return check_name(self.path, posixpath.normpath(posixpath.join(posixpath.dirname(base), self._path(link))))

    def _text(self, name: str) -> bytes:
        try:
            text = self.read(name)
        except Unreadable as error:
            raise EgaraError(f"{self.path}: {name} {error}; expected a whole EPUB") from error
        if len(text) > 16 * MEBIBYTE:
            raise EgaraError(f"{self.path}: {name} has {len(text)} bytes; expected at most 16 MiB of text")
        return text

    def _xml(self, name: str):
        from xml.etree.ElementTree import ParseError

        from defusedxml import DefusedXmlException, ElementTree

        try:
            return ElementTree.fromstring(self._text(name))
        except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
            raise EgaraError(f"{self.path}: {name} is no XML that can be read ({error}); expected an EPUB's") from error


def _local(tag: object) -> str:
    """Return an element's name without its namespace."""
    return str(tag).rpartition("}")[2]


class Pdf(Source):
    """PDF: its pages rendered; the stored bytes of a page are its rendering as a PPM or PGM file.

    A member is a page's index from 0. `sizes` (member → width, height) renders pages again as they were listed,
    because pdfium's rendering depends on nothing but the size in pixels; other pages are rendered at `dpi`.
    """

    def __init__(self, path: Path, limits: Limits, dpi: float, sizes: dict[str, tuple[int, int]] | None = None) -> None:
        self._dpi = dpi
        self._sizes = sizes or {}
        super().__init__(path, limits)

    def _open(self) -> None:
        import pypdfium2
        from pypdfium2 import raw

        try:
            self._archive = pypdfium2.PdfDocument(self.path)
        except pypdfium2.PdfiumError as error:
            if getattr(error, "err_code", None) in (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY):
                raise EgaraError(f"{self.path}: encrypted PDF; expected one that opens without a password") from error
            raise EgaraError(f"{self.path}: PDF cut short or damaged ({error}); expected a whole one") from error
        count = len(self._archive)
        check_count(self.path, count, self.limits)
        if not count:
            raise EgaraError(f"{self.path}: no pages inside; expected a volume's pages")
        self.members = [str(index) for index in range(count)]

    def page_name(self, member: str) -> str:
        """Return `p0001` for the first page."""
        return f"p{int(member) + 1:04d}"

    def read(self, member: str) -> bytes:
        """Render one page, white behind it: a PGM file where it is grey, else a PPM file."""
        import pypdfium2

        where = f"{self.path}: page {self.page_name(member)}"
        try:
            page = self._archive[int(member)]
        except (pypdfium2.PdfiumError, IndexError, ValueError) as error:
            raise Unreadable(f"no page that can be read ({error})") from error
        try:
            self._check_images(page, where)
            points = [min(max(side, 0), _POINTS) for side in page.get_size()]
            scale = self._dpi / POINTS_PER_INCH
            width, height = self._sizes.get(member) or (max(1, round(side * scale)) for side in points)
            check_pixels(where, width, height, self.limits)
            return _portable_map(page, width, height)
        except pypdfium2.PdfiumError as error:
            raise Unreadable(f"cannot be rendered ({error})") from error
        finally:
            page.close()

    def _check_images(self, page, where: str) -> None:
        """Test the sizes of the images on a page, before pdfium unpacks them."""
        from pypdfium2 import raw

        for image in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE]):
            width, height = image.get_px_size()
            check_pixels(f"{where}: image", max(width, 1), max(height, 1), self.limits)


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
