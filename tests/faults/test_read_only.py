"""Results, or the store alone, that cannot be written; and inputs that nobody may change."""

from corruption import forget_from, forget_training, loras, one_line, read_only
from outcome import same_results


def tree(project):
    """Return all results with their sizes and times."""
    return {path: path.lstat()[6:9:2] for path in (project.folder / "results").rglob("*")}


def test_results_that_cannot_be_written(undisturbed, copied):
    results = copied.folder / "results"
    forget_from(copied, "sets")
    before = tree(copied)
    with read_only(results):
        said = copied.snakemake(good=False)
        assert "Read-only file system" in said and "Traceback" not in said, said[-4000:]
        assert "Nothing to be done" in copied.snakemake("-n", "results/tiny/faces/A-2.tsv"), "what is there can be read"
    assert tree(copied) == before
    copied.snakemake()
    same_results(undisturbed, copied)


def test_a_store_that_cannot_be_written_and_inputs_that_nobody_may_change(undisturbed, copied):
    forget_training(copied, "B-2")
    with read_only(copied.folder / "volumes"), read_only(copied.folder / "base"), read_only(copied.folder / "config"):
        with read_only(copied.folder / "results" / "store"):
            said = copied.snakemake(loras("B-2")[0], good=False)
            one_line(said, "results/store", "cannot be written (Read-only file system)")
        forget_from(copied, "pages")
        copied.snakemake()
    same_results(undisturbed, copied)
