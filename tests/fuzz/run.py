"""Fuzz the readers: files that were valid, damaged at random, until one is neither read nor refused in one line.

    python tests/fuzz/run.py --seconds 60                    # every target, one after the other
    python tests/fuzz/run.py --seconds 600 --target epub     # one of them
    python tests/fuzz/run.py --target epub --input FILE      # what it found, again

Where atheris is installed it guides by coverage (--engine atheris); what is drawn then depends on the time it had.
"""

import argparse
import faulthandler
import logging
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

HERE = Path(__file__).resolve().parent
sys.path[:0] = [
    str(HERE.parent),
    str(HERE.parent / "helpers"),
    str(HERE.parent / "unit"),
    str(HERE.parents[1] / "workflow"),
]
STUCK = 20  # seconds of the processor's time after which a reader hangs


class Stuck(BaseException):
    """A reader did not end; no `Exception`, so that no reader takes it for a damaged file."""


def _stop(*_: object) -> None:
    raise Stuck(f"no end after {STUCK} seconds of the processor's time")


def attempt(name: str, data: bytes) -> None:
    """Let one target read one file; raises what it must not raise."""
    from fuzz.targets import TARGETS

    signal.setitimer(signal.ITIMER_VIRTUAL, STUCK)
    try:
        TARGETS[name](data)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def fuzz(name: str, seconds: float, seed: int, found: Path) -> int:
    """Fuzz one target; return how many files it read. The file that it fails on stays in `found`."""
    from fuzz.edits import draw
    from fuzz.seeds import SEEDS

    random, seeds, tried = Random(f"{seed} {name}"), SEEDS[name](), 0
    found.mkdir(parents=True, exist_ok=True)
    path = found / f"{name}.input"
    for data in seeds:
        attempt(name, data)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = draw(random, seeds)
        path.write_bytes(data)  # before, because a crash of the process leaves no time for it
        attempt(name, data)
        tried += 1
    path.unlink(missing_ok=True)
    return tried


def guide(name: str, seconds: float, seed: int, found: Path) -> None:
    """Fuzz one target with atheris, which keeps the files that reach new code."""
    import atheris

    with atheris.instrument_imports(include=["egara"]):
        from fuzz.seeds import SEEDS
        from fuzz.targets import TARGETS

        for data in SEEDS[name]():  # so that what readers import while they work is seen, too
            TARGETS[name](data)
    kept = found / "corpus" / name
    kept.mkdir(parents=True, exist_ok=True)
    for place, data in enumerate(SEEDS[name]()):
        (kept / f"seed{place}").write_bytes(data)
    options = [
        f"-max_total_time={seconds:.0f}",
        f"-seed={seed + 1}",
        f"-artifact_prefix={found}/{name}.",
        "-timeout=60",
    ]
    atheris.Setup([sys.argv[0], str(kept), *options, "-max_len=65536", "-print_final_stats=1"], TARGETS[name])
    atheris.Fuzz()


def main() -> int:
    """Read the arguments and fuzz; each target has a process of its own."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("--seconds", type=float, default=60, help="how long a target is fuzzed")
    arguments.add_argument("--target", help="the one to fuzz; all without it")
    arguments.add_argument("--seed", type=int, default=0, help="decides what is drawn")
    arguments.add_argument("--engine", choices=["random", "atheris"], default="random", help="what draws the files")
    arguments.add_argument("--found", type=Path, default=Path("fuzz-found"), help="folder of inputs that failed")
    arguments.add_argument("--input", type=Path, help="read this file once instead")
    options = arguments.parse_args()
    faulthandler.enable()
    logging.getLogger("egara").setLevel(logging.CRITICAL)  # what is refused is said thousands of times
    signal.signal(signal.SIGVTALRM, _stop)
    if options.input:
        attempt(options.target, options.input.read_bytes())
        return 0
    if options.target and options.engine == "atheris":
        guide(options.target, options.seconds, options.seed, options.found)
    elif options.target:
        print(f"{options.target}: {fuzz(options.target, options.seconds, options.seed, options.found)} inputs")
    if options.target:
        return 0

    from fuzz.targets import TARGETS

    failed = []
    for name in TARGETS:
        if subprocess.run([sys.executable, *sys.argv, "--target", name]).returncode:
            failed.append(name)
            print(f"{name}: failed; its input lies in {options.found}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
