"""One set of versions: the pip requirements, the conda files that rules name, and the project's own metadata."""

import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from rule_files import read_rules

from egara import fingerprint

ROOT = Path(__file__).resolve().parents[2]


def pins(path):
    lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
    return dict(_split(line) for line in lines if line)


def _split(pin):
    name, _, version = pin.partition("==")
    return re.sub(r"[_.]+", "-", name).lower(), version


def conda_files():
    return sorted((ROOT / "envs").glob("*.yaml"))


def test_every_requirement_is_pinned_and_torchvision_stays_out():
    for name in ("requirements", "development", "constraints"):
        wanted = pins(ROOT / "envs" / f"{name}.txt")
        assert wanted and all(wanted.values()), name
        assert "torchvision" not in wanted
    assert pins(ROOT / "envs" / "requirements.txt")["torch"] == "2.13.0"


def test_conda_files_agree_with_the_requirements():
    wanted = pins(ROOT / "envs" / "requirements.txt")
    for path in conda_files():
        parts = yaml.safe_load(path.read_text())["dependencies"]
        pip = next(part["pip"] for part in parts if isinstance(part, dict))
        assert pip
        for name, version in map(_split, pip):
            assert wanted[name] == version, f"{path.name}: {name}"


def test_every_rule_names_an_environment_that_exists():
    rules = sorted((ROOT / "workflow" / "rules").glob("*.smk"))
    named = {name for path in rules for name in re.findall(r'"\.\./\.\./envs/([\w.-]+)"', path.read_text())}
    assert named == {path.name for path in conda_files()}


def test_project_metadata_names_only_pinned_packages():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = pins(ROOT / "envs" / "requirements.txt") | pins(ROOT / "envs" / "development.txt")
    extras = [name for group in project["optional-dependencies"].values() for name in group]
    for dependency in [*project["dependencies"], *extras]:
        assert re.split(r"[<>=]", dependency)[0] in wanted, dependency


def imports_of(module, seen):
    """Return the third-party packages that a project module and its project imports may load."""
    if module in seen:
        return set()
    seen.add(module)
    found = set()
    for name in fingerprint._imports(module):
        found |= imports_of(name, seen) if fingerprint._file(name) else {name.split(".")[0]}
    return found


PROVIDERS = {
    "PIL": "pillow", "cv2": "opencv-python-headless", "sklearn": "scikit-learn", "umap": "umap-learn",
    "dicebear": "dicebear-core", "libarchive": "libarchive-c", "yaml": "pyyaml", "skimage": "scikit-image",
}  # fmt: skip


@pytest.mark.parametrize("rule", list(read_rules()), ids=lambda rule: rule.name)
def test_each_environment_holds_what_its_stages_import(rule):
    wanted = {re.sub("-", "_", name) for name in pins(ROOT / "envs" / "requirements.txt")}
    providers = {name: re.sub("-", "_", package) for name, package in PROVIDERS.items()}
    parts = yaml.safe_load((ROOT / "envs" / rule.environment).read_text())["dependencies"]
    pip = {re.sub("-", "_", _split(pin)[0]) for part in parts if isinstance(part, dict) for pin in part["pip"]}
    for start in starts_of(rule):
        # This table looks at the packages that train, in an environment of its own; other stages import it only.
        apart = {"egara.tables.environment"}
        needed = {providers.get(name, name) for name in imports_of(start, apart) if name not in sys.stdlib_module_names}
        assert sorted((needed & wanted) - pip) == [], f"{rule.environment} lacks them for {start}"


def starts_of(rule):
    """Return the modules in which a rule's command begins; where a wildcard names it, all of the package's."""
    module = f"egara.{rule.words.replace(' ', '.')}"
    if rule.any_of:
        return [f"{module}.{path.stem}" for path in sorted(fingerprint._file(module).parent.glob("[a-z]*.py"))]
    return [f"{module}.__main__" if fingerprint._file(f"{module}.__main__") else module]
