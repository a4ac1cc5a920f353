"""Fingerprints: logic changes them, comments do not, and a stage sees only what it imports."""

import pytest

from egara import fingerprint as module


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package `egara` to change."""
    root = tmp_path / "egara"
    (root / "stage").mkdir(parents=True)
    (root / "__init__.py").write_text('"""Root."""\n')
    (root / "stage" / "__init__.py").write_text('"""Stage."""\n')
    (root / "stage" / "__main__.py").write_text("def main():\n    from egara.helper import half\n    return half(4)\n")
    (root / "helper.py").write_text('"""Help."""\n\n\ndef half(x):\n    """Halve."""\n    return x / 2\n')
    (root / "other.py").write_text("VALUE = 1\n")
    monkeypatch.setattr(module, "PACKAGE", root)

    def take(name="egara.stage"):
        for cached in (module._file, module._tree, module._logic, module._imports):
            cached.cache_clear()
        return module.fingerprint(name)

    yield root, take
    for cached in (module._file, module._tree, module._logic, module._imports):
        cached.cache_clear()


def test_comments_and_docstrings_do_not_count(package):
    root, take = package
    before = take()
    (root / "helper.py").write_text('"""Other."""\n\ndef half(x):\n    # a reason\n    return x / 2\n')
    (root / "other.py").write_text("VALUE = 2\n")
    assert take() == before


def test_logic_counts_even_behind_a_late_import(package):
    root, take = package
    before = take()
    (root / "helper.py").write_text("def half(x):\n    return x / 3\n")
    assert take() != before


def test_modules_that_are_discovered_count(package):
    root, take = package
    (root / "plugins").mkdir()
    (root / "plugins" / "__init__.py").write_text("")
    (root / "plugins" / "first.py").write_text("VALUE = 1\n")
    (root / "helper.py").write_text(
        "from egara.registry import discover\n\n\ndef half(x):\n    discover('egara.plugins')\n    return x / 2\n"
    )
    before = take()
    (root / "plugins" / "first.py").write_text("VALUE = 2\n")
    assert take() != before


def test_settings_do_not_count_for_their_values_are_params(package):
    root, take = package
    (root / "settings").mkdir()
    (root / "settings" / "__init__.py").write_text("from egara.settings.faces import MARGIN\n")
    (root / "settings" / "faces.py").write_text("MARGIN = 0.1\n")
    (root / "helper.py").write_text("from egara.settings import MARGIN\n\n\ndef half(x):\n    return x / MARGIN\n")
    before = take()
    (root / "settings" / "faces.py").write_text("MARGIN = 0.2\n")
    assert take() == before


def test_a_module_that_is_not_there_is_an_error(package):
    with pytest.raises(ModuleNotFoundError):
        package[1]("egara.nothing")


def test_stages_do_not_see_each_other():
    """What a training run depends on must not include what comes after it, nor how it is reported."""
    reached, waiting = set(), ["egara.loras.__main__"]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += [found for found in module._imports(name) if module._file(found)]
    later = ("projections", "clusters", "scores", "weights", "tables", "figures", "report")
    assert not [name for name in reached if name.startswith(tuple(f"egara.{stage}" for stage in later))]
