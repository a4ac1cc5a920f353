"""What people write, spoiled: tables in another encoding, numbers that are none, names that no file can have."""

import pytest
import yaml
from fuzz.guard import writing_only
from hostile import refusing

from egara.cells import list_cells
from egara.config import complete_config
from egara.corpus import sources
from egara.corpus.sources import resolve_volumes
from egara.demo.casts import read_casts
from egara.io.errors import EgaraError
from egara.loras.base.components import read_description
from egara.works import Work, read_works

GIVEN = {"corpus": "shelf", "works": "works.tsv"}
CASTS = "work\tstyle\tpart\tparts\tcharacters\tvolumes\tpages\n"


@pytest.mark.parametrize("encoding", ["shift_jis", "utf-16-le", "latin-1"])
def test_tables_in_another_encoding_name_the_row(tmp_path, encoding):
    author = "Müller" if encoding == "latin-1" else "荒木"
    (tmp_path / "works.tsv").write_text(f"author\twork\tvolumes\n{author}\tw\tx\n", encoding=encoding)
    said = r"row [12]: (byte 0x\w\w is no UTF-8; expected UTF-8|holds a zero byte)"
    with refusing(tmp_path, rf"works\.tsv, {said}"):
        read_works(tmp_path / "works.tsv")
    with refusing(tmp_path, rf"works\.tsv, {said}"):
        read_casts(tmp_path / "works.tsv", [])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("w", "style, part, parts, characters, volumes, pages is empty"),
        ("w\tlorelei\t0\t2\t8\t1\t2\t3", "'3' is beyond the last column; expected 7 cells"),
        ("w\tlorelei\t0\t2\t8\t1", "pages is empty"),
    ],
)
def test_a_row_of_casts_has_all_cells(tmp_path, row, said):
    (tmp_path / "casts.tsv").write_text(f"{CASTS}{row}\n")
    with refusing(tmp_path, rf"casts\.tsv, row 2: {said}"):
        read_casts(tmp_path / "casts.tsv", [Work("A", "w", ("x",))])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"training": {"learning_rate": float("nan")}}, "training.learning_rate is not a finite number"),
        ({"training": {"max_grad_norm": float("inf")}}, "training.max_grad_norm is not a finite number"),
        ({"samples": {"lora_scales": [1, float("nan")]}}, "samples.lora_scales.1 is not a finite number"),
        ({"grid": {"alpha": [float("inf")]}}, "grid.alpha.0 is not a finite number"),
        ({"seed": 16**5000 * -1}, "seed is a value that cannot be written; expected a whole number from 0"),
        (
            {"l2": True},
            r"l2 is true; expected a non-empty list, each item true or false, no item twice \(Whether vectors",
        ),
        (
            {"sets": {"count": "three"}},
            r"sets\.count is 'three'; expected a whole number from 1 to 1000 \(Sets per work",
        ),
        ({"sets": {"count": 2000}}, r"sets\.count is 2000; expected a whole number from 1 to 1000 \("),
        ({"corpus": "../x"}, r"corpus is '\.\./x'; expected text that matches .* \(Name of the corpus"),
        ({"machine": {"device": "gpu"}}, r"device is 'gpu'; expected one of auto, cpu, cuda, mps \("),
        (
            {"training": {"target_modules": []}},
            r"target_modules is \[\]; expected one of attention, linear or a non-empty list",
        ),
        ({"grid": {"rank": []}}, r"rank is \[\]; expected "),
        ({None: 3}, "unknown key None"),
        ({3: 3, "a": 4}, "unknown key 3, a"),
        ({"works": ["x" * 10_000]}, "works is .*…; expected text"),
        ({"pages": {"limits": {"ratio": 0}}}, "pages.limits.ratio is 0"),
        ({"pages": {"limits": {"members": 10_000_001}}}, "pages.limits.members is 10000001"),
        ({"pages": {"limits": {"member": 1.5}}}, "pages.limits.member is 1.5"),
        ({"pages": {"limits": {"size": 1}}}, "pages.limits: unknown key size"),
    ],
)
def test_values_that_are_no_settings(change, says):
    with pytest.raises(EgaraError, match=says) as caught:
        list_cells(complete_config(GIVEN | change)["grid"])
    assert len(str(caught.value)) < 1000 and len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("text", ["l2: &a [*a]", "other: &a [*a]", "training: &a {learning_rate: *a}"])
def test_a_value_that_contains_itself(text):
    key = text.partition(":")[0]
    with pytest.raises(EgaraError, match=f"{key}: contains itself"):
        complete_config(GIVEN | yaml.safe_load(text))


@pytest.mark.parametrize("place", ["x" * 300, "~nobody-of-this-name/a", "[" * 300, "\0*/*", "*/a\0*"])
def test_places_that_no_file_can_have(place):
    with pytest.raises(EgaraError, match="work w: no volume at .*expected a folder of images"):
        resolve_volumes([Work("A", "w", (place,))])
    with pytest.raises(EgaraError, match="expected a folder of images"):
        sources.find_volumes([place])


@pytest.mark.parametrize("text", ["[]", "3", '{"a":' * 50_000, "\x00"])
def test_descriptions_that_are_none(tmp_path, text):
    (tmp_path / "base.json").write_text(text)
    with refusing(tmp_path, r"base\.json: .*expected a description of the base model"):
        read_description(tmp_path / "base.json")


def test_a_message_is_one_line_whatever_it_quotes():
    shown = str(EgaraError("a\nb\tc\x1b[31m\u2028\ud800 荒木　飛呂彦 " + "x" * 10_000))
    assert shown.startswith(r"a b c\x1b[31m\u2028\ud800 荒木　飛呂彦 xxx")
    assert len(shown) == 2001


def test_the_guard_sees_what_is_written(tmp_path):
    for change in (
        lambda: (tmp_path / "a").write_text("x"),
        lambda: (tmp_path / "a").rename(tmp_path / "b"),
        lambda: (tmp_path / "c").symlink_to("b"),
        lambda: (tmp_path / "d").mkdir(),
        lambda: (tmp_path / "b").unlink(),
    ):
        with pytest.raises(AssertionError, match="written or removed"), writing_only():
            change()
    with writing_only(tmp_path / "d"):
        (tmp_path / "d" / "e").write_text("x")
