"""Cards of a workstation are taken one each, kept while the job lives and free again however it ends."""

import os
import signal
import subprocess
import sys

import pytest

from egara.loras.base.gpus import take_card

JOB = """
import sys, time
from pathlib import Path
from egara.loras.base.gpus import take_card
import os
print(take_card(Path(sys.argv[1]), Path(sys.argv[2])), os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
time.sleep(60)
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with three cards and jobs that can be started on it."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for name in ("0000:3b:00.0", "0000:5e:00.0", "0000:af:00.0"):
        (tmp_path / "cards" / name).mkdir(parents=True)
    started = []

    def start():
        command = [sys.executable, "-c", JOB, str(tmp_path / "cards"), str(tmp_path / "locks")]
        job = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(job)
        return job, job.stdout.readline().split()

    yield start
    for job in started:
        job.kill()
        job.wait()


def test_jobs_take_one_card_each_and_give_it_back_when_killed(machine):
    jobs = [machine() for _ in range(3)]
    assert [said for _, said in jobs] == [["0", "0"], ["1", "1"], ["2", "2"]]
    jobs[1][0].send_signal(signal.SIGKILL)
    jobs[1][0].wait()
    assert machine()[1] == ["1", "1"]


def test_one_job_too_many_shares_the_first_card_and_says_so(machine):
    for _ in range(3):
        machine()
    job, said = machine()
    assert said == ["0", "0"]
    job.kill()
    assert "all 3 cards are taken" in job.stderr.read()


def test_a_schedulers_choice_and_a_machine_without_cards_are_left_alone(tmp_path, monkeypatch):
    (tmp_path / "cards" / "a").mkdir(parents=True)
    (tmp_path / "cards" / "b").mkdir()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert take_card(tmp_path / "cards", tmp_path / "locks") is None and os.environ["CUDA_VISIBLE_DEVICES"] == "3"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert take_card(tmp_path / "none", tmp_path / "locks") is None
    (tmp_path / "cards" / "b").rmdir()
    assert take_card(tmp_path / "cards", tmp_path / "locks") is None and "CUDA_VISIBLE_DEVICES" not in os.environ
