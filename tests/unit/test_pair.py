"""The two maps that open the report: which setting they show, and the shares next to them."""

from pathlib import Path

import numpy as np
import pytest

from egara.report import page
from egara.report.explorer.pair import chance, choose_pair, nearest_drawn, share_of_hits


def test_chance_is_exact_and_points_on_one_spot_are_no_error():
    assert chance(["a"] * 90 + ["b"] * 240) == pytest.approx(0.602, abs=5e-4)
    found = nearest_drawn(np.zeros((4, 3)))[:, 0]
    assert (found != np.arange(4)).all()
    assert share_of_hits(np.array([[1], [0], [0]]), ["a", "a", "b"]) == pytest.approx(2 / 3)
    assert share_of_hits(nearest_drawn(np.zeros((1, 2))), ["a"]) == 0


def test_the_pair_is_the_updates_best_setting_by_the_rule_that_the_page_states():
    def space(representation, cell, l2, dimensions, **maps):
        shares = {"dimensions": dimensions, **maps}
        return {"representation": representation, "cell": cell, "l2": l2, "maps": maps, "same_work": shares}

    factors = [space("factors", cell, "on", 0.9, pca=0.9, ipca=1.0, umap=0.2) for cell in "abc"]
    update = [
        space("delta", "a", "on", 0.8, pca=1.0, umap=1.0),
        space("delta", "b", "on", 0.9, pca=0.5, umap=0.4),
        space("delta", "c", "on", 0.9, pca=0.5, umap=0.6),
        space("delta", "d", "on", 1.0, pca=1.0),  # no factors of this cell
    ]
    found = choose_pair([*factors, *update])
    assert (found["cell"], found["l2"], found["map"]) == ("c", "on", "umap")
    assert [side["representation"] for side in found["sides"]] == ["factors", "delta"]
    assert found["sides"][1]["same_work"] == {"dimensions": 0.9, "pca": 0.5, "umap": 0.6}
    assert choose_pair([*factors, *update[:2]])["map"] == "pca"
    assert choose_pair(factors) is None and choose_pair(update) is None
    del factors[2]["same_work"]["dimensions"]  # its LoRAs do not differ
    assert choose_pair([*factors, *update])["cell"] == "b"


def test_the_report_depends_on_every_template():
    folder = Path(page.__file__).parent / "templates"
    assert sorted(page.TEMPLATES) == sorted(path.name for path in folder.iterdir())
