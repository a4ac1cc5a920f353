"""Files on disk as volumes: a folder of images with its subfolders and links, or one image."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from egara.corpus.archives import Source, blocks_of
from egara.corpus.leftovers import Leftovers
from egara.corpus.limits import Limits, Unreadable, check_count, key
from egara.corpus.names import distinct, is_page, is_system, is_volume, label, natural_order
from egara.io.errors import EgaraError, counted
from egara.skipped import skipped


@dataclass
class Level:
    """One folder: its files and folders, and rows of what is not followed or unreadable.

    `name` is the path from the top, "" for the top; `system` counts system files by path.
    """

    name: str
    files: list[str] = field(default_factory=list)
    folders: list["Level"] = field(default_factory=list)
    system: dict[str, int] = field(default_factory=dict)
    rows: list[dict[str, str | int]] = field(default_factory=list)

    def holds_volumes(self) -> bool:
        """Return whether the folder or one below it contains a volume in one file."""
        return any(map(is_volume, self.files)) or any(level.holds_volumes() for level in self.folders)

    def below(self) -> Iterator["Level"]:
        """Yield the folder and all folders below it."""
        yield self
        for level in self.folders:
            yield from level.below()


def read_tree(top: Path, limits: Limits) -> Level:
    """Read a folder recursively; links to folders outside it are followed.

    Raises
    ------
    EgaraError : the folder cannot be read, or contains too many files.
    """
    reader = _Reader(top, limits)
    return reader.read("", 0)


class _Reader:
    def __init__(self, top: Path, limits: Limits) -> None:
        self._top, self._limits = top, limits
        self._real = os.path.realpath(top)
        self._entered = {self._real}
        self._count = 0

    def read(self, name: str, depth: int) -> Level:
        level = Level(name)
        try:
            with os.scandir(self._top / name) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            reason = f"folder cannot be read ({error.strerror or error})"
            if not name:
                raise EgaraError(f"{self._top}: {reason}; expected a readable one") from error
            level.rows.append(skipped(self._top, label(name), "unreadable", reason))
            return level
        for entry in entries:
            path = f"{name}/{entry.name}" if name else entry.name
            if is_system(entry.name):
                level.system[path] = self._count_below(entry)
            elif _is_folder(entry):
                if reason := self._refusal(entry, depth):
                    beyond = key("folders") in reason
                    level.rows.append(skipped(self._top, label(path), "limit" if beyond else "link", reason))
                else:
                    level.folders.append(self.read(path, depth + 1))
            elif entry.is_symlink() and not os.path.exists(entry.path) and not (is_page(path) or is_volume(path)):
                level.rows.append(skipped(self._top, label(path), "link", "a broken link"))
            else:
                self._note(1)
                level.files.append(path)
        return level

    def _note(self, count: int) -> None:
        self._count += count
        check_count(self._top, self._count, self._limits)

    def _refusal(self, entry: os.DirEntry, depth: int) -> str:
        """Return why a folder is not entered, "" where it is."""
        if depth >= self._limits.folders:
            return f"folder within {depth} folders; expected at most {self._limits.folders} ({key('folders')})"
        if not entry.is_symlink():
            return ""
        real = os.path.realpath(entry.path)
        if _is_within(self._real, real):
            return "a link to a parent folder, which would be a cycle"
        if _is_within(real, self._real):
            return "a link to a folder inside this one, which is read anyway"
        if real in self._entered or any(_is_within(real, other) for other in self._entered - {self._real}):
            return "a link to a folder that another link points to"
        self._entered.add(real)
        return ""

    def _count_below(self, entry: os.DirEntry) -> int:
        """Count system files, which are not read."""
        if not entry.is_dir(follow_symlinks=False):
            return 1
        count = 0
        for _, _, files in os.walk(entry.path):
            count += len(files)
            if count > self._limits.members:
                break
        return count


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links that lead to each other
        return False


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def leftover_rows(top: Path, levels: Iterator[Level] | list[Level]) -> list[dict[str, str | int]]:
    """Return rows for the files in folders that are neither pages nor volumes."""
    left, rows = Leftovers(), []
    for level in levels:
        rows += level.rows
        for name, count in level.system.items():
            left.note(name, count)
        for name in level.files:
            if not is_page(name) and not is_volume(name):
                left.note(name)
    return rows + left.rows(top)


class Folder(Source):
    """A folder of images with its subfolders; where there are volumes in or below it, only its own images."""

    kind = "folder of images"

    def _open(self) -> None:
        tree = read_tree(self.file, self.limits)
        levels = [tree] if tree.holds_volumes() else list(tree.below())
        self.skipped = leftover_rows(self.path, levels)
        self._files: dict[str, str] = {}
        for level in levels:
            for name in level.files:
                self._files[distinct(label(name), self._files)] = name
        self._pages = natural_order(filter(is_page, self._files))
        if not self._pages:
            found = f"only {counted(len(self._files), 'other file')}" if self._files else "it is empty"
            raise EgaraError(f"{self.path}: no images inside, {found}; expected a volume's pages")
        self._read_documents(name for name in self._files if name.lower() == "comicinfo.xml")

    def _blocks(self, name: str) -> Iterator[bytes]:
        return _file_blocks(self.file / self._files.get(name, name))


def collect_volumes(
    top: Path, level: Level, volumes: list[Path], rows: list[dict[str, str | int]], notes: list[str]
) -> None:
    """Add the volumes in a folder to `volumes`, in natural order, and rows for the other files to `rows`."""
    images = [name for name in level.files if is_page(name)]
    mixed = bool(images) and level.holds_volumes()
    if images:
        volumes.append(top / level.name)
        if not mixed:
            return
        notes.append(
            f"{top / level.name}: {counted(len(images), 'image')} ({images[0]}{', …' if len(images) > 1 else ''}) "
            "next to volumes; both are read, the images as a separate volume"
        )
    else:
        rows += leftover_rows(top, [level])
    below = {folder.name: folder for folder in level.folders}
    for name in natural_order([*filter(is_volume, level.files), *below]):
        if name in below:
            collect_volumes(top, below[name], volumes, rows, notes)
        else:
            volumes.append(top / name)


class SingleFile(Source):
    """One image file: a volume of one page, whose member is ""."""

    kind = "image"

    def _open(self) -> None:
        self._pages = [""]

    def page_name(self, member: str) -> str:
        """Return the file's name."""
        return label(self.path.name)

    def _blocks(self, name: str) -> Iterator[bytes]:
        return _file_blocks(self.file)


def _file_blocks(file: Path) -> Iterator[bytes]:
    """Yield a file's bytes; raises `Unreadable` where it is missing, or a device or pipe."""
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise Unreadable("a device or pipe, which never ends; expected a file")
        with open(file, "rb") as opened:
            yield from blocks_of(opened)
    except FileNotFoundError as error:
        gone = "a broken link; expected a file" if os.path.islink(file) else str(error.strerror)
        raise Unreadable(gone, "missing") from error
    except OSError as error:
        raise Unreadable(error.strerror or str(error)) from error
