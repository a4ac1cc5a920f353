"""What goes wrong with files, and how a test looks for the one line that says so."""

import contextlib
import os
import shutil
import subprocess

import pytest

# Stages in order; what is not named comes after them.
STAGES = ["pages", "base", "faces", "sets", "captions", "latents", "loras"]
CELL = "rank~2_alpha~2_resolution~64_init~independent_token~author"


def flip(path, place=-3):
    """Flip one bit in place, as a disk does; the modification time is kept."""
    state = path.stat()
    with path.open("r+b") as file:
        file.seek(place, os.SEEK_END if place < 0 else os.SEEK_SET)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 16]))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def cut(path):
    """Lose a file's second half; its time stays."""
    state = path.stat()
    os.truncate(path, state.st_size // 2)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def part_from_links(path):
    """Give a file bytes of its own, so that damaging it does not damage the other names of the same file."""
    shutil.copy2(path, path.with_name("copied"))
    os.replace(path.with_name("copied"), path)


def forget(project, *patterns):
    """Remove results, so that a later run has to make them again."""
    for pattern in patterns:
        found = sorted((project.folder / "results").glob(pattern))
        assert found, pattern
        for path in found:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def forget_from(project, stage):
    """Remove what a stage and all after it made, so that nothing is left to replace a corrupt file."""
    kept = STAGES[: STAGES.index(stage)] if stage in STAGES else STAGES
    results = project.folder / "results/tiny"
    paths = [*results.iterdir(), project.folder / "results/store/products"]
    if "loras" in kept:  # training writes losses, too, a folder a cell
        kept = [*kept, "losses"]
        paths += results.glob("losses/*.tsv")
    for path in paths:
        if path.name not in kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def forget_training(project, work):
    """Remove a work's LoRAs, and what the store keeps of them."""
    outputs = sorted((project.folder / "results/tiny/loras" / CELL / work).glob("*.safetensors"))
    nodes = {path.stat().st_ino for path in outputs}
    for path in [*(project.folder / "results/store").glob("??/*.safetensors"), *outputs]:
        if path.stat().st_ino in nodes:
            path.unlink()


def stored_twin(project, path):
    """Return the store's name of a LoRA."""
    (found,) = (one for one in (project.folder / "results/store").glob("??/*.safetensors") if one.samefile(path))
    return found


def loras(work):
    """Return where a work's LoRAs lie, below the project."""
    return [f"results/tiny/loras/{CELL}/{work}/{number:02d}.safetensors" for number in range(3)]


def log_of(project, name):
    """Return what a command said."""
    return (project.folder / "logs" / "tiny" / f"{name}.log").read_text()


def one_line(said, *words):
    """Check that one line holds these words, and that nothing fell over; returns the line."""
    lines = {line.strip() for line in said.splitlines() if all(word in line for word in words)}
    assert len(lines) == 1, (words, said[-4000:])
    assert "Traceback" not in said, said[-4000:]
    return lines.pop()


@contextlib.contextmanager
def mounted(place, *options):
    """Mount something at a folder for a while; the test is skipped where that is not permitted."""
    done = subprocess.run(["mount", *options, str(place)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@contextlib.contextmanager
def read_only(place):
    """Let nothing be written below a folder for a while."""
    with mounted(place, "--bind", str(place)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
        yield place
