"""Snakemake's scheduler is woken as often as it must be, and by one timer."""

import threading

import pytest
from snakemake.scheduling.job_scheduler import JobScheduler

from egara.scheduling import share_timers


@pytest.fixture
def scheduler(monkeypatch):
    monkeypatch.setattr(JobScheduler, "_schedule_reevalutation", JobScheduler._schedule_reevalutation)
    assert share_timers(), "this Snakemake names it otherwise: look whether it still needs mending"
    made = JobScheduler.__new__(JobScheduler)
    made._open_jobs = threading.Semaphore(0)
    return made


def test_many_looks_have_one_timer_and_are_all_answered(scheduler):
    before = threading.active_count()
    for _ in range(50):
        scheduler._schedule_reevalutation(0.2)
    assert threading.active_count() == before + 1
    assert scheduler._open_jobs.acquire(timeout=20)
    assert not scheduler._open_jobs.acquire(timeout=0.5), "one look for one timer"


def test_every_look_may_set_the_next_timer(scheduler):
    for _ in range(100):
        scheduler._schedule_reevalutation(0.001)
        assert scheduler._open_jobs.acquire(timeout=20), "nothing would start any more"


def test_a_run_that_ends_does_not_wait_and_other_runs_are_apart(scheduler):
    other = JobScheduler.__new__(JobScheduler)
    other._open_jobs = threading.Semaphore(0)
    before = set(threading.enumerate())
    scheduler._schedule_reevalutation(600)
    other._schedule_reevalutation(0.01)
    assert all(thread.daemon for thread in set(threading.enumerate()) - before)
    assert other._open_jobs.acquire(timeout=20)
