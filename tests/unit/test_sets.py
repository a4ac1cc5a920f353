"""Image sets: without replacement, seeded by names, and honest about their overlap."""

import numpy as np
import pandas as pd
import pytest

from egara.io.errors import EgaraError
from egara.io.tables import read_tsv, write_tsv
from egara.sets import draw_sets, expected_overlap, main, measured_overlap


def faces(count):
    names = [f"{number:05d}" for number in range(count)]
    return pd.DataFrame({"face": names, "file": [f"{n}.png" for n in names], "sha256": names})


def test_a_set_holds_each_face_at_most_once():
    sets = draw_sets(faces(60), "w", 5, 50, 0)
    assert sets.groupby("set")["face"].nunique().tolist() == [50] * 5
    assert sets.groupby("set")["order"].apply(list).map(lambda order: order == list(range(50))).all()


def test_sets_depend_on_names_not_on_how_many_are_drawn():
    few, many = draw_sets(faces(60), "w", 2, 20, 0), draw_sets(faces(60), "w", 6, 20, 0)
    pd.testing.assert_frame_equal(few, many[many["set"] < "02"])
    assert not draw_sets(faces(60), "v", 2, 20, 0).equals(few)
    assert not draw_sets(faces(60), "w", 2, 20, 1).equals(few)


def test_measured_overlap_meets_the_expected_one():
    measured = np.mean([measured_overlap(draw_sets(faces(80), f"w{n}", 12, 20, 0)) for n in range(5)])
    assert measured == pytest.approx(expected_overlap(80, 20), abs=0.02)
    assert measured_overlap(draw_sets(faces(20), "w", 3, 20, 0)) == 1


def test_too_few_faces_name_work_count_and_file(tmp_path):
    write_tsv(tmp_path / "faces.tsv", faces(12))
    options = ["--faces", str(tmp_path / "faces.tsv"), "--work", "lorelei-b", "--output", str(tmp_path / "sets.tsv")]
    with pytest.raises(EgaraError, match=r"work lorelei-b: 12 faces, a set needs 50 \(.*faces.tsv\)"):
        main(options)
    assert not (tmp_path / "sets.tsv").exists()
    main([*options, "--size", "5", "--count", "2"])
    assert len(read_tsv(tmp_path / "sets.tsv", ["set", "face"], text=["set", "face"])) == 10
