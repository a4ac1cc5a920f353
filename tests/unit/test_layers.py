"""Layers: their places in real networks, sums that are the whole, and planted labels found where they were planted."""

import numpy as np
import pandas as pd
import pytest
from sd15 import sd15_unet_config
from small_study import INDEPENDENT, WORKS, train

from egara.figures import __main__ as figures
from egara.figures import layers as figure
from egara.io.errors import EgaraError
from egara.loras.files import read_layout
from egara.scores import layers
from egara.scores.hypotheses import make_hypothesis
from egara.scores.labels import codes
from egara.tables import __main__ as tables
from egara.tables import show
from egara.vocabulary import QUESTIONS
from egara.weights import layer_grams as measure
from egara.weights.__main__ import main as vectorise
from egara.weights.gram import gram_of_loras, layer_grams
from egara.weights.layer_grams import LayerGrams, read_layer_grams, write_layer_grams
from egara.weights.layer_names import KINDS, group_of, place_of
from egara.weights.representations import find, names

NAME = "unet.{}.transformer_blocks.0.{}"


def test_every_linear_layer_of_stable_diffusion_has_a_place():
    import torch
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(sd15_unet_config())
    names = [
        f"unet.{name}" for name, module in unet.named_modules()
        if isinstance(module, torch.nn.Linear) and ".attentions." in name
    ]  # fmt: skip
    places = [place_of(name) for name in names]
    assert len(names) == 160 and "other" not in {place.kind for place in places}
    positions = sorted({(place.order, place.position) for place in places})
    assert [position for _, position in positions] == [
        "down 0.0", "down 0.1", "down 1.0", "down 1.1", "down 2.0", "down 2.1", "mid", "up 1.0", "up 1.1", "up 1.2",
        "up 2.0", "up 2.1", "up 2.2", "up 3.0", "up 3.1", "up 3.2",
    ]  # fmt: skip
    assert len({(place.position, place.kind) for place in places}) == len(names), "each has a cell of its own"
    assert set(KINDS[:10]) == {place.kind for place in places}


@pytest.mark.parametrize(
    ("name", "position", "kind", "group"),
    [
        ("unet.down_blocks.0.attentions.1.proj_in", "down 0.1", "projection in", "projection"),
        ("text_encoder.text_model.encoder.layers.11.self_attn.k_proj", "text 11", "self k", "self-attention"),
        ("text_encoder.text_model.encoder.layers.3.mlp.fc2", "text 3", "feed-forward out", "feed-forward"),
        ("text_encoder.encoder.layers.3.self_attn.out_proj", "text 3", "self out", "self-attention"),
        (
            "unet.up_blocks.1.attentions.0.transformer_blocks.1.attn2.to_out.0",
            "up 1.0.1",
            "cross out",
            "cross-attention",
        ),
        ("unet.time_embedding.linear_1", "unet.time_embedding.linear_1", "other", "other"),
        ("unet.down_blocks.0.resnets.0.time_emb_proj", "down 0.0", "other", "other"),
    ],
)
def test_places(name, position, kind, group):
    assert place_of(name)[:2] == (position, kind) and group_of(kind) == group


AUTHORS, OWNERS = np.repeat([0, 1], [18, 24]), np.repeat(np.arange(7), 6)


def layers_with(hands, seed=0, width=30):
    """Gram matrices of layers; `hands` gives each layer's strength of author and work."""
    generator = np.random.default_rng(seed)
    for name, (author, work) in hands.items():
        points = generator.normal(size=(42, width))
        points += author * generator.normal(size=(2, width))[AUTHORS] + work * generator.normal(size=(7, width))[OWNERS]
        yield name, points @ points.T


def scored(grams, l2=("on",), permutations=199):
    levels = {name: make_hypothesis(name, AUTHORS, OWNERS, permutations, 0) for name in QUESTIONS}
    return layers.score_layers(grams, OWNERS, levels, list(l2), 0)


def names_of(count):
    kinds = ("attn1.to_q", "attn1.to_v", "attn2.to_k", "attn2.to_v", "ff.net.2")
    blocks = (
        "down_blocks.0.attentions.0",
        "down_blocks.1.attentions.0",
        "mid_block.attentions.0",
        "up_blocks.1.attentions.2",
    )
    return [NAME.format(block, kind) for block in blocks for kind in kinds][:count]


def test_planted_labels_are_found_where_they_are_and_nowhere_else():
    names = names_of(20)
    hands = dict.fromkeys(names, (0.0, 0.0)) | {names[3]: (0.0, 1.5), names[7]: (2.0, 0.0)}
    table = scored(layers_with(hands), permutations=999)
    single = table[table["what"] == "layer"].set_index(["level", "name"])
    sure = single[single["q"] < 0.05]
    assert set(sure.loc["work"].index) >= {names[3]} and set(sure.loc["work"].index) <= {names[3], names[7]}
    across = single.loc["author_across_works"]
    assert across.loc[names[7], "value"] > 0.9 > across.drop(names[7])["value"].max()
    assert across["p"].idxmin() == names[7]
    assert table.query("what == 'position' and name == 'down 0.0' and level == 'work'")["value"].iloc[0] > 0.5


def test_noise_has_no_place():
    found = [scored(layers_with(dict.fromkeys(names_of(20), (0, 0)), seed), permutations=199) for seed in range(12)]
    false = [((t["what"] == "layer") & (t["q"] < 0.05)).any() for t in found]
    assert sum(false) <= 4  # two levels, each wrong in at most one study of twenty


def test_sums_of_layers_are_the_whole_vectors(tmp_path):
    train(tmp_path, INDEPENDENT, WORKS, 2)
    paths = sorted(map(str, tmp_path.glob("*/*/*.safetensors")))
    layouts = [read_layout(path) for path in paths]
    total = sum(gram for _, gram in layer_grams(paths, "delta", layouts))
    assert np.allclose(total, gram_of_loras(paths, "delta", layouts))
    whole = sum(gram for _, gram in layers_with(dict.fromkeys(names_of(5), (1, 1))))
    table = scored(layers_with(dict.fromkeys(names_of(5), (1, 1))))
    alone = scored([("x", whole)]).query("what == 'layer'")
    assert table.query("what == 'all'")["value"].tolist() == alone["value"].tolist()
    assert table.query("what == 'layer' and level == 'work'")["share"].sum() == pytest.approx(1)


def test_a_layer_that_learned_nothing_has_no_value():
    grams = dict(layers_with(dict.fromkeys(names_of(3), (1, 1))))
    grams[names_of(3)[1]] = np.zeros((42, 42))
    table = scored(grams.items(), l2=("on", "off"))
    empty = table[table["name"] == names_of(3)[1]]
    assert len(empty) == 4 and empty["value"].isna().all() and empty["q"].isna().all()
    assert table[(table["what"] == "layer") & (table["name"] != names_of(3)[1])]["value"].notna().all()


def test_command_table_and_figure(tmp_path):
    train(tmp_path / "loras", INDEPENDENT, WORKS, 3)
    folder = tmp_path / "loras" / INDEPENDENT
    grams = str(tmp_path / "delta.layers.npz")
    options = ["--folder", str(folder), "--works", *(w for _, w, _ in WORKS), "--sets", "3"]
    measure.main([*options, "--representation", "delta", "--output", grams])
    options = ["--grams", grams, "--cell", INDEPENDENT, "--representation", "delta", "--l2", "on", "off"]
    layers.main([*options, "--permutations", "99", "--seed", "0", "--output", str(tmp_path / "delta.layers.tsv")])
    tables.main(
        [
            "layers",
            "--layers",
            str(tmp_path / "delta.layers.tsv"),
            "--output",
            *(str(tmp_path / f"layers.{f}") for f in ("tsv", "md")),
        ]
    )
    kind, table = show.read_table(tmp_path / "layers.tsv")
    assert kind == "layers" and {"layer", "position", "kind", "group", "all"} == set(table["what"])
    assert pd.read_csv(tmp_path / "layers.tsv", sep="\t")["value"].notna().all()
    text = (tmp_path / "layers.md").read_text()
    assert "all layers" in text and "chance" in text and "share of size" in text
    drawn = [
        "--layers",
        str(tmp_path / "delta.layers.tsv"),
        "--cell",
        INDEPENDENT,
        "--representation",
        "delta",
        "--l2",
        "on",
    ]
    figures.main(["layers", *drawn, "--output", str(tmp_path / "a.svg")])
    figures.main(["layers", *drawn, "--output", str(tmp_path / "b.svg")])
    svg = (tmp_path / "a.svg").read_text()
    assert svg == (tmp_path / "b.svg").read_text() and "Top-1 minus chance" in svg and "Work (chance" in svg


@pytest.mark.parametrize(
    ("command", "option", "value", "said"),
    [
        (measure, "--representation", "delta-layerwise", "invalid choice: 'delta-layerwise'"),
        (measure, "--sets", "0", "must be at least 1"),
        (layers, "--permutations", "0", "expected a whole number from 19"),
    ],
)
def test_bad_options_are_one_line(tmp_path, capsys, command, option, value, said):
    options = {"--folder": str(tmp_path), "--works": "a", "--sets": "1"}
    if command is layers:
        options = {"--grams": str(tmp_path / "g.npz"), "--cell": INDEPENDENT, "--seed": "0"}
    options |= {"--representation": "delta", "--output": str(tmp_path / "x.tsv"), option: value}
    with pytest.raises((SystemExit, EgaraError)) as refused:
        command.main([part for pair in options.items() for part in pair])
    assert said in f"{capsys.readouterr().err}{refused.value}"
    assert not (tmp_path / "x.tsv").exists()


@pytest.mark.parametrize("representation", [name for name in names() if find(name).from_delta])
def test_sums_of_layers_are_what_loras_give(tmp_path, representation):
    train(tmp_path / "loras", INDEPENDENT, WORKS, 3)
    folder = str(tmp_path / "loras" / INDEPENDENT)
    options = ["--folder", folder, "--works", *(w for _, w, _ in WORKS), "--sets", "3"]
    cache = ["--cache", str(tmp_path / "cache")]
    measure.main([*options, "--representation", "delta", *cache, "--output", str(tmp_path / "l.npz")])

    def files(name):
        return ["--gram", str(tmp_path / f"{name}.npy"), "--index", str(tmp_path / f"{name}.tsv")]

    vectorise(["--layers", str(tmp_path / "l.npz"), "--representation", representation, *files("summed")])
    vectorise([*options, "--representation", representation, *files("whole")])
    summed, whole = (np.load(tmp_path / f"{name}.npy") for name in ("summed", "whole"))
    np.testing.assert_allclose(summed, whole, rtol=0, atol=2e-6 * np.abs(whole).max())
    one, other = (pd.read_csv(tmp_path / f"{name}.tsv", sep="\t", dtype={"set": str}) for name in ("summed", "whole"))
    keys = ["lora", "author", "work", "set"]
    assert list(one) == list(other) and one[keys].equals(other[keys])


def test_files_that_hold_no_layers_are_refused(tmp_path):
    path = tmp_path / "g.npz"
    for content in (None, b"", b"PK no archive", {"grams": np.zeros((1, 2, 2))}):
        if isinstance(content, dict):
            np.savez(path, **content)
        elif content is not None:
            path.write_bytes(content)
        with pytest.raises(EgaraError, match="not a file of Gram matrices of layers"):
            read_layer_grams(path)
    write_layer_grams(path, LayerGrams(np.zeros((2, 3, 3)), ["x"], *(["a"] * 3,) * 4))
    with pytest.raises(EgaraError, match=r"1 layers of 3 LoRAs, but its matrices are \(2, 3, 3\)"):
        read_layer_grams(path)


def test_the_heat_map_holds_each_layer_in_its_cell():
    table = scored(layers_with(dict.fromkeys(names_of(20), (1, 1))))
    part = table[table["level"] == "work"]
    positions = figure.positions_of(table)
    assert positions == ["down 0.0", "down 1.0", "mid", "up 1.2"]
    kinds = ["self q", "self v", "cross k", "cross v", "feed-forward out"]
    gain, q = figure.cells_of(part, positions, kinds)
    row = part[(part["what"] == "layer") & (part["position"] == "mid") & (part["kind"] == "cross v")].iloc[0]
    assert gain[2, 3] == pytest.approx(row["value"] - row["chance"]) and q[2, 3] == row["q"]
    whole = part[part["what"] == "all"].iloc[0]
    assert gain[4, 5] == pytest.approx(whole["value"] - whole["chance"])
    assert np.isfinite(gain).all() and len(codes(positions)) == 4
