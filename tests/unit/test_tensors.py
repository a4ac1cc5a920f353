"""One reader and writer of safetensors and of JSON files: whole, changed, foreign, and nobody else opens one."""

import ast
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from egara.io.errors import EgaraError
from egara.io.json import parse_json, read_json
from egara.io.tensors import NoSuchFile, open_tensors, write_tensors

PACKAGE = Path(__file__).resolve().parents[2] / "workflow" / "egara"
ARRAYS = {
    "half": np.array([[1.5, np.nan], [np.inf, -0.0]], np.float16),
    "ids": np.arange(3, dtype=np.int64),
    "mask": np.array([True, False]),
    "nothing": np.empty((0, 4), np.float32),
    "number": np.array(2.5),
    "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "日本": np.array([255], np.uint8),
}


def test_arrays_of_all_types_come_back_and_other_programs_read_them(tmp_path):
    path = tmp_path / "a.safetensors"
    write_tensors(path, ARRAYS, {"key": "鍵", "list": [1, [2]]}, {"format": "pt"})
    with open_tensors(path) as file:
        found, note, texts = file.tensors(), file.json(), file.metadata
    assert note == {"key": "鍵", "list": [1, [2]]}
    assert texts["format"] == "pt"
    for arrays in (found, load_file(path)):
        assert arrays.keys() == ARRAYS.keys()
        for name, array in ARRAYS.items():
            assert arrays[name].dtype == array.dtype
            np.testing.assert_array_equal(arrays[name], array)


def test_the_same_content_gives_the_same_bytes(tmp_path):
    write_tensors(tmp_path / "a.safetensors", ARRAYS, {"a": 1, "b": 2}, {"x": "1", "y": "2"})
    backwards = dict(reversed(ARRAYS.items()))
    write_tensors(tmp_path / "b.safetensors", backwards, {"b": 2, "a": 1}, {"y": "2", "x": "1"})
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda data: data[:-1], "not a whole safetensors file"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "numbers of 日本 were changed"),
        (lambda data: data.replace(b'\\"key\\": 1', b'\\"key\\": 2'), "header was changed"),
        (lambda data: b"PK\x03\x04" + data, "a pickle or zip archive by its content"),
        (lambda data: b"", "not a whole safetensors file"),
    ],
)
def test_corrupt_files_are_one_line_with_the_advice(tmp_path, harm, said):
    path = tmp_path / "a.safetensors"
    write_tensors(path, ARRAYS, {"key": 1})
    whole = path.read_bytes()
    path.write_bytes(harm(whole))
    assert path.read_bytes() != whole
    with pytest.raises(EgaraError, match=said) as caught, open_tensors(path, advice="make it again") as file:
        file.tensors()
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    if "pickle" not in said:
        assert str(caught.value).endswith("; make it again")


def test_missing_files_and_tensors_are_named(tmp_path):
    with (
        pytest.raises(NoSuchFile, match="a.safetensors: no such file; expected latents"),
        open_tensors(tmp_path / "a.safetensors", "latents"),
    ):
        pass
    write_tensors(tmp_path / "a.safetensors", ARRAYS)
    with (
        pytest.raises(EgaraError, match="holds no other; make it again"),
        open_tensors(tmp_path / "a.safetensors", advice="make it again") as file,
    ):
        file.tensor("other")


def test_files_of_other_programs_are_read_as_they_are(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"a": np.ones(3, np.float32)}, path, metadata={"egara": "[1]"})
    with open_tensors(path) as file:
        np.testing.assert_array_equal(file.tensor("a"), np.ones(3))
        with pytest.raises(EgaraError, match="egara in the header: not a JSON object"):
            file.json()
        assert file.json("absent") == {}


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("{", dict, "not JSON"),
        ("[" * 100_000, list, "not JSON"),
        ("[1]", dict, "not a JSON object; expected settings"),
        ("{}", list, "not a JSON list; expected settings"),
    ],
)
def test_json_of_another_kind_is_one_line(tmp_path, text, kind, said):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(EgaraError, match=said) as caught:
        read_json(path, "settings", kind)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    with pytest.raises(EgaraError, match="cannot be read .No such file.*expected settings"):
        read_json(tmp_path / "b.json", "settings", kind)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(EgaraError, match="cannot be read"):
        read_json(path, "settings", kind)
    assert parse_json('{"a": 1}', "--settings", "settings") == {"a": 1}


def opened_directly(source):
    """Return the lines of a module that open a safetensors or JSON file without `egara.io`."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "safetensors":
            lines += [node.lineno for alias in node.names if alias.name != "SafetensorError"]  # from_pretrained's error
        elif isinstance(node, ast.Import):
            lines += [node.lineno for alias in node.names if alias.name.partition(".")[0] == "safetensors"]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("json.loads", "json.load"):
            reads = [one for one in ast.walk(node) if isinstance(one, ast.Call) and one is not node]
            if node.func.attr == "load" or any(
                ast.unparse(one.func).rpartition(".")[2] in ("read_text", "read_bytes", "read") for one in reads
            ):
                lines.append(node.lineno)
    return lines


@pytest.mark.parametrize(
    "source",
    [
        "from safetensors import safe_open",
        "from safetensors.numpy import save_file",
        "import safetensors.torch",
        "json.loads(path.read_text())",
        "json.loads(Path(path).read_text(encoding='utf-8'))['a']",
        "json.load(file)",
    ],
)
def test_the_search_sees_what_opens_a_file(source):
    assert opened_directly(source) == [1]


def test_nobody_else_opens_safetensors_or_json_files():
    own = {PACKAGE / "io" / "tensors.py", PACKAGE / "io" / "json.py"}
    modules = sorted(set(PACKAGE.rglob("*.py")) - own)
    assert len(modules) > 100
    found = {str(path.relative_to(PACKAGE)): opened_directly(path.read_text(encoding="utf-8")) for path in modules}
    assert not {path: lines for path, lines in found.items() if lines}
