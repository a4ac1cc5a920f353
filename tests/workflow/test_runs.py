"""Whole tiny runs: everything is made, and a change recomputes only what depends on it."""

import os
import re

import pandas as pd
import pytest
from tiny import ODD

CELL = "rank~2_alpha~2_resolution~64_init~independent_token~author"


@pytest.fixture
def changed(finished):
    """Let a test change configuration and code, then put both back."""
    kept = {path: path.read_bytes() for path in [finished.config, *(finished.folder / "workflow").rglob("*.py")]}
    yield finished
    for path, content in kept.items():
        if path.read_bytes() != content:
            path.write_bytes(content)


def test_a_run_makes_the_papers_tables_and_a_report(finished):
    results = finished.folder / "results" / "tiny"
    assert "<html" in (results / "report.html").read_text().lower()
    for table in ("works", "environment", "cosine", "neighbours"):
        for suffix in ("tsv", "md", "tex"):
            assert (results / "tables" / f"{table}.{suffix}").stat().st_size > 40, (table, suffix)
    assert len(list((results / "loras" / CELL).glob("*/*.safetensors"))) == 4 * 3
    scores = pd.read_csv(results / "scores" / CELL / "delta_l2~on" / "scores.tsv", sep="\t")
    assert {"work", "author", "author_across_works"} == set(scores["level"])
    assert scores["chance"].notna().all()


def test_captions_of_snakemakes_report_are_the_tables_notes(finished):
    from egara.tables.show import TABLES

    finished.snakemake("--report", "tables.html", "results/tiny/tables/overlap.tsv")
    page = (finished.folder / "tables.html").read_text(encoding="utf-8")
    assert TABLES["overlap"].heading in page and TABLES["overlap"].note.split(".")[0] in page


def test_a_result_leads_back_to_images_seeds_and_code(finished):
    import hashlib
    import json
    import subprocess
    import sys

    def ask(*options):
        command = [sys.executable, "-m", "egara", "provenance", *options]
        return subprocess.run(command, cwd=finished.folder, capture_output=True, text=True)

    table = "results/tiny/tables/neighbours.tsv"
    found = json.loads(ask(table, "representation=delta", "l2=on", "--json").stdout)
    assert found["sha256"] == hashlib.sha256((finished.folder / table).read_bytes()).hexdigest()
    rules = {entry["rule"]: entry for entry in found["jobs"]}
    assert {
        "tabulate",
        "score",
        "compute_gram",
        "compute_layer_grams",
        "train_loras",
        "detect_faces",
        "list_pages",
    } <= set(rules)
    assert "flatten_loras" not in rules and rules["train_loras"]["files"] == 12 and rules["train_loras"]["jobs"] == 4
    images = {row for work in found["loras"] for row in work["images"]}
    crops = {
        hashlib.sha256(path.read_bytes()).hexdigest() for path in finished.folder.glob("results/tiny/faces/*/*.png")
    }
    assert images and images <= crops
    assert all(s["seed"] == 0 and s["version"] for work in found["loras"] for s in work["settings"])
    sources = {source["file"] for source in found["sources"]}
    assert {"volumes/A-1", f"volumes/{ODD}", f"base {ODD}/unet/diffusion_pytorch_model.safetensors"} <= sources
    assert found["environment"]["Python"].startswith("3.")
    text = ask(table).stdout
    assert "train_loras" in text and "12 files, 4 jobs" in text and "seed 0" in text
    assert (
        ask("config/tiny.yaml").stderr.startswith("config/tiny.yaml: no job")
        or "no job of" in ask("config/tiny.yaml").stderr
    )


def test_a_second_run_has_nothing_to_do(finished):
    assert "Nothing to be done" in finished.snakemake("-n")


def test_comments_in_code_and_rules_rerun_nothing(changed):
    for name in ("loras/training/loop.py", "faces/crops.py", "scores/distances.py"):
        path = changed.folder / "workflow" / "egara" / name
        path.write_text(path.read_text() + "\n# a reason\n")
    for path in (changed.folder / "workflow").rglob("*.py"):
        os.utime(path)
    assert changed.planned() == {}


def test_a_new_rank_trains_only_its_cell(changed):
    changed.change("rank: [2]", "rank: [2, 3]")
    jobs = changed.planned()
    assert jobs["train_loras"] == 4
    assert not {"list_pages", "detect_faces", "draw_sets", "encode_faces", "embed_captions"} & set(jobs)
    assert jobs["compute_gram"] == 3 and "flatten_loras" not in jobs  # factors, delta, and norms for the controls
    assert jobs["compute_layer_grams"] == 1


def test_controls_train_their_own_few_and_nothing_else(changed):
    changed.change("machine:", "controls: {kinds: [token, disjoint, same], sets: 2}\nmachine:")
    jobs = changed.planned()
    assert jobs["train_controls"] == jobs["draw_control_sets"] == jobs["encode_control_faces"] == 3 * 4
    assert jobs["score_controls"] == jobs["tabulate"] == 1
    assert not {"train_loras", "draw_sets", "encode_faces", "project", "score"} & set(jobs)
    changed.change("disjoint, same], sets: 2", "same], sets: 2")
    changed.snakemake("results/tiny/tables/controls.tsv")
    table = pd.read_csv(changed.folder / "results/tiny/tables/controls.tsv", sep="\t")
    assert {"shuffled labels", "norms", "token", "same"} == set(table["control"])
    assert set(table.query("control == 'same'")["loras"]) == {4 * 2}
    twins = changed.folder / "results/tiny/loras" / f"{CELL}_sets~same"
    first = changed.folder / "results/tiny/loras" / CELL
    assert (twins / "A-1/00.safetensors").samefile(first / "A-1/00.safetensors"), "the first set is trained once"
    assert (twins / "A-1/01.safetensors").read_bytes() != (first / "A-1/01.safetensors").read_bytes()
    changed.change("sets: 2", "sets: 4")
    assert "controls.sets is 4; expected at most sets.count, 3" in changed.snakemake("-n", good=False)


def test_a_new_resolution_encodes_and_trains_its_own_cell(changed):
    changed.change("resolution: [64]", "resolution: [64, 32]")
    jobs = changed.planned()
    assert jobs["encode_faces"] == jobs["train_loras"] == 4
    assert not {"detect_faces", "draw_sets", "embed_captions", "sample_base"} & set(jobs)


def test_l2_and_representation_train_nothing(changed):
    changed.change("l2: [true]", "l2: [true, false]")
    jobs = changed.planned()
    assert jobs["project"] == 5  # IncrementalPCA of the factors; PCA and UMAP of both
    assert not {"train_loras", "compute_gram", "compute_layer_grams"} & set(jobs)
    changed.change("l2: [true, false]", "l2: [true]\nrepresentations: [delta]")
    jobs = changed.planned()
    assert set(jobs) and not {"train_loras", "compute_gram", "compute_layer_grams", "project", "score"} & set(jobs)


def test_more_permutations_only_score_again(changed):
    changed.change("permutations: 19", "permutations: 29")
    jobs = changed.planned()
    assert jobs["score"] == 2 and jobs["score_groups"] == 2 and jobs["score_layers"] == jobs["score_controls"] == 1
    assert not {"compute_gram", "compute_layer_grams", "project", "cluster"} & set(jobs)
    assert jobs["plot"] == 2  # of layers, and the overview


def test_incremental_pca_reads_the_vectors_where_asked(changed):
    changed.change("n_neighbors: 3", "n_neighbors: 3, incremental: vectors")
    jobs = changed.planned(f"results/tiny/projections/{CELL}/factors_l2~on/ipca.tsv")
    assert jobs == {"flatten_loras": 1, "project": 1}


def test_layers_are_scored_from_loras_that_are_there(changed):
    results = changed.folder / "results" / "tiny"
    table = pd.read_csv(results / "tables" / "layers.tsv", sep="\t")
    assert set(table["representation"]) == {"delta"} and table["chance"].notna().any()
    assert (results / "figures" / CELL / "delta_l2~on" / "layers.svg").is_file()
    assert "Where in the network" in (results / "report.html").read_text()
    changed.change("scores: {permutations", "scores: {layers: [delta, up], permutations")
    jobs = changed.planned()
    assert jobs["compute_layer_grams"] == jobs["score_layers"] == 1 and jobs["plot"]
    assert changed.planned("results/tiny/tables/layers.tsv")["tabulate"] == 1
    assert not {"train_loras", "encode_faces", "draw_sets", "compute_gram", "project"} & set(jobs)


def test_changed_logic_reruns_its_stage_and_what_follows(changed):
    path = changed.folder / "workflow" / "egara" / "scores" / "distances.py"
    path.write_text(path.read_text() + "\nADDED = 1\n")
    jobs = changed.planned()
    assert jobs["score"] == 2
    assert not {"train_loras", "project", "detect_faces"} & set(jobs)


def test_another_machine_trains_nothing_anew(changed):
    changed.change("pack: 3", "pack: 1")
    assert changed.planned() == {} or "train_loras" not in changed.planned()


def test_a_deleted_lora_comes_back_from_the_store(finished):
    lora = finished.folder / "results" / "tiny" / "loras" / CELL / "A-1" / "01.safetensors"
    before = lora.read_bytes()
    lora.unlink()
    wanted = str(lora.relative_to(finished.folder))
    assert finished.planned(wanted) == {"train_loras": 1}
    finished.snakemake(wanted)
    assert lora.read_bytes() == before
    log = (finished.folder / "logs" / "tiny" / "loras" / CELL / "A-1.log").read_text()
    assert re.search(r"3 LoRAs, 3 in the store", log)


@pytest.mark.parametrize(
    ("name", "cells", "works"), [("config", 1, 10), ("paper-mini", 2, 11)], ids=["demo", "paper-mini"]
)
def test_shipped_configurations_plan_the_whole_road(project, name, cells, works):
    jobs = project.planned("--configfile", f"config/{name}.yaml")
    assert jobs["compose_volumes"] == jobs["detect_faces"] == works
    assert jobs["train_loras"] == cells * works
    assert jobs["score_groups"] == 2 * jobs["score"], "clusters and series of every space"
    assert jobs["write_report"] == 1


def test_the_papers_configuration_says_which_volumes_are_missing(project):
    printed = project.snakemake("-n", "--configfile", "config/paper.yaml", good=False)
    assert "work work-1: no volume at volumes/work-1/*.cbz" in printed


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("rank: [2]", "rank: [0]", "config: grid.rank.0 is 0"),
        ("corpus: tiny", "corpus: tiny\nspeed: 3", "unknown key speed"),
        ("{detector: whole", '{detector: "onnx:a\\tb"', "control character"),
        ('works: "config', 'works: "none', "no such table"),
        ('{text: "solo', '{text: "drawn by Ada', "must not name anyone"),
    ],
)
def test_a_mistake_in_the_configuration_is_one_line(changed, old, new, said):
    changed.change(old, new)
    printed = changed.snakemake("-n", good=False)
    assert said in printed
    assert "Traceback" not in printed


def test_two_works_with_one_name_are_refused(changed):
    table = changed.table
    kept = table.read_text()
    try:
        table.write_text(kept + "Bo\tA-1\tvolumes/B-1\n")
        assert "names must differ" in changed.snakemake("-n", good=False)
    finally:
        table.write_text(kept)


def test_too_few_faces_end_in_a_clear_line_and_keep_finished_work(changed):
    changed.change("size: 4", "size: 40")
    printed = changed.snakemake("--until", "draw_sets", good=False)
    assert re.search(r"work A-1: 7 faces, a set needs 40 \(results/tiny/faces/A-1.tsv\)", printed)
    changed.change("size: 40", "size: 4")
    changed.snakemake("--until", "draw_sets")
    assert (changed.folder / "results" / "tiny" / "faces" / "A-1.tsv").is_file()


def test_a_study_too_small_is_planned_without_what_it_cannot_make(changed):
    rows = ["author,work,volumes", '"Ada, B.",A-1,volumes/A-1', '"ada B",A-2,volumes/B-2']
    (changed.folder / "config/few.csv").write_text("\r\n".join(rows), encoding="utf-16")
    changed.change("works: ", "works: config/few.csv  # ")
    changed.change("count: 3, size: 4", "count: 1, size: 4")
    said = changed.snakemake("-n")
    for line in (
        "config/few.csv: read as separated by commas",
        "author 'Ada, B.' (row 2) and 'ada B' (row 3) differ only in blanks or punctuation; they count as two authors",
        "no work has two LoRAs: it cannot be told whether the weights carry the work",
        "no UMAP: it needs 4 LoRAs, a cell has 2",
        "no clusters: HDBSCAN needs two of 2 LoRAs",
    ):
        assert said.count(f"egara: {line}") == 1, said
    jobs = changed.planned()
    assert jobs["cluster"] == 2 and jobs["write_report"] == jobs["gather_maps"] == 1
    assert jobs["project"] == 3  # no UMAP
    (changed.folder / "config/few.csv").write_text("author\twork\tvolumes\nAda\tA-1\tvolumes/A-1\n")
    assert "egara: one LoRA per cell: there is nothing to compare" in changed.snakemake("-n")
    jobs = changed.planned()
    assert jobs["train_loras"] == jobs["plot"] == jobs["write_report"] == 1
    assert jobs["tabulate"] == 2, "works and overlap; nothing changed for the environment"
    assert not {"compute_gram", "project", "score", "score_groups", "gather_maps"} & set(jobs)
