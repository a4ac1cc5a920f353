"""Names of files and members: pages, volumes, documents, system files or others; natural order; encodings."""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

# Extensions of pages; JPEG XL and HEIC need further packages.
PAGES = frozenset(
    [".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".avif"]
    + [".jp2", ".j2k", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".jxl", ".heic", ".heif", ".mpo", ".apng"]
)

# Extensions of volumes; their content decides how they are read.
VOLUMES = (".cbz", ".zip", ".cbt", ".tar", ".tgz", ".cb7", ".7z", ".cbr", ".rar", ".epub", ".pdf")
_COMPRESSED_TAR = (".tar.gz", ".tar.bz2", ".tar.xz", ".cbt.gz", ".cbt.xz", ".tbz2", ".txz")

# Volumes that are not supported, and their names in messages.
OTHER_VOLUMES = {
    ".mobi": "MOBI",
    ".azw": "Kindle book",
    ".azw3": "Kindle book",
    ".kfx": "Kindle book",
    ".djvu": "DjVu",
    ".cba": "ACE archive",
    ".ace": "ACE archive",
    ".lzh": "LHA archive",
    ".lha": "LHA archive",
    ".zst": "archive compressed with Zstandard",
    ".001": "part of a split archive",
    ".z01": "part of a split archive",
    ".r00": "part of a split archive",
}

# Longer than names of files; an archive may contain names of any length.
_LONGEST = 500

# ComicInfo.xml and similar, and Snakemake's mark in output folders.
_DOCUMENTS = frozenset(
    ["comicinfo.xml", "metroninfo.xml", "comicbookinfo.json", "series.json", "details.json", ".snakemake_timestamp"]
)

# Folders of thumbnails, indexes and deleted files of Windows, macOS and network disks.
_SYSTEM_FOLDERS = frozenset(
    ["__macosx", "@eadir", "#recycle", "@recycle", "@recently-snapshot", "#snapshot", "$recycle.bin", "recycler"]
    + ["recycled", "lost+found", "system volume information", "@tmp", "@sharebin", "network trash folder"]
    + ["temporary items", "found.000"]
)
_SYSTEM_FILES = frozenset(["thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r", "folder.htt"])


def parts_of(name: str) -> tuple[str, ...]:
    """Split a name into folders and file, at either slash."""
    return PurePosixPath(name.replace("\\", "/")).parts


def suffix_of(name: str) -> str:
    """Return a name's extension in lower case with its dot; blanks and dots after it are ignored."""
    return PurePosixPath(name.replace("\\", "/").rstrip(" .")).suffix.lower()


def natural_order(names: Iterable[str]) -> list[str]:
    """Sort names naturally: `2.jpg` before `10.jpg`, folder by folder."""
    from natsort import natsorted, ns

    # Sorted first, because names that differ only in case keep their order.
    return natsorted(sorted(names), key=lambda name: name.replace("\\", "/"), alg=ns.PATH | ns.IGNORECASE)


def system_part(name: str) -> int | None:
    """Return the index of the part of a name that is a system file or folder, such as a dot file; None if none is."""
    for place, part in enumerate(parts_of(name)):
        if part.startswith(".") and part.strip(".") or part.lower() in _SYSTEM_FOLDERS | _SYSTEM_FILES:
            return place
    return None


def is_system(name: str) -> bool:
    """Return whether a file is a system file, or in a system folder."""
    return system_part(name) is not None


def is_page(name: str) -> bool:
    """Return whether a name is that of a page: an image that is not a system file."""
    return suffix_of(name) in PAGES and not is_system(name)


def is_volume(name: str) -> bool:
    """Return whether a name is that of a volume in one file."""
    low = name.rstrip(" .").lower()
    return (low.endswith(VOLUMES) or low.endswith(_COMPRESSED_TAR)) and not is_system(name)


def is_document(name: str) -> bool:
    """Return whether a file is metadata of its volume."""
    return bool(parts := parts_of(name)) and parts[-1].lower() in _DOCUMENTS


def is_comic_info(name: str) -> bool:
    """Return whether a file is ComicInfo.xml, the metadata that is read."""
    return bool(parts := parts_of(name)) and parts[-1].lower() == "comicinfo.xml" and not is_system(name)


def decode_name(name: bytes, utf8: bool = False) -> str:
    """Decode a name in an archive: UTF-8, or Shift JIS as on Japanese Windows, or ZIP's old code page."""
    for encoding in ("utf-8",) if utf8 else ("utf-8", "cp932"):
        try:
            return name.decode(encoding)
        except UnicodeDecodeError:
            continue
    return decode_name(name) if utf8 else name.decode("cp437")


def label(name: str) -> str:
    """Return a name as one line of a table: control characters are escaped, long names truncated."""
    shown = "".join(
        letter if unicodedata.category(letter) not in ("Cc", "Cs", "Zl", "Zp") else ascii(letter)[1:-1]
        for letter in name[:_LONGEST]
    )
    return shown if len(name) <= _LONGEST else f"{shown}…"


def distinct(name: str, taken: Iterable[str]) -> str:
    """Return a name that is not `taken`: the name itself, or with a number appended."""
    number, free = 2, name
    while free in taken:
        free, number = f"{name}~{number}", number + 1
    return free


def resolve(base: str, link: str) -> str:
    """Resolve a link from the folder `base`; a path above the top stays at the top."""
    link = link.replace("\\", "/")
    kept: list[str] = [] if link.startswith("/") else [part for part in base.split("/") if part]
    for part in link.split("/"):
        if part == "..":
            del kept[-1:]
        elif part not in ("", "."):
            kept.append(part)
    return "/".join(kept)


def same_name(name: str) -> str:
    """Return the common form of names that differ only in slashes, case or the composition of accents."""
    return unicodedata.normalize("NFC", resolve("", name)).casefold()


def is_address(link: str) -> bool:
    """Return whether a link leads out of its book: `http:`, `data:`, `//host`."""
    return bool(re.match(r"[A-Za-z][A-Za-z0-9+.-]+:|//", link.strip()))
