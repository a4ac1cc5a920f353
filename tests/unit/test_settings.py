"""What a user writes, the works table and the configuration, and what names and seeds make of it."""

import pytest

from egara.captions import check_caption, make_caption
from egara.cells import list_cells
from egara.config import complete_config
from egara.corpus.sources import resolve_volumes
from egara.demo.casts import read_casts
from egara.io.errors import EgaraError
from egara.seeds import derive_seed, stream
from egara.settings import Settings
from egara.settings.rules import rules_of
from egara.works import Work, read_works

GIVEN = {"corpus": "shelf", "works": "works.tsv"}


def table(tmp_path, text):
    path = tmp_path / "works.tsv"
    path.write_text(text, encoding="utf-8")
    return path


def test_works_table_is_all_that_a_user_writes(tmp_path):
    path = table(tmp_path, "author\twork\tvolumes\n荒木\tjojo-1\ta.cbz; b\n\n荒木\tjojo-2\tc/*.pdf\n")
    assert read_works(path) == [Work("荒木", "jojo-1", ("a.cbz", "b")), Work("荒木", "jojo-2", ("c/*.pdf",))]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "row 1: found nothing"),
        ("author\twork\nA\tw\n", "row 1: found author, work; column volumes is missing"),
        ("author\twork\tvolumes\n", "no work"),
        ("author\twork\tvolumes\nA\tw\t\n", "row 2: volumes is empty"),
        ("author\twork\tvolumes\nA\ta/b\tx\n", "not a valid file name"),
        ("author\twork\tvolumes\nA\tw\tx\nB\tW\ty\n", "row 3.*row 2"),
    ],
)
def test_mistakes_in_the_works_table_are_one_line(tmp_path, text, said):
    with pytest.raises(EgaraError, match=said) as caught:
        read_works(table(tmp_path, text))
    assert "\n" not in str(caught.value)
    assert "works.tsv" in str(caught.value)


def test_defaults_are_the_papers():
    settings = complete_config(GIVEN)
    assert settings["sets"] == {"count": 30, "size": 50}
    assert settings["faces"]["min_pixels"] == 10_000
    assert settings["captions"]["text"] == "solo, manga style, face"
    assert settings["projections"]["n_components"] == 50
    assert list_cells(settings["grid"]) == [
        "rank~8_alpha~8_resolution~512_init~independent_token~author",
        "rank~32_alpha~32_resolution~512_init~independent_token~author",
    ]


def test_every_key_is_described_with_a_type():
    def check(rules, where):
        for key, rule in rules.get("properties", {}).items():
            assert rule["description"].endswith("."), f"{where}.{key}"
            assert {"type", "enum", "oneOf"} & set(rule), f"{where}.{key}"
            check(rule, f"{where}.{key}")

    check(rules_of(Settings), "config")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"speed": 3}, "unknown key speed"),
        ({"sets": {"cuont": 3}}, "sets: unknown key cuont"),
        ({"grid": {"rank": [0]}}, "grid.rank.0 is 0"),
        ({"grid": {"rank": []}}, "grid.rank"),
        ({"grid": {"alpha": "twice"}}, "grid.alpha is 'twice'"),
        ({"faces": {"detector": "yolo"}}, "faces.detector"),
        ({"grid": {"resolution": [65]}}, "grid.resolution.0 is 65"),
        ({"training": {"resolution": 64}}, "training: unknown key resolution"),
        ({"seed": -1}, "seed is -1"),
        ({"corpus": "a/b"}, "corpus"),
    ],
)
def test_mistakes_in_the_configuration_are_one_line(change, said):
    with pytest.raises(EgaraError, match=said) as caught:
        complete_config(GIVEN | change)
    assert "\n" not in str(caught.value)


def test_a_missing_key_is_named():
    with pytest.raises(EgaraError, match="works is missing"):
        complete_config({"corpus": "x"})


def test_the_grid_is_a_product_unless_alpha_follows_rank():
    grid = {
        "rank": [4, 8],
        "alpha": [1, 2.5],
        "resolution": [64, 128],
        "init": ["independent", "shared"],
        "token": ["none"],
    }
    cells = list_cells(grid)
    assert len(cells) == len(set(cells)) == 16
    assert "rank~4_alpha~2.5_resolution~64_init~shared_token~none" in cells


def test_volumes_that_are_not_there_are_named(tmp_path):
    (tmp_path / "b v2.cbz").write_bytes(b"x")
    (tmp_path / "b v1.cbz").write_bytes(b"x")
    found = resolve_volumes([Work("A", "w", (str(tmp_path / "b*.cbz"),))])
    assert [path.rsplit("/", 1)[1] for path in found["w"]] == ["b v1.cbz", "b v2.cbz"]
    with pytest.raises(EgaraError, match="work w: no volume at .*c.cbz"):
        resolve_volumes([Work("A", "w", (str(tmp_path / "c.cbz"),))])


def test_casts_need_a_row_a_work(tmp_path):
    path = tmp_path / "casts.tsv"
    path.write_text("work\tstyle\tpart\tparts\tcharacters\tvolumes\tpages\na\tlorelei\t0\t2\t8\t1\t2\n")
    assert read_casts(path, [Work("A", "a", ("x",))])["a"]["style"] == "lorelei"
    with pytest.raises(EgaraError, match="no cast for work b"):
        read_casts(path, [Work("A", "b", ("x",))])


def test_tokens_carry_no_name_and_follow_the_policy():
    authors, works = ["A", "A", "B"], ["a1", "a2", "b1"]
    said = {
        policy: [
            make_caption("face", policy, author, work, authors, works)
            for author, work in zip(authors, works, strict=True)
        ]
        for policy in ("author", "work", "none")
    }
    assert said["none"] == ["face"] * 3
    assert said["author"] == ["face, v011", "face, v011", "face, v012"]
    assert said["work"] == ["face, v011", "face, v012", "face, v013"]
    with pytest.raises(EgaraError, match="policy|token"):
        make_caption("face", "genre", "A", "a1", authors, works)


@pytest.mark.parametrize(
    ("caption", "names"),
    [
        ("solo, JoJo style", ["jojo"]),
        ("face by araki", ["Araki Hirohiko"]),
        ("solo, 荒木飛呂彦, face", ["荒木飛呂彦"]),
        ("ＯＳＨＩ no ko", ["Oshi no Ko"]),
    ],
)
def test_captions_that_give_the_answer_away_are_refused(caption, names):
    with pytest.raises(EgaraError, match="must not name"):
        check_caption(caption, names)


def test_harmless_captions_pass():
    check_caption("solo, manga style, face, v011", ["Araki Hirohiko", "JoJo1", "lorelei-a", "Su"])


def test_seeds_depend_on_names_only():
    assert derive_seed(0, "w", "00") == derive_seed(0, "w", "00")
    assert len({derive_seed(*names) for names in [(0, "w"), (1, "w"), ("0", "w"), (0, "w", ""), ("0w",)]}) == 5
    assert stream(0, "a").random() == stream(0, "a").random() != stream(0, "b").random()
