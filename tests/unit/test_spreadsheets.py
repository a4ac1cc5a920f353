"""Tables as editors and spreadsheets save them, labels as people type them, and what may be meant as one."""

import csv
import io

import pytest

from egara.demo.casts import CAST_COLUMNS, read_casts
from egara.io.errors import EgaraError
from egara.labels import normalise_label
from egara.works import Work, look_alikes, read_works

ROWS = [
    ("author", "work", "volumes"),
    ("Clamp, Mokona", "001", "a, b/#1"),
    ('Bo "B" C', "x-2", "c;d"),
    ("荒木　飛呂彦", "jojo", "#3"),
]
EXPECTED = [
    Work("Clamp, Mokona", "001", ("a, b/#1",)),
    Work('Bo "B" C', "x-2", ("c", "d")),
    Work("荒木 飛呂彦", "jojo", ("#3",)),
]


def save(rows, delimiter="\t", end="\r\n", encoding="utf-8"):
    """Save as a spreadsheet does: the library's quoting, minimal, in another encoding and with other line ends."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=end).writerows(rows)
    return text.getvalue().encode(encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_table_is_the_same_however_it_was_saved(tmp_path, encoding, delimiter, end):
    path = tmp_path / "works.csv"
    path.write_bytes(save(ROWS, delimiter, end, encoding))
    remarks = []
    assert read_works(path, remarks) == EXPECTED
    assert [work.row for work in read_works(path)] == [2, 3, 4]
    assert bool(remarks) == (delimiter != "\t")


def test_utf_16_of_the_other_order_and_empty_rows_and_columns(tmp_path):
    rows = [[*ROWS[0], "", ""], ["", " ", "", "", ""], *([*row, "", "", ""] for row in ROWS[1:]), ["", "", ""]]
    (tmp_path / "w").write_bytes(b"\xfe\xff" + save(rows, encoding="utf-16-be"))
    found = read_works(tmp_path / "w")
    assert found == EXPECTED and found[0].row == 3


def test_headings_in_any_case_and_order_and_columns_of_the_users_own(tmp_path):
    (tmp_path / "w").write_text("Note\tVOLUMES\t Work \tＡuthor\tseries\nmine\tv\tw\tA\tStone\u00a0 Ocean\n", "utf-8")
    remarks = []
    assert read_works(tmp_path / "w", remarks) == [Work("A", "w", ("v",), "Stone Ocean")]
    assert remarks == [f"{tmp_path / 'w'}: not used: column note"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('author\twork\tvolumes\nA\tw\t"v\nB\tx\ty\n', "row 2: a cell in quotes does not end"),
        ('author\twork\tvolumes\nA\tw\tv\n"Joe" Smith\tx\ty\n', "row 3: a cell in quotes does not end"),
        ("author;work;volumes\nA;w;v1;v2\n", "row 2: 'v2' is beyond .* 3 cells, in quotes .* semicolon"),
        ("author\twork\twork\tvolumes\nA\tw\tw\tv\n", "row 1: column work is there twice"),
        ("author\twork\tvolumes\nA\x00\tw\tv\n", "row 2: holds a zero byte"),
        ("author\twork\tvolumes\n\u200b\tw\tv\n", "row 2: author holds only invisible characters"),
        ("author\twork\tvolumes\nA\x1b[31m\tw\tv\n", "row 2, author: .* control character"),
        ("author\twork\tvolumes\nA\tw\t;\n", "row 2: volumes names no path"),
        ("author\twork\tvolumes\nA\tx.skipped\tv\n", "row 2: work 'x.skipped' ends as files of the project do"),
        ("author\twork\tvolumes\nA\tcover.PNG\tv\n", "does not end in .png"),
        (f"author\twork\tvolumes\nA\t{'w' * 300}\tv\n", "has 300 letters; expected at most 100"),
        ("author|work|volumes\n", r"row 1: found author\|work\|volumes; column author, work, volumes is missing"),
    ],
)
def test_a_mistake_is_one_line_with_its_row(tmp_path, text, said):
    path = tmp_path / "works.tsv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(EgaraError, match=said) as caught:
        read_works(path)
    assert "\n" not in str(caught.value) and "works.tsv" in str(caught.value)


def test_other_tables_of_a_user_are_read_alike(tmp_path):
    rows = [CAST_COLUMNS, ("a", "lorelei", "0", "2", "8", "1", "2"), ("b", "lorelei", "1", "2", "8", "1", "2")]
    (tmp_path / "casts.csv").write_bytes(save(rows, ";", encoding="utf-16"))
    assert read_casts(tmp_path / "casts.csv", [Work("A", "b", ("x",))])["b"]["part"] == "1"
    (tmp_path / "casts.csv").write_bytes(save([*rows, rows[1]]))
    with pytest.raises(EgaraError, match="row 4: work a appears twice"):
        read_casts(tmp_path / "casts.csv", [])


def test_a_volume_may_hold_the_mark_between_volumes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "A; B;.cbz").write_bytes(b"")
    (tmp_path / "w").write_text("author\twork\tvolumes\nA\tw\tA; B;.cbz; c ;A; d\n")
    assert read_works(tmp_path / "w")[0].volumes == ("A; B;.cbz", "c", "A", "d")


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("か\u3099", "が"),
        ("  Ann\u00a0\u3000 Bo\u2003", "Ann Bo"),
        ("An\u200bn\ufeff", "Ann"),
        ("Ｃ", "Ｃ"),
        ("👩\u200d🎨", "👩\u200d🎨"),
    ],
)
def test_labels_have_one_form(typed, kept):
    assert normalise_label(typed, "here") == kept


def warned(*authors):
    return look_alikes([Work(author, f"w{row}", ("v",), row=row) for row, author in enumerate(authors, 2)])


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [
        ("CLAMP", "Clamp", "case"),
        ("CLAMP", "ＣＬＡＭＰ", "width or form"),
        ("ｱﾗｷ", "アラキ", "width or form"),
        ("Clamp", "ＣＬＡＭＰ", "case, width or form"),
        ("Zoë", "zoe", "accents or dashes"),
        ("マーク", "マ-ク", "accents or dashes"),
        ("荒木 飛呂彦", "荒木飛呂彦", "blanks or punctuation"),
        ("Jean-Luc", "Jean‐Luc", "blanks or punctuation"),
        ("CLAMP!", "CLAMP", "blanks or punctuation"),
        ("Araki, Hirohiko", "hirohiko araki", "the order of words"),
    ],
)
def test_labels_that_may_be_meant_as_one_are_named_with_their_rows(one, other, difference):
    (line,) = warned(one, "Bo", other, one)
    assert line == (
        f"author {one!r} (rows 2, 5) and {other!r} (row 4) differ only in {difference}; they count as two authors"
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("jojo-1", "jojo-2"),
        ("か", "が"),
        ("ビル", "ビール"),
        ("1-11", "11-1"),
        ("v1.5", "v15"),
        ("二", "ニ"),
        ("!", "?"),
    ],
)
def test_labels_that_differ_are_left_alone(one, other):
    assert warned(one, other) == []
    works = [Work("A", one, ("v",)), Work("A", other, ("v",))]
    assert look_alikes(works) == []


def test_three_spellings_make_two_lines_and_words_of_works_keep_their_order():
    assert len(warned("CLAMP", "Clamp", "clamp", "Bo")) == 2
    works = [Work("A", "one.two", ("v",), "S T"), Work("B", "two-one", ("v",), "ＳＴ"), Work("C", "One-two", ("v",))]
    lines = look_alikes(works)
    assert [line.split()[0] for line in lines] == ["series", "work"] and "'one.two'" in lines[1]
