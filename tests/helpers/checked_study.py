"""A study for `egara check`, written into an empty working directory."""

import json
from pathlib import Path

import pytest

from egara.__main__ import main

HUB = "nobody/nowhere"  # a base that nobody has


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return an empty folder that is the working directory, without a hub's cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


def write_study(place: Path, rows: list[str], **settings) -> str:
    (place / "works.tsv").write_text("\n".join(["author\twork\tvolumes", *rows]) + "\n", encoding="utf-8")
    study = {"corpus": "mine", "works": "works.tsv", "base": HUB, "sets": {"count": 3, "size": 4}} | settings
    (place / "mine.yaml").write_text(json.dumps(study), encoding="utf-8")
    return "mine.yaml"


def check(capsys, *arguments: str) -> tuple[int, str]:
    status = main(["check", *arguments])
    return status, capsys.readouterr().out


def flat(text: str) -> str:
    """Return text without line breaks, so that it does not matter where a line is wrapped."""
    return " ".join(text.split())
