"""Figures: the same bytes twice, names as text, what they show in their metadata, and honest titles."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
from small_study import INDEPENDENT, WORKS, build

from egara.figures import __main__ as figures
from egara.figures import clusters, components, distances, registry, style
from egara.figures.registry import load_figures
from egara.io.errors import EgaraError
from egara.registry import Registry
from egara.report.images import read_figure
from egara.tables import __main__ as tables
from egara.vocabulary import MARKERS

SPACE = ["--cell", INDEPENDENT, "--representation", "delta", "--l2", "on"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = build(tmp_path_factory.mktemp("study"), cells=[INDEPENDENT], l2=["on"], sets=3)
    scores = list(map(str, root.glob("scores/*/*/scores.tsv")))
    tables.main(["neighbours", "--scores", *scores, "--output", str(root / "neighbours.tsv")])
    return root


def place(study, folder, name="delta"):
    return study / folder / INDEPENDENT / f"{name}_l2~on"


def plot_pca(study, *output):
    points = place(study, "projections") / "pca.tsv"
    files = ["--pca", str(points), "--pca-variance", str(points.with_suffix(".variance.tsv"))]
    figures.main(["pca", *files, *SPACE, "--output", *map(str, output)])


def plot_umap(study, output, found=None):
    """With the coordinates and the clusters of exact PCA under UMAP's name: both are two columns or more."""
    table = pd.read_csv(found or place(study, "clusters") / "hdbscan.tsv", sep="\t", dtype=str)
    renamed = output.with_suffix(".clusters.tsv")
    table[table["map"] == "pca"].assign(map="umap").to_csv(renamed, sep="\t", index=False)
    files = ["--umap", str(place(study, "projections") / "pca.tsv"), "--clusters", str(renamed)]
    figures.main(["umap", *files, *SPACE, "--output", str(output)])


def plot_incremental(study, output):
    folder = place(study, "projections", "factors")
    files = [word for name in ("ipca", "pca") for word in (f"--{name}", str(folder / f"{name}.tsv"))]
    files += [word for name in ("ipca", "pca") for word in (f"--{name}-variance", str(folder / f"{name}.variance.tsv"))]
    gram = study / "spaces" / INDEPENDENT / "factors.gram.npy"
    files += ["--gram", str(gram), "--index", str(gram).replace(".gram.npy", ".tsv")]
    scope = ["--cell", INDEPENDENT, "--representation", "factors", "--l2", "on"]
    figures.main(["incremental", *files, *scope, "--output", str(output)])


def plot_distances(study, output):
    grams = [str(study / "spaces" / INDEPENDENT / f"{name}.gram.npy") for name in ("factors", "delta")]
    files = ["--gram", *grams, "--index", *(path.replace(".gram.npy", ".tsv") for path in grams)]
    figures.main(["distances", *files, "--cell", INDEPENDENT, "--l2", "on", "off", "--output", str(output)])


def plot_overview(study, output):
    figures.main(["overview", "--neighbours", str(study / "neighbours.tsv"), "--output", str(output)])


def texts(path):
    root = ElementTree.parse(path).getroot()
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


def test_incremental_components_are_compared_with_exact_ones():
    from egara.figures.incremental import agreement

    points = np.random.default_rng(0).normal(size=(40, 6))
    exact = np.linalg.qr(points - points.mean(axis=0))[0]
    scaled = exact * [9.0, 7.0, 5.0, 3.0, 2.0, 1.0]
    assert np.array(agreement(-2 * scaled, scaled)) == pytest.approx(np.ones((2, 6)))
    turned = exact.copy()
    turned[:, :2] = exact[:, :2] @ np.array([[0.6, 0.8], [-0.8, 0.6]])
    alike, inside = agreement(turned, scaled)
    assert alike[:2] == pytest.approx([0.6, 0.6]) and inside[:2] == pytest.approx([0.6, 1.0])
    alike, inside = agreement(scaled[:, ::-1], scaled)
    assert alike == pytest.approx(np.zeros(6), abs=1e-9) and inside == pytest.approx([0, 0, 0, 1, 1, 1], abs=1e-9)


@pytest.mark.parametrize("plot", [plot_pca, plot_umap, plot_incremental, plot_distances, plot_overview])
def test_a_second_run_gives_the_same_file(study, tmp_path, plot):
    first, second = tmp_path / "a.svg", tmp_path / "b.svg"
    plot(study, first)
    plot(study, second)
    assert first.read_bytes() == second.read_bytes()
    shown = read_figure(first)
    assert shown.kind == plot.__name__.removeprefix("plot_")
    assert len(shown.caption) > 40
    assert shown.title and shown.width > 300
    assert not any(f"{word}>" in first.read_text() for word in ("dc:date", "dc:creator"))


def test_components_say_which_they_are_and_how_much_they_hold(study, tmp_path):
    plot_pca(study, tmp_path / "a.svg", tmp_path / "a.png")
    ratios = pd.read_csv(place(study, "projections") / "pca.variance.tsv", sep="\t")["ratio"]
    shown = texts(tmp_path / "a.svg")
    assert "Components 1 and 2" in shown
    assert "Components 7 and 8 (the last two; published: 41 and 42)" in shown
    assert f"component 1 ({100 * ratios[0]:.1f} % of variance)" in shown
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert {work for _, work, _ in WORKS} | {author for author, _, _ in WORKS} <= set(shown)


def test_components_published_and_last():
    assert components.choose_components(50) == [(1, 2), (41, 42)]
    assert components.choose_components(42) == [(1, 2), (41, 42)]
    assert components.choose_components(41) == [(1, 2), (40, 41)]
    assert components.choose_components(2) == [(1, 2)]
    assert components.choose_components(1) == [(1, 2)]


def test_authors_and_works_stay_apart():
    authors = [f"author {n}" for n in range(14)]
    assert len(set(map(tuple, style.author_colours(authors[:10]).values()))) == 10
    assert len(set(map(tuple, style.author_colours(authors).values()))) == 14
    assert len(set(style.work_markers([f"w{n}" for n in range(12)]).values())) == 12
    assert style.author_colours(["b", "a", "b"]) == style.author_colours(["a", "b"])


def test_outline_holds_its_points_even_if_there_is_only_one():
    for points in (
        np.zeros((1, 2)),
        np.array([[0.0, 0], [1, 0], [2, 0]]),
        np.random.default_rng(0).normal(size=(9, 2)),
    ):
        corners = clusters.outline(points, 0.1)
        x, y = (np.roll(corners, -1, axis=0) - corners).T

        def sides(point, corners=corners, x=x, y=y):
            across, up = (point - corners).T
            return np.sign(x * up - y * across)

        for point in points:
            assert (sides(point) == sides(corners.mean(axis=0))).all()


def test_clusters_of_another_projection_are_refused(study, tmp_path):
    table = pd.read_csv(place(study, "clusters") / "hdbscan.tsv", sep="\t", dtype=str)
    table.iloc[::-1].to_csv(tmp_path / "h.tsv", sep="\t", index=False)
    with pytest.raises(EgaraError, match="are not the projection's LoRAs"):
        plot_umap(study, tmp_path / "a.svg", tmp_path / "h.tsv")
    assert not (tmp_path / "a.svg").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["pca", "--pca", "a.tsv", *SPACE], "figure pca: --pca-variance is missing; expected --pca --pca-variance"),
        (["losses", "--losses", "a.tsv", "--gram", "g.npy", "--cell", "x"], "figure losses: --gram is not read"),
        (["losses", "--losses", "a.tsv", "b.tsv", "--cell", "x"], "figure losses: 2 files for --losses; expected one"),
        (["umap", "--umap", "a.tsv", "--clusters", "b.tsv"], "one per space; expected --cell, --representation, --l2"),
    ],
)
def test_files_that_a_figure_does_not_read_are_one_line(tmp_path, given, said):
    with pytest.raises(EgaraError, match=said):
        figures.main([*given, "--output", str(tmp_path / "a.svg")])


def test_a_figure_is_registered_by_its_decorator_alone(monkeypatch, study, tmp_path):
    from matplotlib.figure import Figure

    load_figures()  # those of the package are registered before, not in the registry of this test
    monkeypatch.setattr(registry, "FIGURES", Registry("figure"))

    @registry.figure("counts", title="Counts", remark="How many.", inputs=("index",), per="space", order=5)
    def plot_counts(request):
        count = len(pd.read_csv(request.file("index"), sep="\t"))
        return registry.Plot(Figure(layout="constrained"), f"{count} LoRAs.")

    index = study / "spaces" / INDEPENDENT / "delta.tsv"
    figures.main(["counts", "--index", str(index), *SPACE, "--output", str(tmp_path / "a.svg")])
    shown = read_figure(tmp_path / "a.svg")
    assert (shown.kind, shown.caption) == ("counts", "24 LoRAs.")
    assert shown.title.startswith("Counts: update ΔW = BA · rank = alpha = 2 ·")
    with pytest.raises(ValueError, match="registered twice"):
        registry.figure("counts", title="", remark="", inputs=(), per="study", order=6)(plot_counts)
    with pytest.raises(ValueError, match="per 'work'; expected one of space, cell, study"):
        registry.figure("other", title="", remark="", inputs=(), per="work", order=7)


def test_every_figure_says_what_to_look_for_and_has_its_own_place():
    registered = load_figures()
    assert {"overview", "layers", "distances", "ipca", "pca", "incremental", "umap", "losses"} <= set(registered)
    assert len({entry.order for entry in registered.values()}) == len(registered)
    for entry in registered.values():
        assert len(entry.remark.split()) > 8, entry.name


def test_pairs_are_sorted_by_what_they_share():
    index = pd.DataFrame({"author": list("xxxy"), "work": ["a", "a", "b", "c"]})
    values = np.arange(16.0).reshape(4, 4)
    found = distances.sort_pairs(values, index)
    assert [found[kind].tolist() for kind in distances.KINDS] == [[1], [2, 6], [3, 7, 11]]
    assert "same author, other work" not in distances.sort_pairs(values[:2, :2], index[:2])


def test_overview_shows_chance_and_marks_what_is_not_sure(study, tmp_path):
    plot_overview(study, tmp_path / "a.svg")
    shown = texts(tmp_path / "a.svg")
    assert {"Work", "Author, other works only", "Author, all neighbours", "chance", "factors", "delta"} <= set(shown)


def test_names_that_no_font_has_are_noticed():
    style.set_theme()
    assert style.undrawable(["Jörg", "abc"]) == ""
    assert style.undrawable(["a\U000f0000b"]) == "\U000f0000"


def test_an_unknown_format_writes_nothing(study, tmp_path):
    with pytest.raises(EgaraError, match="expected .svg or .png"):
        plot_pca(study, tmp_path / "a.svg", tmp_path / "a.pdf")
    assert not list(tmp_path.iterdir())


def test_shorter_coordinates_do_not_touch_names():
    svg = '<title>x</title></metadata><path d="M 1.234567 -2.345678"/><text>rank 1.23456, v1.50000</text>'
    assert (
        style.shorten(svg) == '<title>x</title></metadata><path d="M 1.23 -2.35"/><text>rank 1.23456, v1.50000</text>'
    )


def test_every_point_has_the_colour_of_its_author_and_the_marker_of_its_work():
    from matplotlib.figure import Figure
    from matplotlib.markers import MarkerStyle

    works = [f"w{place}" for place in range(len(MARKERS))]
    index = pd.DataFrame({"work": np.repeat(works, 3), "author": np.repeat(["a", "b"], 18)})
    points = np.random.default_rng(0).normal(size=(len(index), 2))
    hollow = np.arange(len(index)) % 3 == 2
    axes = Figure().subplots()
    components.scatter(axes, points, index, hollow)
    colours, markers = style.author_colours(index["author"]), style.work_markers(index["work"])
    solid, *outlines = axes.collections
    order = [int(np.flatnonzero((points == place).all(axis=1))[0]) for place in solid.get_offsets()]
    assert sorted(order) == np.flatnonzero(~hollow).tolist() != order, "no author on top"
    for row, colour, path in zip(order, solid.get_facecolors(), solid.get_paths(), strict=True):
        assert tuple(colour[:3]) == pytest.approx(colours[index["author"][row]])
        marker = MarkerStyle(markers[index["work"][row]])
        assert np.allclose(path.vertices, marker.get_path().transformed(marker.get_transform()).vertices)
    assert sum(len(drawn.get_offsets()) for drawn in outlines) == hollow.sum()
