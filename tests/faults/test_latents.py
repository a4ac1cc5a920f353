"""Latents that are cut short or have a bit turned over: the cache is repaired, a gathered file is named."""

import numpy as np
from corruption import CELL, cut, flip, forget, forget_from, forget_training, log_of, loras, one_line
from outcome import same_results
from safetensors.numpy import load_file

from egara.io.tensors import open_tensors

LATENTS = "results/tiny/latents/resolution~64/A-1.safetensors"


def keys(path):
    """Return the cache's keys of the faces in a gathered file."""
    with open_tensors(path) as file:
        return [key for _, _, key in file.json()["faces"]]


def test_corrupt_entries_of_the_cache_are_named_and_computed_again(undisturbed, copied):
    gathered = copied.folder / LATENTS
    flipped, short, *whole = keys(gathered)
    for key, damage in ((flipped, flip), (short, cut)):
        damage(copied.folder / f"results/store/latents/{key[:2]}/{key}.safetensors")
    forget_from(copied, "latents")
    copied.snakemake()
    said = log_of(copied, "latents/resolution~64/A-1")
    for key in (flipped, short):
        one_line(said, f"{key}.safetensors")
    assert f"{2 + len(whole)} faces, {len(whole)} in the cache" in said
    before, after = load_file(undisturbed.folder / LATENTS), load_file(gathered)
    assert before.keys() == after.keys() and all(np.array_equal(before[name], after[name]) for name in before)
    same_results(undisturbed, copied)


def test_corrupt_gathered_latents_are_named_and_nothing_is_trained_on_them(undisturbed, copied):
    forget_training(copied, "A-1")
    forget_from(copied, "losses")
    for damage in (flip, cut):
        damage(copied.folder / LATENTS)
        one_line(copied.snakemake(loras("A-1")[0], good=False), LATENTS, "delete it and run again")
        forget(copied, "tiny/latents/resolution~64/A-1.safetensors")
        copied.snakemake(LATENTS)
        assert "0 in the cache" not in log_of(copied, "latents/resolution~64/A-1"), "no face is encoded twice"
    copied.snakemake()
    assert "A-1: 3 LoRAs, 0 in the store" in log_of(copied, f"loras/{CELL}/A-1")
    same_results(undisturbed, copied)
