"""Values from a command line get the schema's types; nothing is guessed."""

import pytest
from snakemake.cli import parse_config
from snakemake.utils import update_config

from egara.config import complete_config, find_files
from egara.io.errors import EgaraError


def from_command_line(*entries):
    """Return checked settings as `snakemake --configfile F --config ENTRIES` leads to them."""
    config = {"corpus": "shelf", "works": "works.tsv", "grid": {"alpha": [2], "init": ["shared"]}}
    update_config(config, parse_config(list(entries)))
    return complete_config(config)


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ("corpus=2024", {"corpus": "2024"}),
        ("seed=7", {"seed": 7}),
        ("l2=[true, false]", {"l2": [True, False]}),
        ("l2=[False]", {"l2": [False]}),
        ("representations=[delta, norms]", {"representations": ["delta", "norms"]}),
        ("grid={rank: [4], resolution: [64]}", {"grid": {"rank": [4], "resolution": [64], "init": ["shared"]}}),
        ("grid={alpha: rank}", {"grid": {"alpha": "rank"}}),
        ("grid={alpha: [1, 2.5]}", {"grid": {"alpha": [1, 2.5]}}),
        ("pages={limits: {ratio: 300}}", {"pages": {"limits": {"ratio": 300}}}),
        ("training={learning_rate: 1e-4, snr_gamma: null}", {"training": {"learning_rate": 1e-4, "snr_gamma": None}}),
        ("training={snr_gamma: 5}", {"training": {"snr_gamma": 5}}),
        ("training={target_modules: [to_q, 1]}", {"training": {"target_modules": ["to_q", "1"]}}),
        ("machine={gradient_checkpointing: true, pack: 3}", {"machine": {"gradient_checkpointing": True, "pack": 3}}),
        ("machine={gradient_checkpointing: auto}", {"machine": {"gradient_checkpointing": "auto", "pack": "auto"}}),
        ("captions={text: 2024, names: [7, true]}", {"captions": {"text": "2024", "names": ["7", "true"]}}),
        ("training={mixed_precision: no}", {"training": {"mixed_precision": "no", "allow_tf32": False}}),
        ("casts=null", {"casts": None}),
        ("casts=", {"casts": None}),
        ("faces={threshold: 0.25, side: 640}", {"faces": {"threshold": 0.25, "side": 640}}),
    ],
)
def test_every_kind_of_key_can_be_given_on_the_command_line(entry, found):
    def same(value, wanted):
        if isinstance(wanted, dict):
            return all(same(value[key], part) for key, part in wanted.items())
        return value == wanted and repr(value) == repr(wanted)  # True is no 1, and "1" no 1

    assert same(from_command_line(entry), found)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("corpus=1.10", "corpus is 1.1, read as a float; expected text"),
        ("base=True", "base is true, read as a bool; expected text"),
        ("seed=seven", "seed is 'seven'"),
        ("seed=7.5", "seed is 7.5"),
        ("grid={rank: [4.5]}", r"grid.rank.0 is '4.5'"),
        ("grid={rank: [1_0]}", r"grid.rank.0 is '1_0'"),
        ("grid={rank: 4}", "grid.rank is '4'"),
        ("grid=4", "grid is 4"),
        ("machine={compile: no}", "machine.compile is 'no'"),
        ("training={max_grad_norm: .inf}", "training.max_grad_norm is '.inf'"),
        (f"grid={{rank: [{'9' * 5000}]}}", "grid.rank.0 is"),
        ("report={show_faces: 1}", "report.show_faces is '1'"),
    ],
)
def test_what_does_not_fit_is_one_line(entry, said):
    with pytest.raises(EgaraError, match=said) as caught:
        from_command_line(entry)
    assert "\n" not in str(caught.value)


def test_files_are_found_from_the_working_directory_first_then_from_the_checkout(tmp_path, monkeypatch):
    checkout, study = tmp_path / "checkout", tmp_path / "study"
    for path in (checkout / "w.tsv", checkout / "casts.tsv", checkout / "d.onnx", study / "w.tsv"):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    monkeypatch.chdir(study)
    settings = complete_config({"corpus": "x", "works": "w.tsv", "casts": "casts.tsv", "base": "some/hub-id"})
    settings["faces"]["detector"] = "onnx:d.onnx"
    found = find_files(settings, checkout)
    assert found["works"] == "w.tsv" and found["casts"] == str(checkout / "casts.tsv")
    assert found["base"] == "some/hub-id" and found["faces"]["detector"] == f"onnx:{checkout / 'd.onnx'}"
    assert settings["faces"]["detector"] == "onnx:d.onnx", "what was given is not changed"
    assert find_files(settings | {"works": "x" * 5000}, checkout)["works"] == "x" * 5000
