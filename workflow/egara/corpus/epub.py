"""EPUB: the images on the pages of its spine, in the spine's order."""

import posixpath
import re
from codecs import BOM_UTF8
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from urllib.parse import unquote

from egara.corpus.archives import ABSENT
from egara.corpus.limits import Limits, Unreadable, check_bytes
from egara.corpus.names import is_address, is_page, is_system, label, resolve, same_name, suffix_of
from egara.corpus.shown import Shown, decode_text
from egara.corpus.zips import Zip
from egara.io.errors import EgaraError
from egara.skipped import skipped

# Obfuscation of fonts; any other encryption is of pages.
_FONT_OBFUSCATION = {"http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"}
_TEXTS = ("application/xhtml+xml", "text/html", "image/svg+xml")
_TEXT_SUFFIXES = (".xhtml", ".html", ".htm", ".svg", ".xml")
_BARE_AMPERSAND = re.compile(rb"&(?!#?[A-Za-z0-9]+;)")
_LOCKED = "encrypted (digital rights management); expected a book without it"


class Epub(Zip):
    """EPUB: an image shown by several pages is one page; links are resolved leniently."""

    kind = "EPUB"

    def _choose(self, sizes: dict[str, int]) -> None:
        self._by_name = {same_name(name): name for name in reversed(self._entries)}
        self._locked: set[str] = set()
        self._locked = self._encrypted()
        self._absent: dict[str, str] = {}
        package = self._package()
        shown: dict[str, None] = {}  # an ordered set: an image shown twice is one page
        for item in package:
            if item not in self._manifest:
                self._lose(str(item), "missing", "is in the spine, but not in the manifest")
                continue
            link, media = self._readable(item)
            if _is_image(media):
                shown[self._page([link])] = None
            elif _is_text(link, media):
                shown.update(dict.fromkeys(self._images_of(link, set())))
            else:
                self._lose(link, "foreign", f"page of the spine of type {media}; expected XHTML, SVG or an image")
        self._pages = [name for name in shown if name]
        if not self._pages:
            locked = any(row["reason"] == _LOCKED for row in self.skipped)
            raise EgaraError(
                f"{self.path}: encrypted EPUB (digital rights management); expected one without it"
                if locked
                else f"{self.path}: its spine shows no images; expected a comic, whose pages are images"
            )
        pages = self._pages
        self._note_rest(sizes)
        self.opening.budget.spend(0, sum(sizes.get(name, 0) for name in pages if not self._is_beyond(name)))

    def _readable(self, item: str | None) -> tuple[str, str]:
        """Return path and media type of an item of the manifest, or of its first fallback that can be a page."""
        first, seen = self._manifest[item], set()
        while item in self._manifest and item not in seen:
            link, media = self._manifest[item]
            if _is_image(media) or _is_text(link, media):
                return link, media
            seen.add(item)
            item = self._fallbacks.get(item)
        return first

    def _note_rest(self, sizes: dict[str, int]) -> None:
        """Add rows for images that no page of the spine shows, and for system files."""
        known = set(self._pages)
        rest = [name for name in sizes if is_page(name) and name not in known]
        if rest:
            reason = f"images that no page of the spine shows, such as {rest[0]}"
            self.skipped.append(skipped(self.path, rest[0] if len(rest) == 1 else "", "foreign", reason, len(rest)))
        if system := [name for name in sizes if is_system(name)]:
            reason = f"a system file, not a page, such as {system[0]}"
            self.skipped.append(skipped(self.path, "", "system", reason, len(system)))

    def _lose(self, member: str, cause: str, reason: str) -> None:
        self.skipped.append(skipped(self.path, label(member), cause, reason))

    def _encrypted(self) -> set[str]:
        """Return the encrypted members, without fonts."""
        name = self._by_name.get("meta-inf/encryption.xml")
        if name is None or not self._required_text(name).strip():
            return set()
        found: set[str] = set()
        for data in self._xml(name).iter():
            if _local(data.tag) != "EncryptedData":
                continue
            methods = {part.get("Algorithm") for part in data.iter() if _local(part.tag) == "EncryptionMethod"}
            if methods - _FONT_OBFUSCATION:
                links = [part.get("URI") for part in data.iter() if _local(part.tag) == "CipherReference"]
                if not all(links) or not links:
                    raise EgaraError(
                        f"{self.path}: encrypted EPUB (digital rights management); expected one without it"
                    )
                found |= {same_name(unquote(link)) for link in links}
        return found

    def _package(self) -> list[str | None]:
        """Read the package document: store its manifest (id → path, media type), return the ids of its spine."""
        container = self._xml(self._by_name.get("meta-inf/container.xml", "META-INF/container.xml"))
        files = [e.get("full-path") for e in container.iter() if _local(e.tag) == "rootfile" and e.get("full-path")]
        if not files:
            raise EgaraError(f"{self.path}: META-INF/container.xml names no package document; expected an EPUB's")
        name = self._member("", files[0]) or files[0]
        package = self._xml(name)
        self.documents[name] = self._required_text(name)
        base = posixpath.dirname(name.replace("\\", "/"))
        self._base = base
        self._manifest = {
            item.get("id"): (
                self._member(base, item.get("href")) or self._missing(base, item.get("href")),
                item.get("media-type", ""),
            )
            for item in package.iter()
            if _local(item.tag) == "item" and item.get("href") and not is_address(item.get("href"))
        }
        self._fallbacks = {
            item.get("id"): item.get("fallback") for item in package.iter() if _local(item.tag) == "item"
        }
        self._media = {same_name(link): media for link, media in self._manifest.values()}
        return [item.get("idref") for item in package.iter() if _local(item.tag) == "itemref"]

    def _images_of(self, name: str, seen: set[str]) -> list[str]:
        """Return the images on a page, including those of pages and SVG files that it embeds."""
        if name in seen:
            return []
        seen.add(name)
        if same_name(name) in self._locked:
            self._lose(name, "unreadable", _LOCKED)
            return []
        try:
            page = self._parsed(name)
        except Unreadable as error:
            self._lose(name, error.cause, f"page of the spine: {error}")
            return []
        base = posixpath.dirname(name.replace("\\", "/"))
        found = self._shown(base, page.images, seen)
        if found:
            return found
        # A background is a page only where there is no other image.
        paper = [[link] for link in [*page.backgrounds, *self._by_sheets(base, page)]]
        if found := self._shown(base, paper, seen):
            return found
        outside = [link for links in [*page.images, *paper] for link in links if is_address(link)]
        if outside:
            written = outside[0].lower().startswith("data:")
            reason = (
                "an image embedded in the page's text"
                if written
                else f"an image outside the book, {label(outside[0][:80])}"
            )
            self._lose(name, "unreadable" if written else "missing", f"page of the spine: {reason}; expected a file")
        return []

    def _by_sheets(self, base: str, page: Shown) -> Iterable[str]:
        """Yield the backgrounds of a page in style sheets, as links from the page's folder."""
        for text in page.styles:
            yield from page.of_sheet(text)
        for link in page.sheets:
            if sheet := self._member(base, link):
                folder = posixpath.dirname(sheet.replace("\\", "/"))
                try:
                    text = decode_text(self._text(sheet))
                except Unreadable as error:
                    self.warnings.append(f"{self.path}: {sheet}: {error}; its backgrounds are unknown")
                    continue
                yield from (f"/{resolve(folder, found)}" for found in page.of_sheet(text) if not is_address(found))

    def _shown(self, base: str, offered: list[list[str]], seen: set[str]) -> list[str]:
        """Return the images among a page's links; a broken link gives a missing page."""
        found: list[str] = []
        for links in offered:
            links = [link for link in links if not is_address(link)]
            members = [member for link in links if (member := self._member(base, link))]
            if texts := [member for member in members if suffix_of(member) in _TEXT_SUFFIXES]:
                found += self._images_of(texts[0], seen)
            elif page := self._page(members):
                found.append(page)
            elif missing := [link for link in links if is_page(_path(link))]:
                found.append(self._missing(base, missing[0]))
        return found

    def _page(self, members: list[str]) -> str:
        """Return the first member that is an image, by its extension or the manifest; "" if none."""
        for member in members:
            media = self._media.get(same_name(member), "")
            if is_page(member) or _is_image(media):
                return member
        return ""

    def _missing(self, base: str, link: str) -> str:
        """Return the name of a missing image, which `_check` reports."""
        return label(resolve(base, _path(link)))

    def _check(self, name: str):
        if same_name(name) in self._locked:
            raise Unreadable(_LOCKED)
        return super()._check(name)

    def _member(self, base: str, link: str | None) -> str:
        """Return the member that a link from the folder `base` names, "" where there is none.

        Either slash, any case, composed or decomposed accents, escapes, too many `..`, and a root at the archive or at
        the folder of its package are accepted.
        """
        for path in dict.fromkeys((_path(link), (link or "").split("#")[0])):
            for folder in (base, self.__dict__.get("_base", "")):
                tried = resolve(folder, path.lstrip("/\\") if folder != base else path)
                if tried and tried in self._entries:
                    return tried
                if found := self._by_name.get(same_name(tried)):
                    return found
        return ""

    def _text(self, name: str) -> bytes:
        """Return a text of the book; raises `Unreadable` where it is missing, damaged or too long."""
        text = self._to_bytes(self._blocks(name))
        check_bytes(len(text), None, self.limits, "text")
        return text

    def _required_text(self, name: str) -> bytes:
        """Return a text that the book requires."""
        try:
            return self._text(name)
        except Unreadable as error:
            raise EgaraError(f"{self.path}: {name} {error}; expected an intact EPUB") from error

    def _parsed(self, name: str) -> Shown:
        page = Shown()
        if name not in self._entries:
            raise Unreadable(ABSENT, "missing")
        try:
            page.feed(decode_text(self._text(name)))
        except AssertionError as error:  # raised by Python's parser at an unknown declaration
            raise Unreadable(f"not a readable page ({error}); expected XHTML") from error
        return page

    def _xml(self, name: str):
        from xml.etree.ElementTree import ParseError

        from defusedxml import DefusedXmlException, ElementTree

        try:
            text = self._required_text(name).removeprefix(BOM_UTF8).lstrip()
            try:
                return ElementTree.fromstring(text)
            except ParseError:
                return ElementTree.fromstring(_BARE_AMPERSAND.sub(b"&amp;", text))
        except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
            raise EgaraError(f"{self.path}: {name} is not readable XML ({error}); expected an EPUB's") from error


def is_epub(file: Path, limits: Limits) -> bool:
    """Return whether a ZIP archive is an EPUB; a damaged one is not, and `Zip` reports it."""
    import mmap

    from egara.corpus.zips import read_directory

    try:
        with open(file, "rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
            entries, _ = read_directory(content)
            names = (entry.name.replace(b"\\", b"/").lstrip(b"/").lower() for entry in islice(entries, limits.members))
            return b"meta-inf/container.xml" in names
    except (OSError, ValueError):
        return False


def _is_image(media: str) -> bool:
    return media.startswith("image/") and media != "image/svg+xml"


def _is_text(link: str, media: str) -> bool:
    return media in _TEXTS or suffix_of(link) in _TEXT_SUFFIXES


def _path(link: str | None) -> str:
    """Return the path of a link, without fragment and query."""
    return unquote((link or "").split("#")[0].split("?")[0])


def _local(tag: object) -> str:
    """Return an element's name without its namespace."""
    return str(tag).rpartition("}")[2]
