"""Cores are counted where the system says how many a process may use, and where it cannot (macOS)."""

import os

from egara.cores import usable_cores


def test_cores_without_affinity(monkeypatch):
    assert usable_cores() == len(os.sched_getaffinity(0))
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_cores() == os.cpu_count()
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1
