"""Each job of a workstation takes one GPU, keeps it as long as it runs, and releases it however it ends."""

import os
import signal
import subprocess
import sys

import pytest

from egara.loras.base.devices import acquire_gpu

JOB = """
import sys, time
from pathlib import Path
from egara.loras.base.devices import acquire_gpu
import os
print(acquire_gpu(Path(sys.argv[1]), Path(sys.argv[2])), os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
time.sleep(60)
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with three GPUs and jobs that can be started on it."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for name in ("0000:3b:00.0", "0000:5e:00.0", "0000:af:00.0"):
        (tmp_path / "gpus" / name).mkdir(parents=True)
    started = []

    def start():
        command = [sys.executable, "-c", JOB, str(tmp_path / "gpus"), str(tmp_path / "locks")]
        job = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(job)
        return job, job.stdout.readline().split()

    yield start
    for job in started:
        job.kill()
        job.wait()


def test_jobs_take_one_gpu_each_and_give_it_back_when_killed(machine):
    jobs = [machine() for _ in range(3)]
    assert [said for _, said in jobs] == [["0", "0"], ["1", "1"], ["2", "2"]]
    jobs[1][0].send_signal(signal.SIGKILL)
    jobs[1][0].wait()
    assert machine()[1] == ["1", "1"]


def test_one_job_too_many_shares_the_first_gpu_and_says_so(machine):
    for _ in range(3):
        machine()
    job, said = machine()
    assert said == ["0", "0"]
    job.kill()
    assert "all 3 GPUs are taken" in job.stderr.read()


def test_a_schedulers_choice_and_a_machine_without_gpus_are_left_alone(tmp_path, monkeypatch):
    (tmp_path / "gpus" / "a").mkdir(parents=True)
    (tmp_path / "gpus" / "b").mkdir()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert acquire_gpu(tmp_path / "gpus", tmp_path / "locks") is None and os.environ["CUDA_VISIBLE_DEVICES"] == "3"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert acquire_gpu(tmp_path / "none", tmp_path / "locks") is None
    (tmp_path / "gpus" / "b").rmdir()
    assert acquire_gpu(tmp_path / "gpus", tmp_path / "locks") is None and "CUDA_VISIBLE_DEVICES" not in os.environ
