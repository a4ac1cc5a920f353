"""What Snakemake itself costs at ten thousand LoRAs: planning, jobs that do nothing, and a run with nothing to do.

    PYTHONPATH=workflow python benchmarks/dag.py

The real rules of `config/scale.yaml` in a copy of the project; only the commands are replaced by one that makes empty
outputs. `--jobs` is the number of jobs for which the overhead is printed.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Rules call `shell`, which they look up when they run.
EMPTY = """

import sys
from pathlib import Path
from snakemake.shell import shell as real_shell


def shell(command, **others):
    real_shell("true", **others)
    for path in sys._getframe(1).f_locals["output"]:
        Path(path).mkdir(parents=True, exist_ok=True) if not Path(path).suffix else Path(path).touch()
"""


def copy_project(folder: Path) -> None:
    """Copy what a run needs, with empty commands."""
    for name in ("workflow", "config", "envs", "profiles", "resources"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "Snakefile").write_text((ROOT / "Snakefile").read_text() + EMPTY)


def snakemake(folder: Path, config: str, *options: str) -> tuple[float, str]:
    """Return seconds and output of a call."""
    command = [sys.executable, "-m", "snakemake", "--cores", "all", "--configfile", config, *options]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit((done.stdout + done.stderr)[-3000:])
    return seconds, done.stdout + done.stderr


def main() -> None:
    """Print seconds of each kind of call."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("--config", default="config/scale.yaml", help="configuration to plan")
    arguments.add_argument("--jobs", type=int, default=679, help="jobs for which the overhead is printed")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_project(folder)
        dry, said = snakemake(folder, options.config, "-n")
        jobs = int(re.search(r"^total +(\d+)$", said, re.M)[1])
        ran, _ = snakemake(folder, options.config)
        idle, said = snakemake(folder, options.config)
        assert "Nothing to be done" in said
        loras = len(list(folder.glob("results/*/loras/*/*/*.safetensors")))
        sizes = Counter(path.parent for path in folder.glob("results/**/*"))
        fullest, entries = sizes.most_common(1)[0]
    each = ran / jobs
    print(f"{options.config}: {loras:,} LoRAs, {jobs} jobs")
    print(f"dry run {dry:.1f} s; a run with nothing to do {idle:.1f} s")
    print(f"empty jobs {ran:.0f} s, {each * 1e3:.0f} ms per job: {each * options.jobs:.0f} s for {options.jobs}")
    print(f"fullest folder: {entries} entries in {fullest.relative_to(folder)}")


if __name__ == "__main__":
    main()
