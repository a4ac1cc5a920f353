"""The comparison of results sees what it is for."""

from types import SimpleNamespace

import pytest
from outcome import same_results

from egara.io.atomic import replacing


def project(folder):
    for name in ("tables/a.tsv", "loras/c/w/00.safetensors", "explorer.json", "scores/c/scores.tsv"):
        path = folder / "results" / "tiny" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return SimpleNamespace(folder=folder)


def test_a_difference_and_a_temporary_file_are_seen(tmp_path):
    one, other = project(tmp_path / "one"), project(tmp_path / "other")
    same_results(one, other)
    results = tmp_path / "other" / "results" / "tiny"
    with replacing(results / "explorer.json") as part:
        part.write_text("explorer.json")
        with pytest.raises(AssertionError):
            same_results(one, other)
        same_results(one, other, killed=True)
    same_results(one, other)
    (results / "tables" / "a.tsv").write_text("other")
    with pytest.raises(AssertionError):
        same_results(one, other)
