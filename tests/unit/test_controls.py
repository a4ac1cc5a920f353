"""Controls: what was planted is found, what must fail fails, twins are compared with as many LoRAs of the same sets."""

import json

import numpy as np
import pandas as pd
import pytest

from egara.cells import format_cell, list_controls, parse_cell
from egara.io.errors import EgaraError
from egara.scores import controls
from egara.scores.labels import codes
from egara.sets import draw_sets
from egara.tables import __main__ as tables
from egara.tables import show
from egara.tables.controls import control_table, say

CELL = "rank~8_alpha~8_resolution~64_init~independent_token~author"
TWINS = {"token": CELL.replace("author", "none"), "disjoint": f"{CELL}_sets~disjoint", "same": f"{CELL}_sets~same"}
WORKS = [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("b", "b2"), ("b", "b3"), ("b", "b4")]


def cell_of(sets, of_author, of_work, own=1.0, seed=0):
    """Gram matrix and index of LoRAs with an author's, a work's and an own part; hands are the same in all cells."""
    index = pd.DataFrame([(a, w, f"{n:02d}") for a, w in WORKS for n in range(sets)], columns=["author", "work", "set"])
    hands = np.random.default_rng(9)
    by_author, by_work = (
        hands.normal(size=(2, 80))[codes(index["author"])],
        hands.normal(size=(7, 80))[codes(index["work"])],
    )
    noise = np.random.default_rng(seed + 1).normal(size=(len(index), 80))
    points = 3 + of_author * by_author + of_work * by_work + own * noise
    return points @ points.T, index


def table_of(permutations=99, **cells):
    vectors = {(CELL, "delta"): cell_of(10, 1.5, 1.0), (CELL, "norms"): cell_of(10, 0.0, 0.0, seed=3)}
    twins = {}
    for kind, made in cells.items():
        twins[kind] = TWINS[kind]
        vectors[TWINS[kind], "delta"] = made
        vectors[TWINS[kind], "norms"] = cell_of(3, 0.0, 0.0, seed=4)
    return controls.score_controls(vectors, [CELL], twins, ["on"], permutations, 0)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("controls") / "controls.tsv"
    found = table_of(
        token=cell_of(3, 0.0, 1.0), disjoint=cell_of(3, 1.5, 1.0, seed=5), same=cell_of(3, 1.5, 1.0, own=0.2, seed=6)
    )
    found.to_csv(path, sep="\t", index=False)
    return control_table([path])


def row(table, control, level, metric, representation="delta"):
    return table.set_index(["control", "representation", "level", "metric"]).loc[control, representation, level, metric]


def test_shuffled_labels_and_norms_fail(table):
    for level in ("work", controls.ACROSS):
        shuffled = row(table, controls.SHUFFLED, level, "top1")
        assert shuffled["study"] > 0.9 and shuffled["study_p"] < 0.05
        assert shuffled["value"] < 0.8 and shuffled["outcome"].startswith("at chance")
        norms = row(table, controls.NORMS, level, "top1", "norms")
        assert norms["p"] > 0.05 and norms["outcome"] == "at chance: size does not tell"


def test_shuffles_are_permutations_and_never_the_truth():
    _, index = cell_of(4, 1, 1)
    for seed in range(20):
        mixed = controls.shuffle(index, controls.ACROSS, seed)
        assert mixed.groupby("work")["author"].nunique().eq(1).all()
        owners = mixed.drop_duplicates("work").set_index("work")["author"]
        assert sorted(owners.value_counts()) == [3, 4]
        assert not owners[["a1", "a2", "a3"]].eq("a").all()
        works = controls.shuffle(index, "work", seed)["work"]
        assert sorted(works) == sorted(index["work"]) and (works != index["work"]).any()


def test_a_token_that_carried_the_author_is_found_out(table):
    found = row(table, "token", controls.ACROSS, "top1")
    assert found["study"] > 0.9 and found["value"] < 0.8
    assert found["outcome"].startswith("−0.") and found["loras"] == 21


def test_disjoint_sets_and_seeds_alone(table):
    assert row(table, "disjoint", "work", "top1")["outcome"] == "the work still shows"
    same = row(table, "same", "work", "cosine_intra")
    assert same["value"] < 0.3 * same["study"]
    assert same["outcome"] == f"{100 * same['value'] / same['study']:.0f} % of the study's distance"


def test_twins_are_compared_with_the_same_sets(table):
    gram, index = cell_of(10, 1.5, 1.0)
    rows = np.flatnonzero(index["set"].isin(["00", "01", "02"]))
    known = controls.score(
        gram[np.ix_(rows, rows)], index.iloc[rows].reset_index(drop=True), "on", [("work", "top1")], 99, 0
    )
    assert row(table, "disjoint", "work", "top1")["study"] == known["work", "top1"]["value"]


def test_the_command_writes_what_can_be_read(tmp_path):
    grams, indexes = [], []
    for (cell, name), (gram, index) in {
        (CELL, "delta"): cell_of(4, 1.5, 1.0), (CELL, "norms"): cell_of(4, 0, 0),
        (TWINS["same"], "delta"): cell_of(2, 1.5, 1.0), (TWINS["same"], "norms"): cell_of(2, 0, 0),
    }.items():  # fmt: skip
        folder = tmp_path / cell
        folder.mkdir(exist_ok=True)
        np.save(folder / f"{name}.gram.npy", gram)
        index.assign(lora="x", norm=1.0).to_csv(folder / f"{name}.tsv", sep="\t", index=False)
        grams.append(str(folder / f"{name}.gram.npy"))
        indexes.append(str(folder / f"{name}.tsv"))
    scores, out = str(tmp_path / "scores.tsv"), [str(tmp_path / f"controls.{form}") for form in ("tsv", "md", "tex")]
    controls.main(
        ["--gram", *grams, "--index", *indexes, "--study", CELL, "--controls", json.dumps({"same": TWINS["same"]})]
        + ["--permutations", "19", "--seed", "0", "--output", scores]
    )
    tables.main(["controls", "--controls", scores, "--output", *out])
    kind, table = show.read_table(out[0])
    assert kind == "controls" and len(table) == 2 * 2 + 2 + 2 * 3
    text = (tmp_path / "controls.md").read_text()
    assert "seed only" in text and "norms only" in text and "of the study's distance" in text
    assert f"of {(table['control'] == controls.SHUFFLED).sum()} scores have p below 0.05" in text


FACES = pd.DataFrame({"face": [f"{n:05d}" for n in range(40)], "file": "x.png", "sha256": "0"})


def test_disjoint_sets_share_nothing_and_same_ones_everything():
    drawn = draw_sets(FACES, "w", 5, 10, 0)
    apart = draw_sets(FACES, "w", 4, 10, 0, "disjoint")
    assert apart["face"].is_unique and apart.groupby("set").size().eq(10).all()
    same = draw_sets(FACES, "w", 3, 10, 0, "same")
    first = drawn[drawn["set"] == "00"]["face"].tolist()
    assert [same[same["set"] == name]["face"].tolist() for name in ("00", "01", "02")] == [first] * 3
    with pytest.raises(EgaraError, match="work w: 40 faces, 5 disjoint sets of 10 need 50"):
        draw_sets(FACES, "w", 5, 10, 0, "disjoint")
    with pytest.raises(EgaraError, match="work w: 40 faces, a set needs 50"):
        draw_sets(FACES, "w", 5, 50, 0, "same")


def test_twins_are_cells_of_their_own_or_the_grids():
    cell = parse_cell(TWINS["disjoint"])
    assert cell["sets"] == "disjoint" and format_cell(**cell) == TWINS["disjoint"]
    assert "sets" not in parse_cell(CELL)
    with pytest.raises(EgaraError, match="not the name of a training cell"):
        parse_cell(f"{CELL}_sets~drawn")
    kinds = {"kinds": ["token", "disjoint", "same"], "sets": 3}
    assert list_controls(kinds, [CELL], 30) == TWINS
    assert list_controls(kinds, [TWINS["token"]], 30)["token"] == CELL
    with pytest.raises(EgaraError, match="controls.sets is 3; expected at most sets.count, 2"):
        list_controls(kinds, [CELL], 2)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (0.01, 0.01, "the work still shows"),
        (0.01, 0.20, "the work no longer shows"),
        (0.20, 0.01, "the work shows here only"),
        (0.20, 0.20, "the work shows in neither"),
    ],
)
def test_what_did_not_show_before_cannot_be_lost(before, after, words):
    study, found = ({"value": 0.5, "p": p} for p in (before, after))
    assert say("disjoint", ("work", "top1"), study, found) == words
