"""The settings tree: one source for the schema, the reference of all keys, the check and the commands' arguments."""

import argparse
from dataclasses import is_dataclass

import jsonschema
import pytest
import yaml

from egara import settings
from egara.config import complete_config, examine_config
from egara.config.__main__ import contents
from egara.config.__main__ import main as write
from egara.config.checking import list_keys
from egara.config.renamed import RENAMED, find_renamed
from egara.config.schema import schema
from egara.io.errors import EgaraError
from egara.settings import Faces, Grid, Machine, Samples, Scores, Training
from egara.settings.arguments import add_setting
from egara.settings.checking import meets
from egara.settings.rules import rule_of, rules_of
from egara.shipped import CHECKOUT

GIVEN = {"corpus": "shelf", "works": "works.tsv"}
CONFIGS = sorted((CHECKOUT / "config").glob("*.yaml"))


def every(rules, where=""):
    """Yield all keys, sections included, with their rules."""
    for key, rule in rules.get("properties", {}).items():
        yield f"{where}{key}", rule
        yield from every(rule, f"{where}{key}.")


@pytest.mark.parametrize("path", contents())
def test_generated_files_are_those_of_the_settings(path, tmp_path):
    write(["--checkout", str(tmp_path)])
    written, committed = ((folder / path).read_text(encoding="utf-8") for folder in (tmp_path, CHECKOUT))
    assert written == committed, "run egara config"


def test_every_key_is_in_the_reference():
    text = (CHECKOUT / "config" / "README.md").read_text(encoding="utf-8")
    names = {key: key if "properties" in rule else key.rpartition(".")[2] for key, rule in every(schema())}
    assert [key for key, name in names.items() if f"`{name}`" not in text] == []


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configurations_are_valid(path):
    jsonschema.Draft7Validator.check_schema(schema())
    complete = complete_config(yaml.safe_load(path.read_text(encoding="utf-8")))
    jsonschema.Draft7Validator(schema()).validate(complete)


@pytest.mark.parametrize("old", RENAMED)
def test_an_old_key_is_told_its_new_name(old):
    section, _, key = old.partition(".")
    config = GIVEN | {section: {key: 1} if key else 1}
    keys = list(list_keys(schema()))
    assert RENAMED[old] in keys and old not in keys
    assert f"{old}: renamed; expected {RENAMED[old]}" in "\n".join(find_renamed(config))
    with pytest.raises(EgaraError, match=f"config: {section}.*: renamed; expected {RENAMED[old]}") as caught:
        complete_config(config)
    assert "unknown key" not in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_other_mistakes_are_told_next_to_an_old_key():
    _, mistakes = examine_config(GIVEN | {"training": {"steps": 3, "learning_rate": 2, "schedul": 1}})
    assert [line.partition(" ")[0] for line in mistakes] == ["training.steps:", "training:", "training.learning_rate"]


@pytest.mark.parametrize(
    ("config", "hint"),
    [
        ({"training": {"max_train_step": 3}}, "did you mean max_train_steps?"),
        ({"max_train_steps": 3}, "did you mean training.max_train_steps?"),
        ({"machine": {"permutations": 99}}, "did you mean scores.permutations?"),
        ({"projection": {}}, "did you mean projections?"),
    ],
)
def test_a_mistyped_key_gets_a_hint(config, hint):
    assert hint in examine_config(GIVEN | config)[1][0]


def test_yaml_reads_no_as_false():
    config = yaml.safe_load("training: {mixed_precision: no}")
    assert config["training"]["mixed_precision"] is False
    assert complete_config(GIVEN | config)["training"]["mixed_precision"] == "no"
    with pytest.raises(EgaraError, match="training.mixed_precision is true; expected one of no, fp16, bf16"):
        complete_config(GIVEN | {"training": {"mixed_precision": True}})


VALUES = [
    None, True, False, -1, 0, 1, 2, 7, 8, 16, 19, 32, 36, 64, 1000, 1001, 2**64, -0.5, 0.1, 1.5, 50.5, "", "a", "auto",
    "no", "rank", "cpu", "linear", "delta", "delta-layerwise", "onnx:", "onnx:a", "egara", "a/b", [], [1], [8, 8],
    [8, True], ["delta"], ["delta", "delta"], ["to_q", "to_q"], [0.5], [True, False], [1, "a"], [[8]], {}, {"a": 1},
]  # fmt: skip


@pytest.mark.parametrize("key", [key for key, rule in every(schema()) if "properties" not in rule])
def test_the_check_agrees_with_jsonschema(key):
    rule = dict(every(schema()))[key]
    judge = jsonschema.Draft7Validator(rule)
    assert judge.is_valid(rule.get("default", "a")) and meets(rule.get("default", "a"), rule)
    assert [value for value in VALUES if meets(value, rule) != judge.is_valid(value)] == []


def parsed(section, name, *words, **options):
    arguments = argparse.ArgumentParser()
    add_setting(arguments, section, name, **options)
    return getattr(arguments.parse_args(list(words)), name)


def test_every_setting_can_be_an_argument_with_its_default():
    for section in [getattr(settings, name) for name in settings.__all__ if is_dataclass(getattr(settings, name))]:
        for name, rule in rules_of(section)["properties"].items():
            if "properties" not in rule and name not in ("alpha", "target_modules"):  # a word or a list
                words = [] if "default" in rule else [f"--{name}", "a"]
                assert parsed(section, name, *words) == rule.get("default", "a"), name


@pytest.mark.parametrize(
    ("section", "name", "words", "found"),
    [
        (Faces, "margin", ["--margin", "0.25"], 0.25),
        (Faces, "tiles", ["--tiles", "true"], True),
        (Faces, "threshold", ["--threshold", "auto"], "auto"),
        (Machine, "pack", ["--pack", "3"], 3),
        (Machine, "compile", ["--compile"], True),
        (Machine, "compile", ["--no-compile"], False),
        (Training, "snr_gamma", ["--snr-gamma", "null"], None),
        (Samples, "lora_scales", ["--lora-scales", "-1", "2.5"], [-1, 2.5]),
    ],
)
def test_arguments_are_read_as_a_configuration_is(section, name, words, found):
    value = parsed(section, name, *words)
    assert value == found and type(value) is type(found)


@pytest.mark.parametrize(
    ("section", "name", "words", "said"),
    [
        (Scores, "permutations", ["--permutations", "18"], "--permutations is 18; expected a whole number from 19 to"),
        (Faces, "margin", ["--margin", "nan"], "--margin is 'nan'; expected a number from 0 to 1"),
        (Faces, "side", ["--side", "100"], "--side is 100; expected auto or a multiple of 32 from 32 to 8192"),
        (Machine, "device", ["--device", "gpu"], "--device is 'gpu'; expected one of auto, cpu, cuda, mps"),
        (Samples, "lora_scales", ["--lora-scales", "1", "11"], "--lora-scales is 11; expected a number from -10 to 10"),
    ],
)
def test_an_argument_out_of_range_is_one_line(section, name, words, said):
    with pytest.raises(EgaraError, match=said) as caught:
        parsed(section, name, *words)
    assert len(str(caught.value).splitlines()) == 1


def test_an_item_of_a_list_can_be_an_argument():
    assert parsed(Grid, "resolution", item=True) == 512
    assert parsed(Grid, "resolution", "--resolution", "64", item=True) == 64
    assert rule_of(Grid, "alpha", item=True)["exclusiveMinimum"] == 0
    with pytest.raises(EgaraError, match="--resolution is 65; expected a multiple of 8 from 8 to 2048"):
        parsed(Grid, "resolution", "--resolution", "65", item=True)
