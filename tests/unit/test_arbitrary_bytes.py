"""Whatever bytes a file holds, each reader reads it or refuses it in one line, and writes nothing."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fuzz import edits
from fuzz.seeds import SEEDS, stored
from fuzz.targets import TARGETS, refused
from fuzz.weights import read_lora_file
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FUZZ = Path(__file__).parents[1] / "fuzz" / "run.py"
# Derandomized: the same examples on every machine and day. Some readers take a tenth of a second, on a busy machine.
BOUNDED = settings(
    max_examples=25,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
payloads = st.one_of(
    st.sampled_from(edits.WORDS),
    st.binary(min_size=1, max_size=8),
    st.builds(edits.number, st.sampled_from(edits.NUMBERS), st.sampled_from([1, 2, 4, 8]), st.booleans()),
)
changes = st.lists(
    st.builds(edits.Edit, st.sampled_from(edits.KINDS), st.floats(0, 1), st.integers(1, 64), payloads),
    min_size=1,
    max_size=5,
)


@pytest.mark.parametrize("name", TARGETS)
def test_valid_files_are_read(name):
    del refused[:]
    for data in SEEDS[name]():
        TARGETS[name](data)
    # The table of pages names a volume that is not there, the numbers of an answer are taken in several shapes, and one
    # of the annotated books has pages of another shape.
    expected = {
        "pages": "nowhere/a.cbz: cannot be read",
        "onnx-answer": "returns ",
        "manga109": "expected the same aspect ratio",
    }.get(name)
    assert all(expected and expected in line for line in refused), refused
    assert bool(refused) == bool(expected)


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.binary(max_size=300))
@BOUNDED
def test_noise_is_refused_in_one_line(name, data):
    TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
@given(draw=st.data())
@BOUNDED
def test_damaged_files_are_read_or_refused_in_one_line(name, draw):
    data = draw.draw(st.sampled_from(SEEDS[name]()))
    TARGETS[name](edits.apply(data, draw.draw(changes)))


sizes = st.one_of(st.integers(-3, 40), st.sampled_from([2**31, 2**32, 2**63, 2**64 - 1, 1.5, None, "8", [], True]))
entries = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "F16", "BF16", "F64", "I64", "F8_E4M3", "BOOL", "X", 3]),
        "shape": st.lists(sizes, max_size=4),
        "data_offsets": st.lists(sizes, max_size=3),
    }
)
tensors = st.sampled_from(
    ["unet.conv_in.lora_A.weight", "unet.conv_in.lora_B.weight", "lora_unet_conv_in.lora_down.weight", "__metadata__"]
)


@given(header=st.dictionaries(tensors, st.one_of(entries, sizes), max_size=4), body=st.binary(max_size=64))
@settings(BOUNDED, max_examples=150)
def test_headers_of_any_types_and_offsets(header, body):
    text = json.dumps(header).encode()
    read_lora_file(len(text).to_bytes(8, "little") + text + body)


floats = st.one_of(st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1e-45, 3e38]), st.floats(-10, 10))


@given(
    kind=st.sampled_from(["<f2", "<f4", "<f8"]),
    down=st.lists(floats, min_size=6, max_size=6),
    alpha=st.one_of(floats, st.integers(-5, 5)),
)
@settings(BOUNDED, max_examples=100)
def test_values_that_are_not_finite_are_refused(kind, down, alpha):
    stem = "lora_unet_conv_in"
    with np.errstate(over="ignore"):
        factors = {
            f"{stem}.lora_down.weight": np.array(down, kind).reshape(2, 3),
            f"{stem}.lora_up.weight": np.ones((4, 2), kind),
        }
        whole = all(np.isfinite(array.astype(np.float32)).all() for array in factors.values()) and np.isfinite(alpha)
    del refused[:]
    read_lora_file(stored(factors | {f"{stem}.alpha": np.array(alpha, "<f8")}))
    assert bool(refused) != whole
    assert all("layer unet.conv_in" in line for line in refused)


def test_the_command_of_make_fuzz_reads_a_target(tmp_path):
    command = [sys.executable, FUZZ, "--target", "comicinfo", "--seconds", "0.2", "--found", str(tmp_path / "found")]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert re.fullmatch(r"comicinfo: \d+ inputs\n", ran.stdout)
