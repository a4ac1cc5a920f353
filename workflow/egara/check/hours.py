"""How long training takes, from steps timed on this machine: in an earlier run, or for the check."""

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

from egara.check.measure import list_arguments, list_trainings, place_of, read_fault, read_measurement
from egara.check.study import Study
from egara.check.training import Base, rank_of, resolution_of
from egara.cores import usable_cores
from egara.io.errors import EgaraError
from egara.loras.training.settings import COMMON
from egara.shipped import MAIN

SMALL = 200 * 2**20  # bytes of weights that load in seconds
LONGEST = 90  # seconds after which a measurement in the background counts as dead
ALL_NEW = re.compile(r": (\d+) LoRAs, 0 in the store")
SAME = ("rank", "alpha", "init", *COMMON)


@dataclass(frozen=True)
class Hours:
    """Training time.

    Attributes
    ----------
    seconds : for all LoRAs on one core or device, None if no step was timed.
    parallel : trainings that run at the same time on this machine.
    step : seconds per step and LoRA, by resolution.
    source : how they were timed.
    pack, bytes : LoRAs trained at once, and memory per LoRA in a pack, if a step was timed for the check.
    """

    seconds: float | None = None
    parallel: int = 1
    step: dict[int, float] = field(default_factory=dict)
    source: str = ""
    pack: int | None = None
    bytes: int | None = None


class Measuring:
    """Measurements for the check: stored ones, and one in the background if a small base has none.

    Parameters
    ----------
    wait : measure everything again, however long it takes.

    Attributes
    ----------
    fault : why a measurement failed.
    unfinished : whether one is still running in the background; it is stored for the next check.
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
        lacking = [job for job in self._jobs.values() if read_measurement(job[0]) is None]
        if wait or len(lacking) != 1 or base.bytes > SMALL:
            return
        self.fault = read_fault(lacking[0][0])
        self.unfinished = not self.fault and _is_recent(lacking[0][0].with_suffix(".log"))
        if not self.fault and not self.unfinished:
            with contextlib.suppress(EgaraError):  # a read-only folder is checked without
                self._running = self._start(*lacking[0])

    def _start(self, place: Path, arguments: list[str]) -> tuple[subprocess.Popen, Path]:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        log = place.with_suffix(".log")
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            said = log.open("w")
        except OSError as error:
            raise EgaraError(
                f"{log.parent}: cannot be written ({error.strerror}); expected a folder for measurements"
            ) from error
        with said:
            command = [sys.executable, "-P", str(MAIN), "check", "measure", *arguments]
            return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=said), log

    def shapes(self) -> tuple[int, int] | None:
        """Return what `egara.check.training.count_numbers` does, from a stored measurement; None without one."""
        kept = next(filter(None, (read_measurement(place) for place, _ in self._jobs.values())), None)
        return kept and (kept["sides"], kept["layers"])

    def results(self, deadline: float) -> dict[int, dict]:
        """Return the measurements by resolution; waits for one in the background until `deadline`.

        `deadline` is a time of `time.monotonic`.
        """
        if self._wait:
            for job in self._jobs.values():
                self._end(*self._start(*job), None)
        elif self._running:
            self._end(*self._running, max(0.0, deadline - time.monotonic()))
        found = {side: read_measurement(place) for side, (place, _) in self._jobs.items()}
        return {side: kept for side, kept in found.items() if kept}

    def _end(self, process: subprocess.Popen, log: Path, seconds: float | None) -> None:
        try:
            failed = process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.unfinished = True
            process.returncode = 0  # it runs on alone; Popen must not warn
            return
        if failed:
            self.fault = (log.read_text(errors="replace").strip().splitlines() or ["no message"])[-1]
        log.unlink(missing_ok=True)


def _is_recent(log: Path) -> bool:
    """Tell whether another check's measurement is still running, by the age of its log."""
    try:
        return time.time() - log.stat().st_mtime < LONGEST
    except OSError:
        return False


def count_hours(study: Study, measured: dict[int, dict]) -> Hours:
    """Return the training time, from an earlier run of this study if its cells were trained, else as measured."""
    works = len(study.works)
    step, source = _of_earlier_run(study), "timed in an earlier run"
    kept = next(iter(measured.values()), None)
    if set(step) != set(study.trained):
        if not study.trained or not {resolution_of(cell) for cell in study.trained} <= set(measured):
            return Hours()
        step = {cell: measured[resolution_of(cell)]["seconds"] for cell in study.trained}
        source = (
            f"measured {max(one['day'] for one in measured.values())} on {kept['name']}, rank {max(map(rank_of, step))}"
        )
    steps = study.settings["training"]["max_train_steps"]
    seconds = sum(step[cell] * steps * works * sets for cell, sets in study.trained.items())
    on_cpu = (kept["device"] if kept else study.settings["machine"]["device"]) == "cpu"
    parallel = min(usable_cores(), works * len(study.trained)) if on_cpu else 1
    by_side = {
        side: max(one for cell, one in step.items() if resolution_of(cell) == side) for side in map(resolution_of, step)
    }
    return Hours(
        seconds, max(1, parallel), by_side, source, kept["pack"] if kept else None, kept["bytes"] if kept else None
    )


def _of_earlier_run(study: Study) -> dict[str, float]:
    """Return seconds per step and LoRA of each cell that was trained and timed with these settings."""
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
