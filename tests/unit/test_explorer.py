"""The explorer: its data are the maps' and the neighbours', faces stay private, and a real browser shows all of it."""

import base64
import json
import os
import re
import runpy
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, urlencode

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from small_study import INDEPENDENT, SHARED, WORKS, build

from egara.io.errors import EgaraError
from egara.report.__main__ import main as report
from egara.report.explorer.__main__ import main
from egara.report.explorer.faces import SHOWN, SIDE, make_sheet
from egara.report.explorer.points import FEW, choose, quantise
from egara.scores.distances import cosine_distances
from egara.scores.neighbours import nearest
from egara.weights.geometry import normalise_and_center, read_vectors

HOSTILE = "</script><b>“絵”</b> & א"


def unpack(text, kind):
    return np.frombuffer(base64.b64decode(text), dtype=f"<{kind}")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    works = [(HOSTILE if author == WORKS[0][0] else author, work, kit) for author, work, kit in WORKS]
    root = build(tmp_path_factory.mktemp("study"), l2=["on"], works=works, sets=3)
    main([*options(root), "--output", str(root / "explorer.json")])
    return root


def options(root):
    spaces = sorted(str(path) for path in root.glob("projections/*/*"))
    return ["--spaces", *spaces, "--vectors", str(root / "spaces")]


@pytest.fixture(scope="module")
def content(study):
    return json.loads((study / "explorer.json").read_text())


def test_coordinates_are_the_maps_to_half_a_step(study, content):
    assert len(content["spaces"]) == 2 * 2 and len(content["loras"]) == len(WORKS) * 3
    for space in content["spaces"]:
        place = study / "projections" / space["cell"] / f"{space['representation']}_l2~{space['l2']}"
        assert set(space["maps"]) == {path.stem for path in place.glob("?*pca.tsv")} | {"pca"}
        for name, stored in space["maps"].items():
            table = pd.read_csv(place / f"{name}.tsv", sep="\t")
            assert table["work"].tolist() == [work for _, work, _ in content["loras"]]
            points = table[[f"c{number:02d}" for number in stored["components"]]].to_numpy()
            found = unpack(stored["data"], "i2").reshape(len(stored["scale"]), -1).T * stored["scale"]
            assert (np.abs(found - points) <= 0.6 * np.array(stored["scale"])).all()
            assert np.array(stored["scale"]) * 32767 == pytest.approx(np.abs(points).max(axis=0), rel=1e-5)
            ratios = pd.read_csv(place / f"{name}.variance.tsv", sep="\t")["ratio"]
            assert stored["ratios"] == pytest.approx(ratios.tolist(), abs=1e-5)


def neighbours_of(study, space):
    folder = study / "spaces" / space["cell"]
    gram, _ = read_vectors(folder / f"{space['representation']}.gram.npy", folder / f"{space['representation']}.tsv")
    distances = cosine_distances(normalise_and_center(gram, space["l2"] == "on"))
    return distances, nearest(distances, ~np.eye(len(distances), dtype=bool), 5)


def test_neighbours_are_those_of_the_whole_vectors(study, content):
    for space in content["spaces"]:
        distances, expected = neighbours_of(study, space)
        stored = space["neighbours"]
        assert np.array_equal(unpack(stored["rows"], "u2").reshape(-1, stored["count"]), expected)
        near = unpack(stored["distances"], "u2").reshape(-1, stored["count"]) / 30000
        assert near == pytest.approx(np.take_along_axis(distances, expected, axis=1), abs=2e-5)


def test_labels_have_the_colours_and_methods_the_names_of_the_figures(content):
    from matplotlib.colors import to_rgb

    from egara.figures.style import author_colours, work_markers
    from egara.vocabulary import PROJECTIONS

    for place, label in enumerate(("author", "work")):
        colours = author_colours([lora[place] for lora in content["loras"]])
        assert list(content["colours"][label]) == list(colours)
        for name, colour in content["colours"][label].items():
            assert to_rgb(colour) == pytest.approx(colours[name], abs=1 / 255)
    assert content["words"]["map"] == PROJECTIONS
    works = [work for _, work, _ in content["loras"]]
    assert content["markers"]["work"] == work_markers(works) and len(set(content["markers"]["work"].values())) > 1


def test_shares_of_the_same_work_are_those_of_scikit_learn(study, content):
    from sklearn.neighbors import NearestNeighbors

    works = np.array([work for _, work, _ in content["loras"]])
    for space in content["spaces"]:
        place = study / "projections" / space["cell"] / f"{space['representation']}_l2~{space['l2']}"
        for name in space["maps"]:
            points = pd.read_csv(place / f"{name}.tsv", sep="\t")[["c01", "c02"]].to_numpy()
            found = NearestNeighbors(n_neighbors=1).fit(points).kneighbors(return_distance=False)[:, 0]
            assert space["same_work"][name] == pytest.approx((works[found] == works).mean(), abs=1e-5), name
        nearest_work = works[neighbours_of(study, space)[1][:, 0]]
        assert space["same_work"]["dimensions"] == pytest.approx((nearest_work == works).mean(), abs=1e-5)
    assert content["chance"]["work"] == pytest.approx(2 / 23, abs=1e-5)


def test_the_readmes_picture_is_drawn_from_the_explorers_data(study, content, tmp_path):
    draw = runpy.run_path(str(Path(__file__).parents[2] / "docs/images/draw_maps.py"))["main"]
    draw(study / "explorer.json", tmp_path / "maps.svg")
    text = (tmp_path / "maps.svg").read_text(encoding="utf-8")
    for side in content["pair"]["sides"]:
        assert f"same work: {100 * side['same_work']['dimensions']:.0f} %" in text, side


def test_a_map_of_one_value_and_many_spaces():
    assert quantise(np.zeros((3, 1)))["scale"] == [pytest.approx(1 / 32767, rel=1e-5)]
    assert choose(50, 10, 330) == list(range(1, 51))
    assert choose(50, 100, 5000) == list(FEW) and choose(4, 100, 500_000) == [1, 2, 3, 4]


def test_no_face_without_being_asked(content):
    assert content["faces"] == {} and "data:image" not in json.dumps(content)


def test_strips_are_the_first_faces_of_each_set(tmp_path):
    for number in range(9):
        Image.new("L", (60, 30), 20 * number + 40).save(tmp_path / f"{number}.png")
    rows = [("00", order, f"{number}.png") for order, number in enumerate((3, 1, 4, 2, 0, 5, 8))]
    rows += [("01", order, f"{number}.png") for order, number in enumerate((1, 6, 7))] + [("02", 0, "8.png")]
    sets = pd.DataFrame(rows, columns=["set", "order", "file"]).assign(face="x")
    made = make_sheet(sets.sample(frac=1, random_state=0), tmp_path, ["00", "01"])
    import io

    sheet = np.array(Image.open(io.BytesIO(base64.b64decode(made["sheet"].partition(",")[2]))))
    middle = [
        sheet[number // made["columns"] * SIDE + SIDE // 2, number % made["columns"] * SIDE + SIDE // 2]
        for number in made["strips"]["00"]
    ]
    assert middle == pytest.approx([20 * number + 40 for number in (3, 1, 4, 2, 0, 5)], abs=4)
    assert len(middle) == SHOWN and set(made["strips"]) == {"00", "01"}
    (tmp_path / "6.png").write_text("no picture")
    with pytest.raises(EgaraError, match=r"6\.png: not a picture .* expected a crop of a face"):
        make_sheet(sets, tmp_path, ["01"])


def test_spaces_must_hold_the_same_loras(study, tmp_path):
    other = build(tmp_path, cells=[INDEPENDENT], l2=["on"], works=WORKS[:4], sets=2)
    shutil.copytree(other / "projections" / INDEPENDENT, study / "mixed" / "projections" / INDEPENDENT)
    shutil.copytree(study / "projections" / SHARED, study / "mixed" / "projections" / SHARED)
    for cell, root in ((INDEPENDENT, other), (SHARED, study)):
        shutil.copytree(root / "spaces" / cell, study / "mixed" / "spaces" / cell)
    with pytest.raises(EgaraError, match="other LoRAs than in"):
        main([*options(study / "mixed"), "--output", str(tmp_path / "e.json")])


class Shown(HTMLParser):
    """Points of each map, list items below the maps, texts and elements of the page as the browser made it."""

    def __init__(self, text):
        super().__init__()
        self.maps, self.lists, self.tags, self.text, self.quiet = {}, [], [], [], 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append((tag, values))
        self.quiet += tag in ("script", "style")
        if "data-map" in values:
            self.points = self.maps.setdefault(values["data-map"], [])
        if "point" in values.get("class", "").split():
            self.points.append(values)
        if "found" in values.get("class", "").split():
            self.lists.append([])
        if tag == "li" and "data-lora" in values:
            self.lists[-1].append(int(values["data-lora"]))

    def handle_endtag(self, tag):
        self.quiet -= tag in ("script", "style")

    def handle_data(self, data):
        if not self.quiet:
            self.text.append(data)


@pytest.fixture(scope="module")
def browser():
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium on this machine (Debian's package: chromium)")
    return [found, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=4000"]


@pytest.fixture(scope="module")
def page(study):
    report(["--corpus", "tiny", "--explorer", str(study / "explorer.json"), "--output", str(study / "report.html")])
    return study / "report.html"


def address(page, **view):
    return f"{page.as_uri()}#explore?{urlencode(view, quote_via=quote)}"


def marked(points, kind):
    return {int(point["data-lora"]) for point in points if kind in point["class"].split()}


def seen(browser, page, **view):
    ran = subprocess.run([*browser, "--dump-dom", address(page, **view)], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return Shown(ran.stdout)


def test_a_browser_shows_every_lora_and_who_is_near(study, content, page, browser):
    place = 7
    _, work, name = content["loras"][place]
    for space in content["spaces"]:
        choice = {key: space[key] for key in ("cell", "representation", "l2")}
        shown = seen(browser, page, **choice, map="pca", x=3, y=2, colour="work", lora=f"{work} / {name}")
        assert len(shown.maps["single"]) == len(content["loras"])
        assert [values for tag, values in shown.tags if tag == "details"] == [{"class": "single", "open": ""}]
        _, expected = neighbours_of(study, space)
        assert shown.lists[-1] == expected[place].tolist()
        assert marked(shown.maps["single"], "focus") == {place}
        assert marked(shown.maps["single"], "near") == set(expected[place].tolist())
        stored = space["maps"]["pca"]
        across, up = (unpack(stored["data"], "i2").reshape(len(stored["scale"]), -1)[number - 1] for number in (3, 2))
        where = {
            int(point["data-lora"]): [float(v) for v in re.findall(r"-?[\d.]+", point["transform"])]
            for point in shown.maps["single"]
        }
        drawn = np.array([where[row] for row in range(len(where))])
        assert np.corrcoef(drawn[:, 0], across)[0, 1] > 0.9999 and np.corrcoef(drawn[:, 1], -up)[0, 1] > 0.9999


def test_names_are_text_whatever_they_hold(page, browser):
    shown = seen(browser, page)
    assert HOSTILE in shown.text
    assert [tag for tag, _ in shown.tags].count("b") == 1  # the title of the caption
    assert list(map(len, shown.maps.values())) == [len(WORKS) * 3] * 3


def test_a_lora_is_highlighted_in_both_maps_of_the_pair_with_the_neighbours_of_each(study, content, page, browser):
    place = 4
    _, work, name = content["loras"][place]
    shown = seen(browser, page, lora=f"{work} / {name}")
    for number, side in enumerate(("factors", "delta")):
        pair = {**content["pair"], "representation": side}
        expected = neighbours_of(study, pair)[1][place].tolist()
        assert marked(shown.maps[side], "focus") == {place}, side
        assert marked(shown.maps[side], "near") == set(expected), side
        assert shown.lists[number] == expected, side
    assert shown.maps["factors"] != shown.maps["delta"]


def test_without_factors_the_page_opens_with_the_single_map(study, page, browser, tmp_path):
    spaces = sorted(str(path) for path in study.glob("projections/*/delta*"))
    main(["--spaces", *spaces, "--vectors", str(study / "spaces"), "--output", str(tmp_path / "e.json")])
    report(["--corpus", "x", "--explorer", str(tmp_path / "e.json"), "--output", str(tmp_path / "r.html")])
    assert json.loads((tmp_path / "e.json").read_text())["pair"] is None
    shown = seen(browser, tmp_path / "r.html")
    assert {name: len(points) for name, points in shown.maps.items()} == {"single": len(WORKS) * 3}
    assert "details" not in [tag for tag, _ in shown.tags]


def test_the_page_asks_nobody_outside(page):
    text = page.read_text()
    assert not re.search(
        r"""(?:src|href)=["']?(?:https?:)?//""", text.partition("Licences")[0].replace("http://www.w3.org/2000/svg", "")
    )
    assert "fetch(" not in text and "XMLHttpRequest" not in text and "import(" not in text


@pytest.mark.parametrize("width", [1280, 420])
def test_a_screenshot_has_coloured_points(page, browser, tmp_path, width):
    folder = os.environ.get("EGARA_TEST_OUTPUT", tmp_path)
    picture = f"{folder}/explorer-{width}.png"
    where = address(page, representation="delta", lora="pen-a / 01")
    command = [*browser, f"--window-size={width},1700", "--hide-scrollbars", f"--screenshot={picture}", where]
    assert subprocess.run(command, capture_output=True, timeout=120).returncode == 0
    pixels = np.array(Image.open(picture).convert("RGB")).astype(int)
    colourful = (pixels.max(axis=2) - pixels.min(axis=2) > 100).sum()
    assert pixels.shape[1] == width and colourful > 300
