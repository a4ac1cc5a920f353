"""The interface of open volumes: list pages in reading order, and read their stored bytes one at a time.

A member is the path of a page within its volume; a page of a nested volume is `ch1.cbz/001.jpg`. Nothing is extracted
under a member's name, so a name is only a label.
"""

import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from egara.corpus.leftovers import Leftovers
from egara.corpus.limits import MEBIBYTE, Budget, Limits, Unreadable, check_bytes, key
from egara.corpus.names import is_comic_info, is_page, is_volume, natural_order
from egara.io.errors import EgaraError, counted
from egara.skipped import skipped

LINK = "a link or device in the archive, which is not followed; expected a file"
ENCRYPTED = "encrypted archive; expected one without a password"
ABSENT = "is not in the archive"


@dataclass(frozen=True)
class Opening:
    """How to open a volume and those nested in it.

    Attributes
    ----------
    open : opens the volume in a file; messages name it by the given path.
    sizes : member of a PDF → width and height at which it was listed.
    depth : number of volumes around this one.
    """

    limits: Limits
    open: "Callable[[Path, Path, Opening], Source]"
    budget: Budget
    dpi: float = 150
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    depth: int = 0


class Source:
    """One open volume; a subclass lists its files in `_open` and yields their bytes in `_blocks`.

    Attributes
    ----------
    path : the volume's name in messages and tables; `file` is the file that is read.
    documents : name of ComicInfo.xml or OPF → bytes.
    skipped : rows of `egara.skipped` for everything that is not a page; complete once `members` is.
    warnings : messages for the user.
    """

    kind = "volume"
    one_way = False  # whether reading one member requires reading all before it

    def __init__(self, file: Path, path: Path, opening: Opening) -> None:
        self.file, self.path, self.opening = file, path, opening
        self.limits = opening.limits
        self.documents: dict[str, bytes] = {}
        self.skipped: list[dict[str, str | int]] = []
        self.warnings: list[str] = []
        self._pages: list[str] = []
        self._direct: frozenset[str] = frozenset()
        self._nested: dict[str, None] = {}  # an ordered set
        self._named: dict[str, str] = {}  # member of a volume within this one → name of its page
        self._members: list[str] | None = None
        self._archive = None
        self._folder: tempfile.TemporaryDirectory | None = None
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what the source holds open."""
        if self._archive is not None:
            self._archive.close()
        if self._folder is not None:
            for file in Path(self._folder.name).iterdir():
                file.unlink()
            self._folder.cleanup()

    @property
    def members(self) -> list[str]:
        """Pages in reading order; pages of a nested volume are at its position."""
        if self._members is None:
            self._members = self._expand()
        return self._members

    def page_name(self, member: str) -> str:
        """Return a page's name in tables, usually its member."""
        return self._named.get(member, member)

    def read(self, member: str) -> bytes:
        """Return one page's stored bytes; raises `Unreadable` where only this page fails."""
        for _, data in self.blobs([member]):
            if isinstance(data, Unreadable):
                raise data
            return data
        raise Unreadable(ABSENT, "missing")

    def blobs(self, members: list[str]) -> Iterator[tuple[str, bytes | Unreadable]]:
        """Yield each member with its stored bytes, or with the reason why they cannot be read, in the given order."""
        groups = [
            (outer, [inner for _, inner in parts])
            for outer, parts in itertools.groupby(map(self._split, members), key=lambda pair: pair[0])
        ]
        while groups:
            # One pass yields each file once.
            batch = list(itertools.takewhile(_unseen(), groups))
            groups = groups[len(batch) :]
            for (outer, inner), (_, found) in zip(batch, self._stored([outer for outer, _ in batch]), strict=True):
                if isinstance(found, Path):
                    yield from self._blobs_within(outer, inner, found)
                else:
                    yield from ((outer if name is None else f"{outer}/{name}", found) for name in inner)

    def _split(self, member: str) -> tuple[str, str | None]:
        """Split a member into its file and the member within that nested volume, None for the file itself."""
        if self._nested and member not in self._direct:
            for place, letter in enumerate(member):
                if letter == "/" and member[:place] in self._nested:
                    return member[:place], member[place + 1 :]
        return member, None

    def _blobs_within(self, outer: str, inner: list[str], file: Path) -> Iterator[tuple[str, bytes | Unreadable]]:
        done = 0
        try:
            with self._within(outer, file) as source:
                for name, data in source.blobs(inner):
                    yield f"{outer}/{name}", data
                    done += 1
        except EgaraError as error:
            yield from ((f"{outer}/{name}", Unreadable(str(error))) for name in inner[done:])
        finally:
            file.unlink(missing_ok=True)

    def _within(self, outer: str, file: Path) -> "Source":
        """Open a nested volume."""
        start = f"{outer}/"
        sizes = {name[len(start) :]: size for name, size in self.opening.sizes.items() if name.startswith(start)}
        opening = replace(self.opening, depth=self.opening.depth + 1, sizes=sizes)
        return self.opening.open(file, self.path / outer, opening)

    def _expand(self) -> list[str]:
        """Return all pages, and add the rows that nested volumes skip."""
        if not self._nested:
            return self._pages
        within: dict[str, list[str]] = {}
        for outer, found in self._stored(list(self._nested)):
            try:
                if isinstance(found, Unreadable):
                    raise EgaraError(str(found))
                with self._within(outer, found) as source:
                    within[outer] = [f"{outer}/{name}" for name in source.members]
                    self._named |= {f"{outer}/{name}": f"{outer}/{source.page_name(name)}" for name in source.members}
                    self.skipped += [
                        row | {"source": str(self.path), "member": f"{outer}/{row['member']}".rstrip("/")}
                        for row in source.skipped
                    ]
                    self.warnings += source.warnings
                found.unlink(missing_ok=True)
            except EgaraError as error:
                cause = found.cause if isinstance(found, Unreadable) and found.cause == "limit" else "volume"
                reason = str(error).removeprefix(f"{self.path / outer}: ")
                self.skipped.append(skipped(self.path, outer, cause, reason))
        pages = len(self._pages)
        self.warnings.append(
            f"{self.path}: holds {counted(len(self._nested), 'volume')} ({next(iter(self._nested))}"
            + (", …)" if len(self._nested) > 1 else ")")
            + (f" and {counted(pages, 'image')} outside" if pages else "")
            + "; all are read, in natural order"
        )
        ordered = natural_order([*self._pages, *self._nested])
        return [page for name in ordered for page in (within.get(name, []) if name in self._nested else [name])]

    def _stored(self, names: list[str]) -> Iterator[tuple[str, bytes | Path | Unreadable]]:
        """Yield files in the given order: the bytes of a page, or a volume as a temporary file."""
        for name in names:
            try:
                if name in self._nested:
                    yield name, self._to_file(self._blocks(name))
                else:
                    yield name, self._to_bytes(self._blocks(name))
            except Unreadable as error:
                yield name, error

    def _blocks(self, name: str) -> Iterator[bytes]:
        """Yield a file's bytes; raises `Unreadable` where it is damaged or not a file."""
        raise NotImplementedError

    def _to_bytes(self, blocks: Iterable[bytes]) -> bytes:
        """Return a page's bytes, checked against the limits whatever size its header states."""
        size, kept = 0, []
        for block in blocks:
            size += len(block)
            check_bytes(size, None, self.limits)
            kept.append(block)
        return b"".join(kept)

    def _to_file(self, blocks: Iterable[bytes], name: str = "volume") -> Path:
        """Write bytes to a temporary file, up to the limit of a nested volume."""
        path, size = self._temporary() / name, 0
        with open(path, "wb") as file:
            for block in blocks:
                size += len(block)
                check_bytes(size, None, self.limits, "volume")
                file.write(block)
        return path

    def _temporary(self) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="egara-")
        return Path(self._folder.name)

    def _select(self, names: Iterable[str], sizes: Mapping[str, int] | None = None) -> None:
        """Find the pages and nested volumes among a volume's files, list the rest, and read ComicInfo.xml.

        `sizes` are the uncompressed bytes of files; pages and volumes count towards the budget.
        """
        names, left = list(names), Leftovers()
        self._pages = natural_order(filter(is_page, names))
        volumes = natural_order(filter(is_volume, names))
        deep = self.opening.depth >= self.limits.nested
        self._nested = {} if deep else dict.fromkeys(volumes)
        self._direct = frozenset(self._pages)
        if deep and volumes:
            reason = f"volumes within {self.opening.depth} volumes; expected at most {self.limits.nested}"
            self.skipped.append(skipped(self.path, volumes[0], "limit", f"{reason} ({key('nested')})", len(volumes)))
        for name in names:
            if not is_page(name) and not is_volume(name):
                left.note(name)
        self.skipped += left.rows(self.path)
        if not self._pages and not self._nested:
            found = f"only {counted(len(names), 'other file')}" if names else "it is empty"
            if deep and volumes:
                found = f"but volumes within {self.limits.nested} volumes ({key('nested')})"
            raise EgaraError(f"{self.path}: no images inside, {found}; expected a volume's pages")
        wanted = [*self._pages, *self._nested]
        self.opening.budget.spend(0, sum((sizes or {}).get(name, 0) for name in wanted))
        self._read_documents(filter(is_comic_info, names))

    def _read_documents(self, names: Iterable[str]) -> None:
        """Read the documents that describe the volume; a damaged one is a warning."""
        for name in names:
            try:
                data = self._to_bytes(self._blocks(name))
                check_bytes(len(data), None, self.limits, "document")
                self.documents[name] = data
            except Unreadable as error:
                self.warnings.append(f"{self.path}: {name}: {error}; author and work are not compared")


def check_size(blocks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Yield a member's bytes; raises `Unreadable` where there are fewer than `size`, or its stream is damaged."""
    given = 0
    try:
        for block in blocks:
            given += len(block)
            yield block
    except (EgaraError, Unreadable, MemoryError):
        raise
    # False sizes and offsets and damaged streams raise errors of many types.
    except Exception as error:
        raise Unreadable(f"damaged in the archive ({error or type(error).__name__})") from error
    if given < size:
        raise Unreadable(f"damaged in the archive ({given} of {size} bytes)")


def blocks_of(file: BinaryIO) -> Iterator[bytes]:
    """Yield an open file's bytes in blocks of 1 MiB."""
    while block := file.read(MEBIBYTE):
        yield block


def _unseen() -> Callable[[tuple[str, object]], bool]:
    """Return a test that is true for the first group of each name."""
    seen: set[str] = set()

    def first(group: tuple[str, object]) -> bool:
        fresh = group[0] not in seen
        seen.add(group[0])
        return fresh

    return first
