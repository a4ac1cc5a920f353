"""LoRA files that are cut, false or of another kind: one line says which and why."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from egara.io.errors import EgaraError
from egara.loras.files import Factors, check_lora, read_lora
from egara.loras.files.writing import write_lora

KOHYA = (".lora_down.weight", ".lora_up.weight")


def factors(stem, down, up):
    return {stem + down: np.ones((2, 6), np.float32), stem + up: np.ones((4, 2), np.float32)}


def refused(path, *words):
    with pytest.raises(EgaraError) as caught:
        read_lora(path)
    message = str(caught.value)
    assert "\n" not in message and message.startswith(f"{path}: ")
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("lora_unet_conv_in.hada_w1_a", "LoHa"),
        ("lora_unet_conv_in.lokr_w1", "LoKr"),
        ("lora_unet_conv_in.oft_blocks", "LyCORIS"),
        ("lora_unet_conv_in.dora_scale", "DoRA"),
        ("unet.conv_in.lora_magnitude_vector", "DoRA"),
        ("lora_unet_conv_in.lora_mid.weight", "Tucker"),
        ("unet.conv_in.lora_B.bias", "biases"),
        ("lora_unet_input_blocks_4_1_proj_in.lora_down.weight", "SDXL"),
        ("lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_down.weight", "several text encoders"),
        ("lora_unet_double_blocks_0_img_attn_proj.lora_down.weight", "FLUX"),
        ("transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight", "FLUX"),
        ("base_model.model.conv_in.lora_A.weight", "PEFT"),
        ("lora_unet_motion_to_q.lora_down.weight", "not the name of a Stable Diffusion"),
        ("motion.to_q.lora_A.weight", "not the name of a Stable Diffusion"),
        ("some.tensor", "not the name of a Stable Diffusion"),
    ],
)
def test_other_adapters_are_refused_by_their_kind(tmp_path, name, word):
    tensors = factors("lora_unet_conv_out", *KOHYA) | {name: np.ones((2, 6), np.float32)}
    save_file(tensors, tmp_path / "a.safetensors")
    refused(tmp_path / "a.safetensors", name, word)


@pytest.mark.parametrize("suffix", [".pt", ".ckpt", ".bin", ".pth", ".safetensors"])
@pytest.mark.parametrize("zipped", [True, False])
def test_pickles_are_refused_whatever_their_name(tmp_path, suffix, zipped):
    import torch

    path = tmp_path / f"a{suffix}"
    torch.save({"a": torch.ones(2)}, path, _use_new_zipfile_serialization=zipped)
    refused(path, "pickle", "run code")


def test_corrupt_files_are_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    stem = "lora_unet_conv_in"
    whole = factors(stem, *KOHYA) | {f"{stem}.alpha": np.array(1, np.float32)}
    down, up, alpha = whole
    save_file(whole, path)
    content = path.read_bytes()
    for left in (0, 7, 8, 60, len(content) - 1):
        path.write_bytes(content[:left])
        refused(path, "whole safetensors")
    save_file({}, path)
    refused(path, "no tensor")
    save_file({down: whole[down], alpha: whole[alpha]}, path)
    refused(path, "unet.conv_in", "no lora_B")
    save_file({alpha: whole[alpha]}, path)
    refused(path, "unet.conv_in", "no lora_A")
    save_file(whole | {up: np.ones((4, 3), np.float32)}, path)
    refused(path, "unet.conv_in", "rank 2", "3")
    for value in (np.nan, np.inf):
        save_file(whole | {alpha: np.array(value, np.float32)}, path)
        refused(path, "unet.conv_in", "alpha", "finite")
    save_file(whole | {alpha: np.ones(3, np.float32)}, path)
    refused(path, "unet.conv_in", "alpha", "[3]")
    save_file(whole | {"unet.conv_in.lora_A.weight": whole[down]}, path)
    refused(path, "same tensor", down, "unet.conv_in.lora_A.weight")
    save_file(whole | {down: whole[down].astype(np.int32)}, path)
    refused(path, "I32")
    save_file(factors("unet.conv_in", ".lora_A.weight", ".lora_B.weight"), path, metadata=bad_pattern())
    refused(path, "'('")


def bad_pattern():
    return {"lora_adapter_metadata": json.dumps({"unet.alpha_pattern": {"(": 3}})}


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("layout", ["peft", "kohya"])
def test_a_flipped_bit_is_refused_by_name(tmp_path, dtype, layout):
    draw = np.random.default_rng(0)
    pair = Factors(draw.normal(size=(2, 3)).astype(np.float32), draw.normal(size=(4, 2)).astype(np.float32), 1.0)
    path = tmp_path / "a.safetensors"
    write_lora(path, {"unet.conv_in": pair}, {"author": "a"}, layout, dtype)
    check_lora(path)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    refused(path, "numbers of", "changed after they were written")


def test_a_header_that_changed_is_refused(tmp_path):
    pair = Factors(np.ones((2, 3), np.float32), np.ones((4, 2), np.float32), 2.0)
    path = tmp_path / "a.safetensors"
    write_lora(path, {"unet.conv_in": pair}, {"author": "a"})
    content = path.read_bytes()
    changed = content.replace(b'lora_alpha\\": 4', b'lora_alpha\\": 5')
    assert changed != content
    path.write_bytes(changed)
    refused(path, "header was changed")


def test_files_of_other_programs_have_no_checksums(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file(factors("unet.conv_in", ".lora_A.weight", ".lora_B.weight"), path)
    check_lora(path)
