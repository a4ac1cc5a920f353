"""Two runs at once on one folder: the second is told so; and where the lock is turned off, nothing false comes out."""

import time

from corruption import forget, forget_from, one_line
from outcome import same_results
from tiny import start


def test_a_second_run_is_told_that_there_is_one(undisturbed, copied):
    forget_from(copied, "losses")
    first = start(copied, "first.log")
    locks = copied.folder / ".snakemake" / "locks"
    while not (locks.is_dir() and any(locks.iterdir())) and first.poll() is None:
        time.sleep(0.05)
    said = copied.snakemake(good=False)
    assert first.poll() is None, "the first run goes on"
    one_line(said, "Directory cannot be locked")
    assert first.wait() == 0, (copied.folder / "first.log").read_text()[-4000:]
    assert "Nothing to be done" in copied.snakemake("-n")
    same_results(undisturbed, copied)


def test_two_runs_without_a_lock_leave_nothing_false(undisturbed, copied):
    forget_from(copied, "latents")
    forget(copied, "store")
    runs = [start(copied, f"{name}.log", "--nolock") for name in ("first", "second")]
    for run in runs:
        run.wait()  # either may have lost a file to the other
    copied.snakemake()
    same_results(undisturbed, copied)
    assert "Nothing to be done" in copied.snakemake("-n")
