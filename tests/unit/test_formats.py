"""Reading LoRA files."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from egara.io.errors import EgaraError
from egara.loras.files import read_layout, read_lora

LAYER = "unet.mid.attn.to_q"


def tensors(dtype=np.float32, rank=2, layer=LAYER):
    generator = np.random.default_rng(0)
    return {
        f"{layer}.lora_A.weight": generator.normal(size=(rank, 5)).astype(dtype),
        f"{layer}.lora_B.weight": generator.normal(size=(3, rank)).astype(dtype),
    }


def settings(**values):
    return {"lora_adapter_metadata": json.dumps({f"unet.{key}": value for key, value in values.items()})}


def test_factors_and_provenance_come_back(tmp_path):
    path, stored = tmp_path / "a.safetensors", tensors()
    save_file(stored, path, metadata={"egara": json.dumps({"author": "A", "set": "03"})})
    lora = read_lora(path)
    assert lora.header == {"author": "A", "set": "03"}
    np.testing.assert_array_equal(lora.layers[LAYER].lora_A, stored[f"{LAYER}.lora_A.weight"])
    np.testing.assert_array_equal(lora.layers[LAYER].lora_B, stored[f"{LAYER}.lora_B.weight"])
    assert read_layout(path).shapes == {LAYER: (2, 5, 3)}


def test_layers_are_sorted_and_can_be_chosen(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file(tensors(layer="unet.b") | tensors(layer="unet.a.z") | tensors(layer="unet.a"), path)
    assert list(read_lora(path).layers) == ["unet.a", "unet.a.z", "unet.b"]
    assert list(read_lora(path, ["unet.b"]).layers) == ["unet.b"]
    with pytest.raises(EgaraError, match="unet.c"):
        read_lora(path, ["unet.c"])


@pytest.mark.parametrize(
    ("header", "scale"),
    [
        (None, 1.0),
        (settings(r=2, lora_alpha=8), 4.0),
        (settings(r=2, lora_alpha=8, alpha_pattern={"attn.to_q": 1}), 0.5),
        (settings(r=2, lora_alpha=8, alpha_pattern={"attn.to_k": 1}), 4.0),
        (settings(r=2, lora_alpha=8, use_rslora=True), 8 / np.sqrt(2)),
    ],
)
def test_scale_is_alpha_over_rank(tmp_path, header, scale):
    save_file(tensors(), tmp_path / "a.safetensors", metadata=header)
    assert read_lora(tmp_path / "a.safetensors").layers[LAYER].scaling == pytest.approx(scale)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_precisions_become_float32(tmp_path, dtype):
    save_file(tensors(dtype), tmp_path / "a.safetensors")
    pair = read_lora(tmp_path / "a.safetensors").layers[LAYER]
    assert pair.lora_A.dtype == pair.lora_B.dtype == np.float32
    np.testing.assert_allclose(pair.lora_A, tensors()[f"{LAYER}.lora_A.weight"], rtol=2e-3)


def test_bfloat16_is_read_by_its_bits(tmp_path):
    values = np.array([[1.0, -2.5, 0.15625, 3e38, 0.0]], dtype=np.float32)
    upper = (values.view(np.uint32) >> 16).astype("<u2")
    other = np.ones((3, 1), dtype="<f4")
    header = {
        f"{LAYER}.lora_A.weight": {"dtype": "BF16", "shape": [1, 5], "data_offsets": [0, 10]},
        f"{LAYER}.lora_B.weight": {"dtype": "F32", "shape": [3, 1], "data_offsets": [10, 22]},
    }
    text = json.dumps(header).encode()
    content = len(text).to_bytes(8, "little") + text + upper.tobytes() + other.tobytes()
    (tmp_path / "a.safetensors").write_bytes(content)
    pair = read_lora(tmp_path / "a.safetensors").layers[LAYER]
    np.testing.assert_allclose(pair.lora_A, values, rtol=2**-7)
    np.testing.assert_array_equal(pair.lora_B, other)


def test_factors_of_convolutions_become_matrices(tmp_path):
    down, up = np.arange(2 * 4 * 9.0, dtype=np.float32).reshape(2, 4, 3, 3), np.ones((6, 2, 1, 1), np.float32)
    save_file({f"{LAYER}.lora_A.weight": down, f"{LAYER}.lora_B.weight": up}, tmp_path / "a.safetensors")
    pair = read_lora(tmp_path / "a.safetensors").layers[LAYER]
    assert (pair.lora_A.shape, pair.lora_B.shape) == ((2, 36), (6, 2))


def refused(path, *words):
    with pytest.raises(EgaraError) as caught:
        read_lora(path)
    message = str(caught.value)
    assert "\n" not in message and str(path) in message
    for word in words:
        assert word in message


@pytest.mark.parametrize("left", [0, 4, 40, -1])
def test_a_file_cut_short_is_refused(tmp_path, left):
    path = tmp_path / "a.safetensors"
    save_file(tensors(), path)
    path.write_bytes(path.read_bytes()[:left])
    refused(path, "whole safetensors")


def test_missing_files_and_pickles_are_refused(tmp_path):
    refused(tmp_path / "a.safetensors", "no such file; expected a LoRA file")
    (tmp_path / "a.ckpt").write_bytes(b"\x80\x02}")
    refused(tmp_path / "a.ckpt", "pickle")


def test_factors_that_do_not_fit_are_refused(tmp_path):
    path, whole = tmp_path / "a.safetensors", tensors()
    down, up = whole
    save_file({down: whole[down]}, path)
    refused(path, LAYER, "lora_B")
    save_file(whole | {up: np.ones((3, 4), np.float32)}, path)
    refused(path, LAYER, "rank 2 in A but 4 in B")
    save_file({"lora_unet_mid.lora_down.weight": whole[down]}, path)
    refused(path, "lora_unet_mid.lora_down.weight", "not the name of a Stable Diffusion")
    save_file(whole | {up: np.full((3, 2), np.nan, np.float32)}, path)
    refused(path, LAYER, "not finite")
    save_file(whole, path, metadata=settings(lora_alpha="many"))
    refused(path, LAYER, "'many'")
    save_file(whole, path, metadata={"egara": "{"})
    refused(path, "not JSON")
