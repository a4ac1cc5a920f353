"""The images on a page of a book: elements of HTML and SVG, and backgrounds of CSS."""

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from html.parser import HTMLParser

# The encoding that an XML or HTML page or a style sheet declares.
_DECLARED = re.compile(rb"""(?:encoding|charset)\s*=?\s*["']?([A-Za-z][A-Za-z0-9._-]*)""")
# CSS: a rule's selectors and its declarations; a background's address.
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_ADDRESS = re.compile(
    r"""background(?:-image)?\s*:[^;{}]*?url\(\s*(?:"([^"]*)"|'([^']*)'|([^)"']*))\s*\)""", re.IGNORECASE
)
_SIMPLE = re.compile(r"([#.]?)(-?[\w\u0080-\uffff-]+|\*)")


class Shown(HTMLParser):
    """Collects the images of a page, in document order.

    An HTML parser, because books contain entities and unclosed tags that XML parsers refuse.

    Attributes
    ----------
    images : alternative links of each image; the first that exists is used.
    backgrounds : links of backgrounds in `style` attributes.
    sheets : links to style sheets; `styles` are the texts of sheets in the page.
    """

    def __init__(self) -> None:
        super().__init__()
        self.images: list[list[str]] = []
        self.backgrounds: list[str] = []
        self.sheets: list[str] = []
        self.styles: list[str] = []
        self._seen: list[tuple[str, str, frozenset[str]]] = []  # each element's tag, id and classes
        self._picture: list[str] | None = None  # links of the sources of an open <picture>
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the links of an element."""
        given = {name: value or "" for name, value in reversed(attrs)}  # the first of duplicate attributes counts
        tag = tag.rpartition(":")[2]
        self._seen.append((tag, given.get("id", ""), frozenset(given.get("class", "").split())))
        self.backgrounds += backgrounds(given.get("style", ""))
        link = given.get("xlink:href") or given.get("href") or ""
        if tag == "picture":
            self._picture = []
        elif tag == "source" and self._picture is not None:
            self._picture += candidates(given.get("srcset", ""))
        elif tag == "img":
            self._offer([given.get("src", ""), *candidates(given.get("srcset", "")), *(self._picture or [])])
            self._picture = None if self._picture is None else []
        elif tag == "image":
            self._offer([link])
        elif tag in ("object", "embed", "input", "iframe"):
            self._offer([given.get("data" if tag == "object" else "src", "")])
        elif tag == "link" and "stylesheet" in given.get("rel", "").lower():
            self.sheets.append(link)
        elif tag == "style":
            self._in_style = True

    def handle_endtag(self, tag: str) -> None:
        """Close a `<picture>`, which may have no `<img>`, or a style sheet."""
        if tag == "picture":
            self._offer(self._picture or [])
            self._picture = None
        elif tag == "style":
            self._in_style = False

    def handle_data(self, data: str) -> None:
        """Collect the text of a style sheet."""
        if self._in_style:
            self.styles.append(data)

    def _offer(self, links: list[str]) -> None:
        if links := [link for link in links if link.strip()]:
            self.images.append(links)

    def of_sheet(self, text: str) -> list[str]:
        """Return the backgrounds in a style sheet for elements of this page."""
        text = _COMMENT.sub("", text)
        return [
            link
            for selectors, declarations in _RULE.findall(text)
            if (links := backgrounds(declarations)) and any(map(self._matches, selectors.split(",")))
            for link in links
        ]

    def _matches(self, selector: str) -> bool:
        """Return whether an element of the page matches the last part of a selector."""
        last = re.split(r"[\s>+~]+", selector.strip())[-1]
        parts = _SIMPLE.findall(re.split(r"[:\[]", last)[0])
        return bool(parts) and any(
            all(
                name == identity if kind == "#" else name in classes if kind == "." else name in ("*", tag)
                for kind, name in parts
            )
            for tag, identity, classes in self._seen
        )


def backgrounds(declarations: str) -> list[str]:
    """Return the links of backgrounds in CSS declarations."""
    return [next(filter(None, found), "").strip() for found in _ADDRESS.findall(declarations)]


def candidates(srcset: str) -> list[str]:
    """Return the links of a `srcset`, the largest first."""
    found = []
    for part in re.split(r",\s+|,$", srcset.strip()):
        words = part.split()
        if words:
            size = re.match(r"[\d.]+", words[-1]) if len(words) > 1 else None
            try:
                found.append((float(size.group()) if size else 1.0, words[0]))
            except ValueError:
                found.append((1.0, words[0]))
    return [link for _, link in sorted(found, key=lambda pair: -pair[0])]


def decode_text(data: bytes) -> str:
    """Decode a page: by its first bytes, by the encoding that it declares, or as UTF-8."""
    head = data[:400]
    if head.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        encoding = "utf-16"
    elif head[1:2] == b"\0" or head[:1] == b"\0":
        encoding = "utf-16-le" if head[1:2] == b"\0" else "utf-16-be"
    else:
        found = _DECLARED.search(head)
        encoding = found[1].decode() if found else "utf-8"
    try:
        return data.removeprefix(BOM_UTF8).decode(encoding)
    except (LookupError, ValueError):  # not in the declared encoding
        return data.decode("utf-8", errors="replace")
