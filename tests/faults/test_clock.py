"""A clock that jumps, between jobs and within them; and files from the future and from long ago."""

import os
import time

from corruption import forget_from, forget_training
from outcome import same_results

# The time of day jumps by up to a day to either side at each
# look at it; the clock that never goes back leaps ahead by up to an hour, as after a laptop's sleep.
JUMPING = """
import random, time
chance, day, clock, ahead = random.SystemRandom(), time.time, time.monotonic, 0.0

def leaping():
    global ahead
    ahead += chance.choice([0, 0, 0, 3600 * chance.random()])
    return clock() + ahead

time.time = lambda: day() + chance.uniform(-86400, 86400)
time.time_ns = lambda: int(time.time() * 10**9)
time.monotonic = leaping
"""
DAY = 86400


def shift(project, days, *patterns):
    """Give results another time of writing."""
    for pattern in patterns:
        found = [*(project.folder / "results" / "tiny").glob(pattern)]
        assert found, pattern
        for path in found:
            os.utime(path, (time.time() + days * DAY,) * 2)


def stored(project):
    """Return the files of the store's LoRAs; one that is trained again is another file under the same name."""
    return {path: path.stat().st_ino for path in (project.folder / "results/store").glob("??/*.safetensors")}


def test_a_clock_that_jumps_between_and_within_jobs(undisturbed, disturbed):
    disturbed.run_first(JUMPING)
    disturbed.change("pack: 3", "pack: 3, checkpoint_minutes: 1")
    disturbed.snakemake()
    same_results(undisturbed, disturbed)
    assert "Nothing to be done" in disturbed.snakemake("-n")
    assert not list((disturbed.folder / "results/store/unfinished").glob("*")), "what is finished needs no checkpoint"


def test_results_of_long_ago_are_made_again_without_training(undisturbed, copied):
    trained = stored(copied)
    shift(copied, -9999, "pages/*.tsv", "faces/*", "sets/*.tsv", "latents/*/*.safetensors")
    forget_from(copied, "losses")
    assert copied.planned()["detect_faces"] == 4
    copied.snakemake()
    assert stored(copied) == trained, "nothing is trained again"
    same_results(undisturbed, copied)
    assert "Nothing to be done" in copied.snakemake("-n")


def test_results_from_the_future_are_named(undisturbed, copied):
    forget_training(copied, "A-1")
    forget_from(copied, "losses")
    shift(copied, 9, "latents/*/*.safetensors")
    said = copied.snakemake(good=False)
    assert "older modification time" in said and "clock skew" in said and "Traceback" not in said
    shift(copied, 0, "latents/*/*.safetensors")
    copied.snakemake()
    same_results(undisturbed, copied)
    assert "Nothing to be done" in copied.snakemake("-n")
