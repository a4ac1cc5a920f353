"""A copy of the project with a tiny study in it: four works, faces as images, a base with random weights."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
AUTHORS = {"A": "Ada", "B": "Bo"}
# Signs that shells, Snakemake, globs, PYTHONPATH, TeX, Markdown or HTML take for something else than a letter.
ODD = """It's {c2c}; [x] "<results>" 12:30 #1 100% A & B $HOME `id` *? 絵柄 😎"""
ODD_AUTHOR = """$a_b$ & B_{1} | <b>"Bo's" 絵柄"""
WORKS = ["A-1", "A-2", "B-1", "B-2"]
CONFIG = """\
corpus: tiny
works: config/tiny.tsv
faces: {detector: whole, min_pixels: 100}
sets: {count: 3, size: 4}
base: base
grid: {rank: [2], resolution: [64], init: [independent], token: [author]}
training: {max_train_steps: 2, train_batch_size: 2, learning_rate: 0.001, target_modules: attention}
l2: [true]
projections: {n_components: 4, batch_size: 6, n_neighbors: 3}
clusters: {min_cluster_size: 2}
scores: {permutations: 19}
machine: {device: cpu, pack: 3}
"""


class Project:
    """A project folder in which Snakemake can be called."""

    def __init__(self, folder):
        self.folder = folder
        self.config = folder / "config" / "tiny.yaml"
        self.table = folder / "config" / "tiny.tsv"

    def snakemake(self, *options, good=True):
        """Run Snakemake and return what it printed; `good` says how it must end, None that either will do."""
        tiny = "--configfile" not in options and self.config.exists()
        config = ("--configfile", "config/tiny.yaml") if tiny else ()
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *options, *config]
        ran = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        said = ran.stdout + ran.stderr
        assert good is None or (ran.returncode == 0) == good, said[-6000:]
        return said

    def planned(self, *options):
        """Return how many jobs of each rule a run would start."""
        said = self.snakemake("-n", *options)
        if "Nothing to be done" in said:
            return {}
        table = said.split("Job stats:")[1]
        found = dict(re.findall(r"^(\w+) +(\d+)$", table.split("total")[0], re.M))
        return {rule: int(count) for rule, count in found.items()}

    def change(self, old, new):
        """Replace a line of the configuration."""
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new))

    def run_first(self, code):
        """Let each job of the library run some code before it; "" for none, as shipped."""
        start = Path("workflow") / "egara" / "__main__.py"
        (self.folder / start).write_text(f"{code}\n{(ROOT / start).read_text()}")


def make_project(folder: Path, base: Path, config: str = CONFIG) -> Project:
    """Copy the project to `folder` with the tiny study in it, before its first run."""
    import numpy as np
    from PIL import Image

    for name in ("workflow", "config", "envs", "profiles"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", folder)
    shutil.copytree(ROOT / "resources", folder / "resources")
    shutil.copytree(base, folder / "base")
    draw, rows = np.random.default_rng(0), ["author\twork\tvolumes"]
    for work in WORKS:
        pages = folder / "volumes" / work
        pages.mkdir(parents=True)
        for number in range(7):
            Image.fromarray(draw.integers(0, 255, (40, 40), np.uint8)).save(pages / f"{number}.png")
        rows.append(f"{AUTHORS[work[0]]}\t{work}\tvolumes/{work}")
    made = Project(folder)
    made.table.write_text("\n".join(rows) + "\n")
    made.config.write_text(config)
    return made


def start(project: Project, log: str, *options: str) -> subprocess.Popen:
    """Start a run of Snakemake in the background; its output goes to the file `log`."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "config/tiny.yaml", *options]
    with (project.folder / log).open("w") as file:
        return subprocess.Popen(command, cwd=project.folder, stdout=file, stderr=file)


def quoted(text: str) -> str:
    """Write a text as YAML takes it between quotes."""
    return json.dumps(text, ensure_ascii=False)


def give_odd_names(project: Project) -> None:
    """Rename the base, the works table, volumes and an author of a project to names full of odd signs; B-1 is a CBZ."""
    volumes = project.folder / "volumes"
    (project.folder / "base").rename(project.folder / f"base {ODD}")
    (volumes / "A-2").rename(volumes / ODD)
    archive = shutil.make_archive(str(project.folder / "packed"), "zip", volumes / "B-1")
    shutil.rmtree(volumes / "B-1")
    shutil.move(archive, volumes / f"- {ODD}.cbz")
    table = project.table.read_text().replace("volumes/A-2", f"volumes/{ODD}").replace("Bo\t", f"{ODD_AUTHOR}\t")
    project.table.unlink()
    project.table = project.table.with_name(f"{ODD}.tsv")
    project.table.write_text(table.replace("volumes/B-1", f"volumes/- {ODD}.cbz"))
    project.change("works: config/tiny.tsv", f"works: {quoted(f'config/{ODD}.tsv')}")
    project.change("base: base", f"base: {quoted(f'base {ODD}')}")
    project.change("machine:", f"captions: {{text: {quoted('solo, {c2c} face, $HOME')}}}\nmachine:")
