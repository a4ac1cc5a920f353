"""Command lines: help is there at once because nothing heavy is loaded for it."""

import subprocess
import sys
from pathlib import Path

import pytest

LIBRARY = Path(__file__).resolve().parents[2] / "workflow"
HEAVY = (
    "torch",
    "diffusers",
    "transformers",
    "pandas",
    "sklearn",
    "scipy",
    "umap",
    "hdbscan",
    "matplotlib",
    "cv2",
    "PIL",
)


def commands():
    """Return every module of the library that has a command line."""
    found = []
    for path in sorted((LIBRARY / "egara").rglob("*.py")):
        if "run(main)" in path.read_text() and path.name != "errors.py":
            found.append(".".join(path.relative_to(LIBRARY).with_suffix("").parts).removesuffix(".__main__"))
    return found


def test_all_stages_have_a_command_line():
    stages = {"demo", "corpus", "faces", "sets", "loras", "weights", "projections", "clusters", "scores", "report"}
    assert {f"egara.{stage}" for stage in stages} <= set(commands())


@pytest.mark.parametrize("module", commands())
def test_help_says_what_the_stage_does_and_loads_nothing_heavy(module):
    code = (
        "import runpy, sys\n"
        f"sys.argv = [{module!r}, '--help']\n"
        "try:\n"
        f"    runpy.run_module({module!r}, run_name='__main__', alter_sys=True)\n"
        "except SystemExit as stopped:\n"
        f"    print('LOADED', *[name for name in {HEAVY!r} if name in sys.modules])\n"
        "    sys.exit(stopped.code)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "usage:" in ran.stdout and len(ran.stdout.split()) > 20
    assert ran.stdout.strip().splitlines()[-1] == "LOADED"
