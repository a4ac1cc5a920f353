"""How long training takes, from steps that were timed on this machine: in an earlier run, or for the check."""

import contextlib
import csv
import json
import os
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from egara.check.measure import list_arguments, list_trainings, place_of, read_fault, read_kept
from egara.check.study import Study
from egara.check.training import Base, rank_of, resolution_of
from egara.cores import usable_cores
from egara.io.errors import EgaraError
from egara.loras.training.settings import COMMON
from egara.shipped import MAIN

SMALL = 200 * 2**20  # bytes of weights that load in seconds
LONGEST = 90  # seconds that a measurement in the background is expected to take at most
ALL_NEW = re.compile(r": (\d+) LoRAs, 0 in the store")
SAME = ("rank", "alpha", "init", *COMMON)


@dataclass(frozen=True)
class Hours:
    """What training takes.

    Attributes
    ----------
    seconds : of one core or device for all LoRAs, None where no step was timed.
    beside : trainings that run side by side on this machine.
    step : seconds of one step of one LoRA, by resolution.
    told_by : how they were timed.
    pack, bytes : LoRAs trained at once, and memory that one takes in a pack, where a step was timed for the check.
    """

    seconds: float | None = None
    beside: int = 1
    step: dict[int, float] = field(default_factory=dict)
    told_by: str = ""
    pack: int | None = None
    bytes: int | None = None


class Measuring:
    """Measurements of the check: those that are kept, and one in the background where a small base has none.

    Parameters
    ----------
    wait : whether to measure all, however long it takes, and anew.

    Attributes
    ----------
    fault : why a measurement failed.
    unfinished : whether one goes on in the background; it is kept for the next check.
    """

    def __init__(self, study: Study, base: Base, wait: bool) -> None:
        self._jobs: dict[int, tuple[Path, list[str]]] = {}
        self._running: tuple[subprocess.Popen, Path] | None = None
        self._wait, self.fault, self.unfinished = wait, "", False
        if base.folder is None or not study.cells:
            return
        for side, training in list_trainings(study).items():
            place = place_of(study, base, training)
            self._jobs[side] = place, list_arguments(study, base, training, place)
        lacking = [job for job in self._jobs.values() if read_kept(job[0]) is None]
        if wait or len(lacking) != 1 or base.bytes > SMALL:
            return
        self.fault = read_fault(lacking[0][0])
        self.unfinished = not self.fault and _is_recent(lacking[0][0].with_suffix(".log"))
        if not self.fault and not self.unfinished:
            with contextlib.suppress(EgaraError):  # a folder that is only read is checked without
                self._running = self._start(*lacking[0])

    def _start(self, place: Path, arguments: list[str]) -> tuple[subprocess.Popen, Path]:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        log = place.with_suffix(".log")
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            said = log.open("w")
        except OSError as error:
            raise EgaraError(
                f"{log.parent}: cannot be written ({error.strerror}); expected a folder for what is measured"
            ) from error
        with said:
            command = [sys.executable, "-P", str(MAIN), "check", "measure", *arguments]
            return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=said), log

    def shapes(self) -> tuple[int, int] | None:
        """Return what `egara.check.training.count_numbers` does, from a measurement that is kept, None without one."""
        kept = next(filter(None, (read_kept(place) for place, _ in self._jobs.values())), None)
        return kept and (kept["sides"], kept["layers"])

    def results(self, deadline: float) -> dict[int, dict]:
        """Return the measurements by resolution; one in the background is waited for until `deadline`.

        `deadline` is of `time.monotonic`.
        """
        if self._wait:
            for job in self._jobs.values():
                self._end(*self._start(*job), None)
        elif self._running:
            self._end(*self._running, max(0.0, deadline - time.monotonic()))
        found = {side: read_kept(place) for side, (place, _) in self._jobs.items()}
        return {side: kept for side, kept in found.items() if kept}

    def _end(self, process: subprocess.Popen, log: Path, seconds: float | None) -> None:
        try:
            failed = process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.unfinished = True
            process.returncode = 0  # it is left to itself, and no warning is due
            return
        if failed:
            self.fault = (log.read_text(errors="replace").strip().splitlines() or ["it ended without a word"])[-1]
        log.unlink(missing_ok=True)


def _is_recent(log: Path) -> bool:
    """Tell whether another check's measurement still goes on, by the age of its log."""
    try:
        return time.time() - log.stat().st_mtime < LONGEST
    except OSError:
        return False


def count_hours(study: Study, measured: dict[int, dict]) -> Hours:
    """Return what training takes, from an earlier run of this study where its cells were trained, else as measured."""
    works = len(study.works)
    step, told_by = _of_earlier_run(study), "timed in an earlier run"
    kept = next(iter(measured.values()), None)
    if set(step) != set(study.trained):
        if not study.trained or not {resolution_of(cell) for cell in study.trained} <= set(measured):
            return Hours()
        step = {cell: measured[resolution_of(cell)]["seconds"] for cell in study.trained}
        told_by = (
            f"measured {max(one['day'] for one in measured.values())} on {kept['name']}, rank {max(map(rank_of, step))}"
        )
    steps = study.settings["training"]["max_train_steps"]
    seconds = sum(step[cell] * steps * works * sets for cell, sets in study.trained.items())
    on_cpu = (kept["device"] if kept else study.settings["machine"]["device"]) == "cpu"
    beside = min(usable_cores(), works * len(study.trained)) if on_cpu else 1
    by_side = {
        side: max(one for cell, one in step.items() if resolution_of(cell) == side) for side in map(resolution_of, step)
    }
    return Hours(
        seconds, max(1, beside), by_side, told_by, kept["pack"] if kept else None, kept["bytes"] if kept else None
    )


def _of_earlier_run(study: Study) -> dict[str, float]:
    """Return seconds a step and LoRA of each cell whose trainings were all timed, with these settings."""
    found = {}
    for cell in study.trained:
        seconds = []
        for work in study.works:
            timed = study.results / "benchmarks" / "loras" / cell / f"{work.work}.tsv"
            log = Path("logs") / study.corpus / "loras" / cell / f"{work.work}.log"
            lora = study.results / "loras" / cell / work.work / "00.safetensors"
            try:
                count = int(ALL_NEW.search(log.read_text(encoding="utf-8"))[1])
                if not _same_training(study, cell, lora):
                    raise ValueError
                with timed.open(encoding="utf-8", newline="") as file:
                    whole = statistics.median(float(row["s"]) for row in csv.DictReader(file, delimiter="\t"))
                seconds.append(whole / count / study.settings["training"]["max_train_steps"])
            except (OSError, ValueError, TypeError, KeyError, ZeroDivisionError):
                continue
        if seconds:
            found[cell] = statistics.median(seconds)
    return found


def _same_training(study: Study, cell: str, lora: Path) -> bool:
    from egara.cells import parse_cell
    from egara.io.tensors import open_tensors

    try:
        with open_tensors(lora) as file:
            header = file.json()
    except EgaraError:
        return False
    wanted = study.settings["training"] | parse_cell(cell)
    trained = header.get("training", {})
    return header.get("base") == study.settings["base"] and all(
        json.dumps(trained.get(name)) == json.dumps(wanted[name]) for name in SAME
    )
