"""Ways of the Snakemake workflow catalogue: a wheel, `snakedeploy`, and rules that are read from elsewhere."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tiny import ROOT, Project

URL = "https://github.com/egara/egara"
TAG = "v0"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the library as its wheel installs it, without the packages that it needs."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", folder / "wheels", ROOT], check=True)
    wheel = next((folder / "wheels").glob("*.whl"))
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", folder / "site", wheel], check=True)
    return folder / "site"


@pytest.fixture(scope="module")
def hosted(tmp_path_factory):
    """A git repository of the rules, which git takes for the one on GitHub; neither library nor weights are in it."""
    repository = tmp_path_factory.mktemp("hosted") / "egara"
    repository.mkdir()
    for name in ("workflow", "config", "envs", "profiles"):
        shutil.copytree(ROOT / name, repository / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (repository / "workflow" / "egara").iterdir():
        if path.name != "__init__.py":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name in ("Snakefile", "LICENSE"):
        shutil.copy(ROOT / name, repository)
    person = ("-c", "user.name=Egara", "-c", "user.email=egara@example.org")
    for words in (["init", "--quiet"], ["add", "."], [*person, "commit", "--quiet", "-m", "All"], ["tag", TAG]):
        subprocess.run(["git", *words], cwd=repository, check=True)
    return repository


@pytest.fixture
def outside(installed, hosted, tmp_path, monkeypatch):
    """An empty folder, from which the checkout is not seen."""
    rewritten = {f"url.{hosted.as_uri()}.insteadOf": URL, "protocol.allow": "never", "protocol.file.allow": "always"}
    monkeypatch.setenv("GIT_CONFIG_COUNT", str(len(rewritten)))
    for number, (key, value) in enumerate(rewritten.items()):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", key)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # Snakemake keeps repositories there
    monkeypatch.setenv("PYTHONPATH", str(installed))
    folder = tmp_path / "outside"
    folder.mkdir()
    return folder


def test_an_installed_library_finds_faces_with_its_embedded_detector(installed, outside):
    def egara(*words):
        ran = subprocess.run([installed / "bin" / "egara", *words], cwd=outside, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    assert "faces evaluate" in egara("--help")
    kit = ["--style", "croodles", "--part", "0", "--parts", "2", "--characters", "2"]
    labels = ["--author", "vijay verma", "--work", "w"]
    egara("demo", *kit, *labels, "--volumes", "1", "--pages", "2", "--output", "w", "--boxes", "boxes.tsv")
    egara("corpus", *labels, "--volumes", "w", "--output", "pages.tsv", "--skipped", "skipped.tsv")
    found = ["--output", "faces.tsv", "--skipped", "none.tsv", "--crops", "crops", "--sheet", "sheet.png"]
    egara("faces", "--pages", "pages.tsv", "--work", "w", "--min-pixels", "100", *found)
    true, faces = ((outside / name).read_text().count("\n") - 1 for name in ("boxes.tsv", "faces.tsv"))
    assert true >= 4
    assert faces >= true / 2


def test_the_demo_is_deployed_and_planned_without_touching_a_file(outside):
    snakedeploy = Path(sys.executable).with_name("snakedeploy")
    subprocess.run([snakedeploy, "deploy-workflow", URL, outside, "--tag", TAG], check=True)
    deployed = Project(outside)
    jobs = deployed.planned()
    assert jobs["compose_volumes"] == 10
    assert jobs["write_report"] == 1
    said = deployed.snakemake("results/demo/base/base.json")
    assert "profiles/default" in said
    assert (outside / "results" / "demo" / "base" / "base.json").is_file()


def test_rules_from_elsewhere_want_a_library_of_their_version(outside, tmp_path, monkeypatch):
    (outside / "Snakefile").write_text(
        f'configfile: "{ROOT}/config/config.yaml"\n'
        f'module egara:\n    snakefile: github("egara/egara", path="workflow/Snakefile", tag="{TAG}")\n'
        "    config: config\nuse rule * from egara\n"
    )
    other = tmp_path / "other" / "egara"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text('__version__ = "0.0.1"\n')
    monkeypatch.setenv("PYTHONPATH", str(other.parent))
    said = Project(outside).snakemake("-n", good=False)
    assert "to be installed next to Snakemake (pip install), found 0.0.1" in " ".join(said.split())


def test_a_module_of_the_main_snakefile_plans_the_demo(outside):
    (outside / "Snakefile").write_text(
        f'configfile: "{ROOT}/config/config.yaml"\n'
        f'module egara:\n    snakefile: "{ROOT}/workflow/Snakefile"\n    config: config\n'
        "use rule * from egara as egara_*\n"
    )
    jobs = Project(outside).planned("egara_all")
    assert jobs["egara_compose_volumes"] == 10
    assert jobs["egara_write_report"] == 1


def test_the_catalogue_is_told_how_the_workflow_is_used():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert isinstance(usage["mandatory-flags"]["desc"], str)
    assert usage["software-stack-deployment"]["conda"] is True
    assert usage["software-stack-deployment"]["report"] is usage["report"] is True
    assert (ROOT / "workflow" / "Snakefile").is_file()
    assert (ROOT / "config" / "config.yaml").is_file()
