"""kill -9 at random moments of every stage: the next run finishes, and the tables are those of an undisturbed run."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from outcome import same_results

from egara.__main__ import resolve

# Each stage's subcommand of `egara`.
STAGES = (
    "corpus", "faces", "sets", "loras base find", "samples base",
    "loras encoding latents",
    "loras encoding captions", "loras", "loras training losses", "weights",
    "weights layer_grams",
    "projections", "clusters", "scores", "scores layers", "scores clusters", "scores controls", "tables", "figures",
    "report explorer", "report",
)  # fmt: skip
TIMES = 4  # kills a stage at most; a job may end before its kill


def processes(group):
    """Return process number and subcommand of the library's commands that run in a process group."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            launched = [place for place, word in enumerate(words) if word.endswith(b"/egara/__main__.py")]
            if os.getpgid(int(entry.name)) == group and words[0].endswith(b"python") and launched:
                given = [word.decode() for word in words[launched[0] + 1 :]]
                found.append((int(entry.name), resolve(given)[0]))
        except (OSError, IndexError):
            continue
    return found


def run_and_kill(project, kills, chance):
    """Run until a stage that was not killed often enough is seen, and kill there; returns whether the run finished."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--nolock", "--configfile", "config/tiny.yaml"]
    log = (project.folder / "run.log").open("w")
    running = subprocess.Popen(command, cwd=project.folder, stdout=log, stderr=log, start_new_session=True)
    while running.poll() is None:
        wanted = [
            (number, module) for number, module in processes(running.pid) if kills[module] < TIMES and module in STAGES
        ]
        if not wanted:
            time.sleep(0.02)
            continue
        number, module = min(wanted, key=lambda found: kills[found[1]])  # many jobs of a stage must hide no other
        time.sleep(chance.uniform(0, 0.7 if kills[module] else 0.3))
        if not any(one == number for one, _ in processes(running.pid)):
            kills[module] += kills[module] > 0 and chance.random() < 0.25  # it was quicker; not for ever
            continue
        kills[module] += 1
        kills["in all"] += 1
        if chance.random() < 0.5:
            os.killpg(running.pid, signal.SIGKILL)  # the machine goes down
            running.wait()
            return False
        os.kill(number, signal.SIGKILL)  # one job is killed; Snakemake goes on with what does not need it
    return running.returncode == 0


def test_every_stage_survives_kill_9(undisturbed, disturbed):
    chance, kills = random.Random(4), Counter()
    for _ in range(120):
        if run_and_kill(disturbed, kills, chance):
            break
    else:
        raise AssertionError((disturbed.folder / "run.log").read_text()[-3000:])
    disturbed.snakemake()
    same_results(undisturbed, disturbed, killed=True)
    assert "Nothing to be done" in disturbed.snakemake("-n")
    assert kills["in all"] >= 50, kills
    rooms = {stage: stage.split()[0] for stage in STAGES}  # one of several tables may end before its kill
    assert {rooms[stage] for stage in STAGES if kills[stage]} == set(rooms.values())
    print(f"killed: {dict(kills)}")
