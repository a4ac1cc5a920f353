"""A LoRA that is cut short or has a bit turned over: named in one line, and never a point in a map."""

from corruption import CELL, cut, flip, forget_from, log_of, loras, one_line, part_from_links, stored_twin
from outcome import same_results


def test_corrupt_loras_in_the_store_are_named_and_trained_again(undisturbed, copied):
    corrupt = {}
    for work, damage in (("A-1", flip), ("B-2", cut)):
        outputs = [copied.folder / path for path in loras(work)]  # all that trained together: bits depend on it
        corrupt[work] = [stored_twin(copied, output) for output in outputs]
        for output, path in zip(outputs, corrupt[work], strict=True):
            kept = output.read_bytes()
            damage(path)
            assert output.read_bytes() != kept, "one file under two names"
    forget_from(copied, "loras")
    copied.snakemake()
    for work, paths in corrupt.items():
        said = log_of(copied, f"loras/{CELL}/{work}")
        for path in paths:
            one_line(said, str(path.relative_to(copied.folder)))
        assert f"{work}: 3 LoRAs, 0 in the store" in said
    assert "A-2: 3 LoRAs, 3 in the store" in log_of(copied, f"loras/{CELL}/A-2"), "what is whole is not trained again"
    same_results(undisturbed, copied)


def test_corrupt_outputs_are_named_and_come_back_from_the_store(undisturbed, copied):
    layers = f"results/tiny/spaces/{CELL}/delta.layers.npz"
    forget_from(copied, "losses")
    for work, damage in (("A-2", flip), ("B-1", cut)):
        output = copied.folder / loras(work)[2]
        part_from_links(output)
        damage(output)
        for target in (layers, f"results/tiny/spaces/{CELL}/factors.gram.npy"):
            one_line(copied.snakemake(target, good=False), loras(work)[2], "delete it and run again")
        output.unlink()
        copied.snakemake(loras(work)[2])
        assert f"{work}: 3 LoRAs, 3 in the store" in log_of(copied, f"loras/{CELL}/{work}")
    copied.snakemake()
    same_results(undisturbed, copied)
