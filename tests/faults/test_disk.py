"""A full disk at every stage: one line a job, nothing half-written, and the same command goes on once there is room."""

import errno
import re
from collections import Counter

import pytest
from corruption import CELL, mounted, one_line
from outcome import same_results

NO_SPACE = "No space left on device"


@pytest.fixture
def disk(disturbed):
    """A small disk of its own under all results, store included."""
    place = disturbed.folder / "results"
    place.mkdir()
    with mounted(place, "-t", "tmpfs", "-o", "size=64m", "tmpfs"):
        yield place


def fill(disk, leaving=0):
    """Write until nothing more goes, but for some bytes."""
    with (disk / "filling").open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)) == 4096:
                pass
        except OSError as error:
            assert error.errno == errno.ENOSPC
        file.truncate(file.tell() - leaving)


def left_behind(disk):
    """Return files that were being written when the disk was full."""
    return [path for path in disk.rglob(".*") if path.name != ".snakemake_timestamp"]


def test_every_stage_survives_a_full_disk(undisturbed, disturbed, disk):
    planned, failed = disturbed.planned(), Counter()
    while True:
        fill(disk)
        said = disturbed.snakemake(good=None)
        if "Nothing to be done" in said:
            break
        now = Counter(re.findall(r"Error in rule (\w+)", said))
        assert now, said[-6000:]
        assert "Traceback" not in said and said.count(NO_SPACE) >= sum(now.values()), said[-6000:]
        assert not left_behind(disk)
        (disk / "filling").unlink()
        failed += now
        disturbed.snakemake("--until", *now)  # there is room again: what failed is made, and what follows is next
    assert set(failed) == set(planned) - {"all"}
    same_results(undisturbed, disturbed)
    (disk / "filling").unlink()
    disturbed.change("n_neighbors: 3", "n_neighbors: 3, incremental: vectors")
    fill(disk, leaving=32 * 1024)  # room for the beginning of the matrix of vectors, not for all of it
    matrix = f"results/tiny/spaces/{CELL}/factors.npy"
    one_line(disturbed.snakemake(matrix, good=False), matrix, NO_SPACE)
    failed["flatten_loras"] += 1
    print(f"found the disk full: {failed.total()} jobs, {dict(failed)}")
