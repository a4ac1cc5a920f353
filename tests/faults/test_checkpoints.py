"""A checkpoint that is cut short or has a flipped bit: its LoRAs start again; a whole one goes on, byte for byte."""

from corruption import CELL, cut, flip, forget_from, forget_training, log_of, loras, one_line
from outcome import same_results

# A minute passes at each look at the clock, so that the
# first step is followed by a checkpoint; then the process is killed.
KILLED = """
import itertools, os, signal, time
passed, clock, replace = itertools.count(0, 60), time.monotonic, os.replace
time.monotonic = lambda: clock() + next(passed)

def replace_and_die(source, target, **options):
    replace(source, target, **options)
    if "unfinished" in str(target):
        os.kill(os.getpid(), signal.SIGKILL)

os.replace = replace_and_die
"""


def test_corrupt_checkpoints_are_named_and_their_loras_start_again(undisturbed, copied):
    copied.run_first(KILLED)
    copied.change("pack: 3", "pack: 3, checkpoint_minutes: 1")
    forget_training(copied, "A-1")
    copied.snakemake(loras("A-1")[0], good=False)
    copied.run_first("")
    (checkpoint,) = (copied.folder / "results/store/unfinished").glob("[!.]*.safetensors")
    kept = checkpoint.read_bytes()
    for damage in (None, flip, cut):
        forget_training(copied, "A-1")
        checkpoint.write_bytes(kept)
        if damage:
            damage(checkpoint)
        copied.snakemake(loras("A-1")[0])
        said = log_of(copied, f"loras/{CELL}/A-1")
        if damage:
            one_line(said, checkpoint.name, "its LoRAs start again")
        assert ("going on with 3 LoRAs from step 1" in said) == (damage is None)
        for path in loras("A-1"):
            assert (copied.folder / path).read_bytes() == (undisturbed.folder / path).read_bytes()
    forget_from(copied, "losses")
    copied.snakemake()
    same_results(undisturbed, copied)
