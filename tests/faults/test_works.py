"""A works table that is edited between runs: what does not depend on the edit stays, and going back costs nothing."""

from corruption import CELL, log_of, loras, one_line
from outcome import same_results

TABLE = "config/tiny.tsv"


def logs_of_training(project):
    """Return when each work's training last ran."""
    folder = project.folder / "logs" / "tiny" / "loras" / CELL
    return {path.stem: path.stat().st_mtime_ns for path in folder.glob("*.log")}


def test_a_work_is_taken_out_and_put_back(undisturbed, copied):
    table = copied.folder / TABLE
    kept = table.read_text()
    before, trained = [(copied.folder / path).read_bytes() for path in loras("B-2")], logs_of_training(copied)
    table.write_text("".join(line for line in kept.splitlines(keepends=True) if "B-2" not in line))
    copied.snakemake()
    works = (copied.folder / "results/tiny/tables/works.tsv").read_text()
    assert "B-1" in works and "B-2" not in works
    assert [(copied.folder / path).read_bytes() for path in loras("B-2")] == before, "nothing is deleted"
    table.write_text(kept)
    copied.snakemake()
    assert logs_of_training(copied) == trained, "nothing is trained"
    same_results(undisturbed, copied)


def test_an_author_is_renamed_and_named_again_as_before(undisturbed, copied):
    table, (lora, *_) = copied.folder / TABLE, loras("A-1")
    kept, before = table.read_text(), (copied.folder / lora).read_bytes()
    table.write_text(kept.replace("Ada\tA-1", "Eve\tA-1"))
    copied.snakemake(lora)
    assert "A-1: 3 LoRAs, 0 in the store" in log_of(copied, f"loras/{CELL}/A-1")
    assert (copied.folder / lora).read_bytes() != before, "the caption names the author"
    table.write_text(kept)
    copied.snakemake()
    assert "A-1: 3 LoRAs, 3 in the store" in log_of(copied, f"loras/{CELL}/A-1")
    same_results(undisturbed, copied)


def test_a_table_that_is_half_saved_is_one_line_and_nothing_runs(undisturbed, copied):
    table = copied.folder / TABLE
    kept = table.read_text()
    table.write_text(kept[:-12])
    one_line(copied.snakemake(good=False), TABLE, "row 5")
    table.write_text(kept)
    assert "Nothing to be done" in copied.snakemake("-n")
    same_results(undisturbed, copied)
