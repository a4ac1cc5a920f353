"""Parts of the report that need no study: sections of figures, what was left out, the base model, licences."""

from pathlib import Path

import pandas as pd
from small_study import left_of

from egara.demo import licences as notice
from egara.demo.artists import STYLES
from egara.demo.notice import attributions
from egara.report import __main__ as report
from egara.report import account, answer, images, sections
from egara.skipped import skipped
from egara.tables import verdict

ROOT = Path(__file__).parents[2]


def test_figures_with_one_title_share_a_section_in_the_order_of_their_registration():
    def shown(kind, number):
        return images.Image(f"{kind}-{number}.svg", kind, kind, "", "data:", 4, 3)

    kinds = ["own", "losses", "pca", "overview", "ipca", "layers"]
    groups = sections.figure_groups([shown(kind, number) for kind in kinds for number in range(2)], most=3)
    assert [group["id"] for group in groups] == ["figures-layers", "figures-ipca", "figures-losses", "figures-more"]
    components = groups[1]
    assert [image.kind for image in components["shown"]] == ["ipca", "ipca", "pca"]
    assert [image.kind for image in components["more"]] == ["pca"]
    assert "the paper's Figures 2–5" in components["title"] and components["remark"]


def test_settings_that_disagree_are_counted():
    assert answer.combine([verdict.YES, verdict.YES]) == (verdict.YES, "yes")
    assert answer.combine([verdict.YES, verdict.NO, verdict.YES]) == ("above chance in 2 of 3", "unsure")
    assert answer.combine([verdict.NO, verdict.UNSURE])[1] == "unsure"


def test_an_author_whom_the_base_has_seen_is_named():
    base = {"provenance": {"trained_on": [{"creator": "Ann"}, {"creator": "Ben"}]}}
    assert "None of them is under study" in report.describe_training(base, {"Cas"})
    assert "Ben: also under study" in report.describe_training(base, {"Ben", "Cas"})
    assert report.describe_training({"provenance": None}, {"Ann"}) == ""


def test_most_of_a_loss_is_traced_to_its_works_and_long_lists_are_cut(tmp_path):
    table = pd.DataFrame(
        {"corpus": "this run", "work": ["a", "b", "c", "d"], "faces": 10, "small": [0, 90, 1, 0], "unused": 0}
    ).assign(found=lambda t: t["faces"] + t["small"], lost=0, limit=[0, 5, 0, 7])
    texts = account.sentences(table, None)
    assert texts[0] == "Pages beyond a limit: 12 left out (d 7, b 5)."
    assert "too few pixels (faces.min_pixels) and were left out; most in b, 90 %." in texts[1] and len(texts) == 2
    nothing = account.sentences(table.assign(small=0, limit=0), None)
    assert nothing == ["No page and no face was left out."]
    left_of(tmp_path / "b.skipped.tsv", [skipped("v", f"{n}", "link", "a link") for n in range(150)])
    left_of(tmp_path / "a.skipped.tsv", [skipped("v", "x", "volume", "no archive")])
    found = account.skipped_rows([tmp_path / "b.skipped.tsv", tmp_path / "a.skipped.tsv"])
    assert found["total"] == 151 and len(found["rows"]) == 1 + account.SHOWN and found["rows"][0][0] == "a"
    left_of(tmp_path / "a.skipped.tsv", [])
    assert account.skipped_rows([tmp_path / "a.skipped.tsv"]) is None


def test_notice_agrees_with_the_kits():
    table = attributions(sorted(STYLES))
    text = (ROOT / "resources/NOTICE").read_text(encoding="utf-8")
    assert text == notice.notice_text(table)
    evaluated, aside = text.split("Held-out artists.")
    for row in table.to_dict("records"):
        part = evaluated if row["role"] == "evaluated" else aside
        assert f"(kit {row['style']}), {row['licence']}" in part and row["creator"] in part
        assert row["source_url"] in part
