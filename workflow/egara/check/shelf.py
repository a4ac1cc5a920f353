"""The volumes of each work, surveyed in parallel without decoding a page."""

import multiprocessing
import os
import statistics
from collections import Counter
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from egara.cores import usable_cores
from egara.corpus import Survey, survey_volume
from egara.corpus.limits import Limits
from egara.corpus.sources import find_volumes, name_volumes
from egara.io.errors import EgaraError
from egara.skipped import LOST, count_by_cause, skipped
from egara.works import Work

MEASURED = 600  # pages whose size is read, over all volumes; at least three per volume
# A page that is wider or longer than its work's median by this factor is unusual: a fold-out, a long strip.
OUTLYING = 1.8


@dataclass
class Shelf:
    """The volumes of a work.

    Attributes
    ----------
    volumes : surveys of those that can be opened.
    names : their names in tables, in the same order.
    skipped : rows of `egara.skipped`, as far as file names and measured pages show.
    stops, remarks : problems and remarks, one line each.
    """

    work: str
    volumes: list[Survey] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    skipped: list[dict[str, str | int]] = field(default_factory=list)
    stops: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def pages(self) -> int:
        """Pages of all volumes."""
        return sum(volume.pages for volume in self.volumes)

    @property
    def kinds(self) -> dict[str, int]:
        """Volumes by kind."""
        return dict(Counter(volume.kind for volume in self.volumes))

    @property
    def left_out(self) -> dict[str, int]:
        """Number of left-out items by cause."""
        return count_by_cause(self.skipped)

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Width and height of the measured pages."""
        return [size for volume in self.volumes for size in volume.sizes]

    @property
    def usual_size(self) -> tuple[int, int] | None:
        """Median width and height of the measured pages."""
        if not self.sizes:
            return None
        return tuple(int(statistics.median(side)) for side in zip(*self.sizes, strict=True))

    @property
    def outlying(self) -> list[tuple[int, int]]:
        """Sizes of measured pages that are much wider or longer than the median, largest first."""
        if (usual := self.usual_size) is None:
            return []
        found = {size for size in self.sizes if size[0] > OUTLYING * usual[0] or size[1] > OUTLYING * usual[1]}
        return sorted(found, key=lambda size: -size[0] * size[1])


@contextmanager
def helpers(most: int = 8) -> "Executor":
    """Provide a pool of at most `most` processes: PDFs may not be opened by several threads of one process."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(max(1, min(most, usable_cores())), mp_context=context)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def survey_shelves(works: list[Work], pages: dict) -> list[Shelf]:
    """Survey all volumes of all works.

    Parameters
    ----------
    pages : the configuration's `pages`.
    """
    limits = Limits(pixels=pages["max_pixels"], **pages["limits"])
    shelves, places = [Shelf(work.work) for work in works], []
    for shelf, work in zip(shelves, works, strict=True):
        places += [(shelf, path) for path in _find(shelf, work, limits)]
    measured = max(3, MEASURED // max(1, len(places)))
    tasks = [(path, limits, pages["dpi"], measured) for _, path in places]
    lost: dict[str, list[dict]] = {shelf.work: [] for shelf in shelves}
    for (shelf, path), found in zip(places, _survey_all(tasks), strict=True):
        if isinstance(found, Survey):
            shelf.volumes.append(found)
            shelf.remarks += found.warnings
            rows = list(found.skipped)
        else:
            rows = [skipped(path, "", "volume", found.removeprefix(f"{path}: "))]
        shelf.skipped += rows
        lost[shelf.work] += [row for row in rows if row["cause"] in LOST]
    for shelf in shelves:
        shelf.names = name_volumes([volume.path for volume in shelf.volumes])
        _check_pages(shelf, lost[shelf.work] if pages["unreadable"] == "error" else [])
    _find_shared(places, shelves)
    return shelves


def _find(shelf: Shelf, work: Work, limits: Limits) -> list[Path]:
    """Return a work's volumes; a value that names none stops the study."""
    try:
        found = find_volumes(list(work.volumes), limits)
    except EgaraError as error:
        volumes, problems = [], []
        for value in work.volumes:
            try:
                volumes += find_volumes([value], limits).volumes
            except EgaraError as alone:
                problems.append(str(alone))
        shelf.stops += [f"work {work.work}: {problem}" for problem in problems or [str(error)]]
        return list(dict.fromkeys(volumes))
    shelf.skipped += found.skipped
    shelf.remarks += found.warnings
    return found.volumes


def _survey(task: tuple[Path, Limits, float, int]) -> Survey | str:
    try:
        return survey_volume(*task)
    except EgaraError as error:
        return str(error)


def _survey_all(tasks: list[tuple]) -> list[Survey | str]:
    if not tasks:
        return []
    try:
        with helpers(len(tasks)) as pool:
            return list(pool.map(_survey, tasks, chunksize=max(1, min(8, len(tasks) // 16))))
    except BrokenProcessPool:
        return [_survey_alone(task) for task in tasks]


def _survey_alone(task: tuple) -> Survey | str:
    """Survey a volume in a process of its own: one of the volumes crashes its process, by a fault of a library."""
    try:
        with helpers(1) as pool:
            return pool.submit(_survey, task).result()
    except BrokenProcessPool:
        return f"{task[0]}: crashes the process that reads it; expected a volume that other readers can open"


def _check_pages(shelf: Shelf, forbidden: list[dict]) -> None:
    """Let a work without pages, and items that may not be left out, stop the study."""
    if not shelf.pages and not shelf.stops:
        first = next((row["reason"] for row in shelf.skipped), "no files")
        shelf.stops.append(f"work {shelf.work}: none of its volumes can be read ({first})")
    for row in forbidden:
        where = "/".join(filter(None, (row["source"], row["member"])))
        shelf.stops.append(f"work {shelf.work}: {where}: {row['reason']} (pages.unreadable is error)")


def _find_shared(places: list[tuple[Shelf, Path]], shelves: list[Shelf]) -> None:
    """Add a remark on each volume that two works share: its faces would carry two labels."""
    owners: dict[str, list[str]] = {}
    for shelf, path in places:
        owners.setdefault(os.path.realpath(path), []).append(shelf.work)
    by_name = {shelf.work: shelf for shelf in shelves}
    for path, names in owners.items():
        if len(set(names)) > 1:
            by_name[names[0]].remarks.append(
                f"{path}: belongs to works {' and '.join(dict.fromkeys(names))}; its faces would carry all their labels"
            )
