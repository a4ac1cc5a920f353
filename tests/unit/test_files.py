"""Files: whole or not there, readable errors."""

import pandas as pd
import pytest

from egara.io.atomic import replacing
from egara.io.errors import EgaraError, run
from egara.io.hashing import sha256
from egara.io.tables import read_tsv, write_tsv


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as part:
        part.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_names_with_leading_zeros_stay_text(tmp_path):
    write_tsv(tmp_path / "t.tsv", pd.DataFrame({"work": ["001", "n/a"], "value": [0.1, None]}))
    table = read_tsv(tmp_path / "t.tsv", ["work"], text=["work"])
    assert table["work"].tolist() == ["001", "n/a"]
    assert table["value"].isna().tolist() == [False, True]


@pytest.mark.parametrize(("text", "said"), [(None, "no such file"), ("", "not a table"), ("a\n1\n", "work is missing")])
def test_unfit_tables_are_one_line(tmp_path, text, said):
    path = tmp_path / "t.tsv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(EgaraError, match=said):
        read_tsv(path, ["work"])


def test_hash_is_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a").startswith("ba7816bf")


def test_bad_input_ends_with_exit_1_and_no_traceback(caplog):
    def main():
        raise EgaraError("x.tsv: wrong; expected right")

    with pytest.raises(SystemExit) as stopped:
        run(main)
    assert stopped.value.code == 1
    assert "expected right" in caplog.text
