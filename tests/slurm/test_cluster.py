"""A tiny study through the shipped profile on a real one-node SLURM: whole, and through what goes wrong on clusters."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny import CONFIG, WORKS, Project, make_project

CLUSTER = Path(__file__).parent / "cluster"
CELL = "rank~2_alpha~2_resolution~64_init~independent_token~author"
# The profile's memory and time suit a real cluster; this node is small, and nobody wants to wait for polite checks.
SMALL = """
default-resources:
  slurm_partition: cpu
  mem_mb: 1000 * attempt
  runtime: 5 * attempt
set-resources:
  train_loras:
    slurm_partition: gpu
    mem_mb: 1500 * attempt
    runtime: 5 * attempt
"""
# Makes the first try of one command fail as a test asks.
SABOTAGE = """
import os, sys, time
from pathlib import Path
marker = Path({marker!r})
if " ".join(sys.argv[1:]).startswith({stage!r} + " --") and {work!r} in " ".join(sys.orig_argv) and not marker.exists():
    marker.touch()
    {action}
"""


@pytest.fixture(scope="session")
def cluster():
    """A running SLURM; skipped where it cannot be installed, which is a failure with EGARA_NEEDS_SLURM=1."""
    leave = pytest.fail if os.environ.get("EGARA_NEEDS_SLURM") == "1" else pytest.skip
    if os.geteuid() != 0 or not (shutil.which("apt-get") or shutil.which("slurmctld")):
        leave("SLURM needs root and Debian's packages slurm-wlm and munge")
    installed = subprocess.run([CLUSTER / "install.sh"], capture_output=True, text=True)
    if installed.returncode:
        leave(f"slurm-wlm cannot be installed here: {installed.stderr.strip().splitlines()[-1:]}")
    started = subprocess.run([CLUSTER / "start.sh"], capture_output=True, text=True, timeout=120)
    assert started.returncode == 0, started.stdout + started.stderr
    yield
    subprocess.run([CLUSTER / "stop.sh"])


def _listen_to_control_c():
    """A process started in the background of a shell does not, and hands that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class OnCluster(Project):
    """The tiny study, run through profiles/slurm."""

    def options(self, *extra):
        return (
            *extra, "--workflow-profile", "profiles/slurm", "--slurm-no-account", "--slurm-status-command", "squeue",
            "--slurm-init-seconds-before-status-checks", "1", "--seconds-between-status-checks", "1",
            "--latency-wait", "10", "--configfile", "config/tiny.yaml",
        )  # fmt: skip

    def run(self, *extra, good=True):
        return self.snakemake(*self.options(*extra), good=good)

    def start(self, *extra):
        """Start Snakemake in a process group of its own, as a terminal does, and return it."""
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *self.options(*extra)]
        log = (self.folder / "started.log").open("w")
        return subprocess.Popen(
            command, cwd=self.folder, stdout=log, stderr=log, start_new_session=True, preexec_fn=_listen_to_control_c
        )

    def sabotage(self, stage, work, action):
        """Let the first try of a command go wrong; returns the file that is there once it does."""
        marker = self.folder / f"marker-{time.time_ns()}"
        self.run_first(SABOTAGE.format(marker=str(marker), stage=stage, work=work, action=action))
        return marker


@pytest.fixture(scope="module")
def project(cluster, tmp_path_factory, small_base):
    made = make_project(tmp_path_factory.mktemp("cluster"), small_base, CONFIG.replace("device: cpu", "device: auto"))
    profile = made.folder / "profiles" / "slurm" / "profile.v9+.yaml"
    text = profile.read_text()
    filled, marker, rest = text.partition("# From here on nothing need be changed.")
    assert marker and "slurm_partition" in filled and "slurm_partition" not in rest
    profile.write_text(SMALL + marker + rest)
    made.__class__ = OnCluster
    made.run("results/tiny/base/base.json", *(f"results/tiny/sets/{work}.tsv" for work in ("A-1", "A-2", "B-1", "B-2")))
    return made


@pytest.fixture(autouse=True)
def clean(project):
    """Leave no job, lock or sabotage to the next test."""
    yield
    project.run_first("")
    subprocess.run(["scancel", "--user", "root"])
    assert wait(lambda: not queue())
    shutil.rmtree(project.folder / ".snakemake" / "locks", ignore_errors=True)


def queue(states="pending,running,completing", shape="%i %j %T"):
    found = subprocess.run(["squeue", "-h", "-t", states, "-o", shape], capture_output=True, text=True, check=True)
    return found.stdout.split("\n")[:-1]


def booked(after):
    """Return partition and devices of jobs that completed, from a job number on; squeue's %b is silent about --gpus."""
    command = ["squeue", "-h", "-t", "completed", "-O", "JobID:20,Partition:20,tres-per-job:40"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [line.split() for line in found.stdout.splitlines()]
    return [(partition, devices) for number, partition, devices in rows if int(number) > after]


def wait(condition, seconds=240):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.3)
    return False


def ended(state, after):
    """Return name and memory in MB of jobs that ended in a state, from a job number on."""
    rows = [row.split("|") for row in queue(state, "%i|%m|%k")]
    return [(comment, int(memory.rstrip("MG"))) for number, memory, comment in rows if int(number) > after]


def last_job():
    return max((int(row.split()[0]) for row in queue("all")), default=0)


def latents(work):
    return f"results/tiny/latents/resolution~64/{work}.safetensors"


def loras(work):
    return [f"results/tiny/loras/{CELL}/{work}/{name:02d}.safetensors" for name in range(3)]


def test_a_job_that_fails_is_tried_again_with_more_memory(project):
    project.sabotage("loras encoding latents", "A-1", "sys.exit('out of luck')")
    before = last_job()
    project.run(latents("A-1"))
    assert (project.folder / latents("A-1")).is_file()
    failed, good = ended("failed", before), ended("completed", before)
    assert [memory for _, memory in failed] == [1000] and [memory for _, memory in good] == [2000]


def test_a_job_past_its_walltime_is_tried_again_with_more_time(project):
    project.sabotage("loras encoding latents", "A-2", "time.sleep(600)")
    before = last_job()
    options = ("--set-resources", "encode_faces:runtime=attempt", "encode_faces:mem_mb=500")
    project.run(latents("A-2"), *options)
    assert (project.folder / latents("A-2")).is_file()
    assert len(ended("timeout", before)) == 1 and len(ended("completed", before)) == 1


def test_a_cancelled_job_is_tried_again(project):
    marker = project.sabotage("loras encoding latents", "B-1", "time.sleep(600)")
    before = last_job()
    running = project.start(latents("B-1"))
    assert wait(lambda: any(int(row.split()[0]) > before for row in queue("running")))
    assert wait(marker.exists)
    number = next(row.split()[0] for row in queue("running"))
    subprocess.run(["scancel", number], check=True)
    assert running.wait(400) == 0, (project.folder / "started.log").read_text()[-3000:]
    assert (project.folder / latents("B-1")).is_file()


def test_control_c_cancels_the_jobs_and_a_new_run_finishes(project):
    marker = project.sabotage("loras encoding latents", "B-2", "time.sleep(600)")
    running = project.start(latents("B-2"))
    assert wait(marker.exists)
    os.killpg(running.pid, signal.SIGINT)
    assert running.wait(240) != 0
    assert wait(lambda: not queue()), "jobs went on after Ctrl-C"
    project.run(latents("B-2"))
    assert (project.folder / latents("B-2")).is_file()


def test_a_killed_snakemake_is_unlocked_and_nothing_is_trained_twice(project):
    project.sabotage("loras", "A-2", "time.sleep(30)")  # so that one work is trained while the other waits
    running = project.start(*loras("A-1"), *loras("A-2"))
    assert wait(lambda: all((project.folder / path).is_file() for path in loras("A-1")))
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert wait(lambda: not queue()), "jobs that had been submitted end by themselves"
    stored = {path: path.stat().st_mtime_ns for path in project.folder.glob("results/store/??/*.safetensors")}
    assert stored
    said = project.run(*loras("A-1"), *loras("A-2"), good=False)
    assert "lock" in said.lower()
    project.run("--unlock")
    project.run(*loras("A-1"), *loras("A-2"))
    assert all((project.folder / path).is_file() for path in loras("A-1") + loras("A-2"))
    again = {path: path.stat().st_mtime_ns for path in project.folder.glob("results/store/??/*.safetensors")}
    assert {path: again[path] for path in stored} == stored and len(again) == 6


def test_the_whole_study_runs_and_training_asks_for_a_gpu(project):
    before = last_job()
    untrained = [work for work in WORKS if not (project.folder / loras(work)[0]).is_file()]
    project.run()
    results = project.folder / "results" / "tiny"
    assert "<html" in (results / "report.html").read_text().lower()
    assert len(list((results / "loras" / CELL).glob("*/*.safetensors"))) == 4 * 3
    jobs = booked(before)
    trained = [devices for partition, devices in jobs if partition == "gpu"]
    assert len(trained) == len(untrained) and all(re.search(r"gpu.*1", devices) for devices in trained), jobs
    assert any(partition == "cpu" for partition, _ in jobs)
    assert "Nothing to be done" in project.run("-n")
