"""What a member's or a file's name tells: a page, a volume, a document, what a system left behind, or none of these."""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

# Members that are taken for pages; JPEG XL and HEIC too, which are read where their packages are installed.
PAGES = frozenset(
    [".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".avif"]
    + [".jp2", ".j2k", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".jxl", ".heic", ".heif", ".mpo", ".apng"]
)

# What a folder's files are taken for volumes by; how each is read, its content decides.
VOLUMES = (".cbz", ".zip", ".cbt", ".tar", ".tgz", ".cb7", ".7z", ".cbr", ".rar", ".epub", ".pdf")
_PACKED_TAR = (".tar.gz", ".tar.bz2", ".tar.xz", ".cbt.gz", ".cbt.xz", ".tbz2", ".txz")

# Volumes of kinds that are not read: what they are called in the line that says so.
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
    ".zst": "archive packed with Zstandard",
    ".001": "part of a split archive",
    ".z01": "part of a split archive",
    ".r00": "part of a split archive",
}

# Longer names are no file's; an archive may state any.
_LONGEST = 500

# ComicInfo.xml and its kin, and what Snakemake leaves in a folder that a rule makes.
_DOCUMENTS = frozenset(
    ["comicinfo.xml", "metroninfo.xml", "comicbookinfo.json", "series.json", "details.json", ".snakemake_timestamp"]
)

# Folders in which Windows, macOS and the makers of network disks keep thumbnails, indexes and what was deleted.
_SYSTEM_FOLDERS = frozenset(
    ["__macosx", "@eadir", "#recycle", "@recycle", "@recently-snapshot", "#snapshot", "$recycle.bin", "recycler"]
    + ["recycled", "lost+found", "system volume information", "@tmp", "@sharebin", "network trash folder"]
    + ["temporary items", "found.000"]
)
_SYSTEM_FILES = frozenset(["thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r", "folder.htt"])


def parts_of(name: str) -> tuple[str, ...]:
    """Return the folders and the file of a name, whichever slash parts them."""
    return PurePosixPath(name.replace("\\", "/")).parts


def suffix_of(name: str) -> str:
    """Return a name's last suffix in lower case, its dot included; blanks and dots behind it are none of it."""
    return PurePosixPath(name.replace("\\", "/").rstrip(" .")).suffix.lower()


def natural_order(names: Iterable[str]) -> list[str]:
    """Sort names as a person reads them: `2.jpg` before `10.jpg`, folder by folder."""
    from natsort import natsorted, ns

    # Sorted before, because names that differ in case only keep the order in which they came.
    return natsorted(sorted(names), key=lambda name: name.replace("\\", "/"), alg=ns.PATH | ns.IGNORECASE)


def system_part(name: str) -> int | None:
    """Return which part of a name, counted from 0, is a system's own: a dot file, thumbnails, a bin; None if none."""
    for place, part in enumerate(parts_of(name)):
        if part.startswith(".") and part.strip(".") or part.lower() in _SYSTEM_FOLDERS | _SYSTEM_FILES:
            return place
    return None


def is_system(name: str) -> bool:
    """Tell whether a file is a system's own, or lies in a folder that is."""
    return system_part(name) is not None


def is_page(name: str) -> bool:
    """Tell whether a name is that of a page: an image that no system left behind."""
    return suffix_of(name) in PAGES and not is_system(name)


def is_volume(name: str) -> bool:
    """Tell whether a name is that of a volume in one file."""
    low = name.rstrip(" .").lower()
    return (low.endswith(VOLUMES) or low.endswith(_PACKED_TAR)) and not is_system(name)


def is_document(name: str) -> bool:
    """Tell whether a file describes its volume."""
    return bool(parts := parts_of(name)) and parts[-1].lower() in _DOCUMENTS


def is_comic_info(name: str) -> bool:
    """Tell whether a file is ComicInfo.xml, the description that is read."""
    return bool(parts := parts_of(name)) and parts[-1].lower() == "comicinfo.xml" and not is_system(name)


def decode_name(name: bytes, utf8: bool = False) -> str:
    """Return an archive's name as text: UTF-8, or what Japanese Windows writes, or the old code page of ZIP."""
    for encoding in ("utf-8",) if utf8 else ("utf-8", "cp932"):
        try:
            return name.decode(encoding)
        except UnicodeDecodeError:
            continue
    return decode_name(name) if utf8 else name.decode("cp437")


def label(name: str) -> str:
    """Return a name as one line of a table: what is no text is written as an escape, and no name is endless."""
    shown = "".join(
        letter if unicodedata.category(letter) not in ("Cc", "Cs", "Zl", "Zp") else ascii(letter)[1:-1]
        for letter in name[:_LONGEST]
    )
    return shown if len(name) <= _LONGEST else f"{shown}…"


def distinct(name: str, taken: Iterable[str]) -> str:
    """Return a label that is not `taken`: the name itself, or with a number behind."""
    number, free = 2, name
    while free in taken:
        free, number = f"{name}~{number}", number + 1
    return free


def resolve(base: str, link: str) -> str:
    """Return the path that a link leads to from the folder `base`; what climbs above the top stays at the top."""
    link = link.replace("\\", "/")
    kept: list[str] = [] if link.startswith("/") else [part for part in base.split("/") if part]
    for part in link.split("/"):
        if part == "..":
            del kept[-1:]
        elif part not in ("", "."):
            kept.append(part)
    return "/".join(kept)


def same_name(name: str) -> str:
    """Return what names have in common that differ in slashes, case or the composition of accents only."""
    return unicodedata.normalize("NFC", resolve("", name)).casefold()


def is_address(link: str) -> bool:
    """Tell whether a link leads out of its book: `http:`, `data:`, `//host`."""
    return bool(re.match(r"[A-Za-z][A-Za-z0-9+.-]+:|//", link.strip()))
