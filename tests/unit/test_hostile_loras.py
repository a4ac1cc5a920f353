"""LoRA files made to harm: false offsets and names, and values that are no numbers, are refused by file and layer."""

import json

import numpy as np
import pytest
from hostile import container, refusing
from safetensors.numpy import save, save_file

from egara.loras.encoding.inputs import read_latents
from egara.loras.files import read_layout, read_lora
from egara.loras.files.__main__ import main as formats
from egara.weights.__main__ import main as vectors

DOWN, UP = "unet.conv_in.lora_A.weight", "unet.conv_in.lora_B.weight"
BODY = bytes(80)  # (2, 6) and (4, 2) of float32


def entry(shape: list, begin: object, end: object, kind: str = "F32") -> dict:
    return {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}


WHOLE = {DOWN: entry([2, 6], 0, 48), UP: entry([4, 2], 48, 80)}


@pytest.mark.parametrize("layout", ["lora", "layout"])
@pytest.mark.parametrize(
    ("header", "body", "says"),
    [
        (WHOLE | {UP: entry([4, 2], 40, 72)}, BODY, "whole safetensors"),  # overlapping
        (WHOLE | {UP: entry([2, 6], 0, 48)}, BODY[:48], "whole safetensors"),  # the same bytes twice
        (WHOLE | {UP: entry([4, 2], 80, 48)}, BODY, "whole safetensors"),  # backwards
        (WHOLE | {UP: entry([4, 2], 56, 88)}, bytes(88), "whole safetensors"),  # a gap
        (WHOLE | {UP: entry([4, 2], -32, 0)}, BODY, "whole safetensors"),
        (WHOLE | {UP: entry([4, -2], 48, 80)}, BODY, "whole safetensors"),
        (WHOLE | {UP: entry([4, 2], 2**63, 2**63 + 32)}, BODY, "whole safetensors"),
        (WHOLE | {UP: entry([4, 2], 48, 2**64)}, BODY, "whole safetensors"),
        (WHOLE | {UP: entry([2**33, 2**33], 48, 80)}, BODY, "whole safetensors"),
        (WHOLE | {UP: entry([2**62, 4, 0], 48, 48)}, BODY[:48], "safetensors|factors of"),
        (WHOLE, BODY[:-1], "whole safetensors"),
        (WHOLE, BODY + b"x", "whole safetensors"),
        (WHOLE | {UP: entry([4, 2], 48, 80, "F128")}, BODY, "whole safetensors"),
        ({DOWN: entry([0, 6], 0, 0), UP: entry([4, 0], 0, 0)}, b"", r"unet\.conv_in has factors of \[0, 6\]"),
        ({DOWN: entry([2, 0], 0, 0), UP: entry([4, 2], 0, 32)}, BODY[:32], r"unet\.conv_in has factors of \[2, 0\]"),
        ({DOWN: entry([], 0, 4), UP: entry([4, 2], 4, 36)}, BODY[:36], r"unet\.conv_in has factors of \[\]"),
        ([], b"", "whole safetensors"),
        ({"__metadata__": {"a": 3}} | WHOLE, BODY, "whole safetensors"),
    ],
)
def test_false_offsets_and_sizes(tmp_path, layout, header, body, says):
    path = tmp_path / "a.safetensors"
    path.write_bytes(container(json.dumps(header), body))
    with refusing(tmp_path, rf"a\.safetensors: .*({says})"):
        (read_lora if layout == "lora" else read_layout)(path)


def test_tensors_may_lie_in_any_order(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(container(json.dumps({DOWN: entry([2, 6], 32, 80), UP: entry([4, 2], 0, 32)}), BODY))
    assert read_lora(path).layers["unet.conv_in"].lora_A.shape == (2, 6)


@pytest.mark.parametrize("stated", [0, 81, 10**6, 2**31, 2**63, 2**64 - 1])
def test_a_header_longer_than_its_file(tmp_path, stated):
    path = tmp_path / "a.safetensors"
    path.write_bytes(container(json.dumps(WHOLE)[:40], b"", stated))
    with refusing(tmp_path, r"a\.safetensors: not a whole safetensors file"):
        read_lora(path)


@pytest.mark.parametrize("nested", [False, True])
def test_names_that_come_twice_are_refused(tmp_path, nested):
    """Of two equal names each reader takes another: what one tool shows, another would train on."""
    text = json.dumps(WHOLE)
    twice = text.replace("{", f'{{"{DOWN}": {json.dumps(WHOLE[DOWN])}, ', 1)
    if nested:
        twice = text.replace('"dtype": "F32"', '"dtype": "F32", "dtype": "F32"', 1)
    path = tmp_path / "a.safetensors"
    path.write_bytes(container(twice, BODY))
    with refusing(tmp_path, r"a\.safetensors: (.*is twice in the header|not a whole .*duplicate)"):
        read_layout(path)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[]", "\x00", '{"unet.lora_alpha": 1e999}'])
def test_texts_of_the_header_that_are_no_settings(tmp_path, text):
    path = tmp_path / "a.safetensors"
    save_file(
        {DOWN: np.ones((2, 6), np.float32), UP: np.ones((4, 2), np.float32)}, path, {"lora_adapter_metadata": text}
    )
    with refusing(tmp_path, r"a\.safetensors: .*(in the header)"):
        read_lora(path)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"lora_alpha": 10**400}, "expected a number"),
        ({"lora_alpha": "4"}, "expected a number"),
        ({"lora_alpha": [4]}, "expected a number"),
        ({"alpha_pattern": [4]}, "not a JSON object"),
        ({"alpha_pattern": {r"(\w+_?)+!": 4}}, "is an invalid pattern"),
        ({"alpha_pattern": {r"(a|\w)*(b|\w)*!": 4}}, "is an invalid pattern"),
        ({"alpha_pattern": {r".*.*.*.*.*.*!": 4}}, "is an invalid pattern"),
        ({"alpha_pattern": {"a{99999999999}": 4}}, "is an invalid pattern"),
    ],
)
def test_alphas_and_patterns_that_would_break_or_never_end(tmp_path, settings, says):
    path = tmp_path / "a.safetensors"
    texts = {"lora_adapter_metadata": json.dumps({f"unet.{key}": value for key, value in settings.items()})}
    save_file({DOWN: np.ones((2, 6), np.float32), UP: np.ones((4, 2), np.float32)}, path, texts)
    with refusing(tmp_path, says):
        read_lora(path)


def lora(path, author: str, place: int | None = None, value: float = 0, kind=np.float32) -> None:
    """Write a LoRA of one work's set; `value` stands at a place of A, or, from 12 on, of B."""
    numbers = np.arange(1, 21).astype(kind)
    if place is not None:
        numbers[place] = value
    tensors = {DOWN: numbers[:12].reshape(2, 6), UP: numbers[12:].reshape(4, 2)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(save(tensors, {"egara": json.dumps({"author": author, "work": path.parent.name})}))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("place", [0, 11, 12, 19])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_stop_vectors_and_conversion(tmp_path, kind, place, value):
    for work, number in (("w1", "00"), ("w1", "01"), ("w2", "00"), ("w2", "01")):
        lora(tmp_path / "loras" / work / f"{number}.safetensors", work)
    spoiled = tmp_path / "loras" / "w2" / "00.safetensors"
    lora(spoiled, "w2", place, value, kind)
    says = r"w2/00\.safetensors: layer unet\.conv_in holds values that are not finite numbers"
    given = f"--folder {tmp_path}/loras --works w1 w2 --sets 2 --gram {tmp_path}/out/g.npy --index {tmp_path}/out/i.tsv"
    for name in ("factors", "delta", "sketch"):
        with refusing(tmp_path, says):
            vectors([*given.split(), "--representation", name])
    with refusing(tmp_path, says):
        formats(["convert", str(spoiled), f"{tmp_path}/out/b.safetensors", "--layout", "kohya"])


def test_values_beyond_float32_are_no_numbers_either(tmp_path):
    lora(tmp_path / "w" / "00.safetensors", "w", 3, 1e300, np.float64)
    with refusing(tmp_path, "layer unet.conv_in holds values that are not finite"):
        read_lora(tmp_path / "w" / "00.safetensors")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_latents_that_are_no_numbers_are_not_trained_on(tmp_path, value):
    array = np.zeros((1, 2, 1, 2, 2), np.float32)
    array[0, 1, 0, 1, 1] = value
    save_file({"mean": array, "std": np.zeros_like(array)}, tmp_path / "w.safetensors", {"faces": "[]"})
    with refusing(tmp_path, r"w\.safetensors: mean holds values that are not finite numbers, expected latents"):
        read_latents(tmp_path / "w.safetensors", {}, {}, {})
