"""LoRA files of other programs' layouts: their names, and conversion without a change of what a LoRA does."""

import json

import numpy as np
import pytest
from lora_layouts import convert, delta
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from sd15 import sd15_text_config, sd15_unet_config

from egara.io.errors import EgaraError
from egara.loras.files import Factors, read_lora
from egara.loras.files.names import GRAMMARS, dotted, kohya_name, parse_name
from egara.loras.files.writing import write_lora

ATTENTION = "down_blocks.1.attentions.0.transformer_blocks.0"


@pytest.fixture(scope="module")
def sd15():
    """Names of all linear and convolution modules of Stable Diffusion 1.5, by component."""
    import torch
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    with torch.device("meta"):
        parts = {
            "unet": UNet2DConditionModel(**sd15_unet_config()),
            "text_encoder": CLIPTextModel(CLIPTextConfig(**sd15_text_config())),
        }
    sizes = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
    assert sizes == {"unet": 859_520_964, "text_encoder": 123_060_480}
    kinds = (torch.nn.Linear, torch.nn.Conv2d)
    return {
        component: [name for name, module in part.named_modules() if isinstance(module, kinds)]
        for component, part in parts.items()
    }


def test_names_of_stable_diffusion_go_to_kohya_and_back(sd15):
    assert {component: len(modules) for component, modules in sd15.items()} == {"unet": 282, "text_encoder": 72}
    named = {kohya_name(f"{component}.{module}") for component, modules in sd15.items() for module in modules}
    assert len(named) == 282 + 72 and None not in named
    for component, modules in sd15.items():
        for module in modules:
            layer = f"{component}.{module}"
            assert parse_name(f"{kohya_name(layer)}.lora_down.weight").layer == layer
            assert dotted(module.replace(".", "_"), GRAMMARS[component]) == module
    assert "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_out_0" in named
    assert "lora_te_text_model_encoder_layers_11_self_attn_out_proj" in named


def pair(rank=2, inputs=6, outputs=4, scale=1.0, seed=0):
    generator = np.random.default_rng(seed)
    shapes = (rank, inputs) if isinstance(inputs, int) else (rank, *inputs), (outputs, rank)
    if not isinstance(inputs, int):
        shapes = shapes[0], (outputs, rank, 1, 1)
    down, up = (generator.normal(size=shape).astype(np.float32) for shape in shapes)
    return Factors(down, up, scale)


def stored(stem, factors, down, up, **more):
    return {f"{stem}{down}": factors.lora_A, f"{stem}{up}": factors.lora_B} | {
        f"{stem}.{key}": value for key, value in more.items()
    }


@pytest.mark.parametrize(
    ("name", "ends", "layer"),
    [
        (f"unet.{ATTENTION}.attn1.to_q", (".lora.down.weight", ".lora.up.weight"), f"unet.{ATTENTION}.attn1.to_q"),
        (f"unet.{ATTENTION}.attn1.processor.to_q", ("_lora.down.weight", "_lora.up.weight"), None),
        (f"{ATTENTION}.attn1.processor.to_q", ("_lora.down.weight", "_lora.up.weight"), None),
        (
            f"{ATTENTION}.attn2.processor.to_out",
            ("_lora.down.weight", "_lora.up.weight"),
            f"unet.{ATTENTION}.attn2.to_out.0",
        ),
        (f"{ATTENTION}.attn1.to_q", (".lora_A.weight", ".lora_B.weight"), None),
        (f"lora_unet_{ATTENTION.replace('.', '_')}_attn1_to_q", (".lora_down.weight", ".lora_up.weight"), None),
        (f"lora_unet_{ATTENTION.replace('.', '_')}_attn1_to_q", (".lora_A.weight", ".lora_B.weight"), None),
        (f"unet.{ATTENTION}.attn1.to_q", (".lora_A.default.weight", ".lora_B.default.weight"), None),
        (
            "text_encoder.text_model.encoder.layers.3.self_attn.q_proj",
            (".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight"),
            "text_encoder.encoder.layers.3.self_attn.q_proj",
        ),
        (
            "text_encoder.text_model.encoder.layers.3.self_attn.to_out",
            ("_lora.down.weight", "_lora.up.weight"),
            "text_encoder.encoder.layers.3.self_attn.out_proj",
        ),
        (
            "text_encoder.encoder.layers.3.mlp.fc1",
            (".lora_A.weight", ".lora_B.weight"),
            "text_encoder.encoder.layers.3.mlp.fc1",
        ),
        (
            "lora_te_text_model_encoder_layers_3_mlp_fc2",
            (".lora_down.weight", ".lora_up.weight"),
            "text_encoder.encoder.layers.3.mlp.fc2",
        ),
        (
            "text_model.encoder.layers.3.mlp.fc2",
            (".lora_A.weight", ".lora_B.weight"),
            "text_encoder.encoder.layers.3.mlp.fc2",
        ),
    ],
)
def test_every_layout_gives_the_same_layer(tmp_path, name, ends, layer):
    path, factors = tmp_path / "a.safetensors", pair()
    save_file(stored(name, factors, *ends), path)
    ((read, found),) = read_lora(path).layers.items()
    assert read == (layer or f"unet.{ATTENTION}.attn1.to_q")
    np.testing.assert_array_equal(found.lora_A, factors.lora_A)
    np.testing.assert_array_equal(found.lora_B, factors.lora_B)
    assert found.scaling == 1


def test_a_file_may_mix_names(tmp_path):
    # Examples of diffusers rename attention layers only.
    tensors = stored(f"unet.{ATTENTION}.attn1.to_q", pair(), ".lora.down.weight", ".lora.up.weight")
    tensors |= stored(f"unet.{ATTENTION}.ff.net.0.proj", pair(), ".lora_A.weight", ".lora_B.weight")
    save_file(tensors, tmp_path / "a.safetensors")
    assert list(read_lora(tmp_path / "a.safetensors").layers) == [
        f"unet.{ATTENTION}.attn1.to_q",
        f"unet.{ATTENTION}.ff.net.0.proj",
    ]


KOHYA = (".lora_down.weight", ".lora_up.weight")


def test_each_layer_has_its_own_alpha(tmp_path):
    alphas = {"conv_in": 8.0, "conv_out": 1.0, "time_embedding_linear_1": 0.0, "time_embedding_linear_2": None}
    tensors = {}
    for name, alpha in alphas.items():
        more = {} if alpha is None else {"alpha": np.array(alpha, np.float16)}
        tensors |= stored(f"lora_unet_{name}", pair(rank=4), *KOHYA, **more)
    save_file(tensors, tmp_path / "a.safetensors")
    scales = {name: factors.scaling for name, factors in read_lora(tmp_path / "a.safetensors").layers.items()}
    assert scales == {
        "unet.conv_in": 2.0,
        "unet.conv_out": 0.25,
        "unet.time_embedding.linear_1": 1.0,
        "unet.time_embedding.linear_2": 1.0,
    }


def layers_of(scales, ranks=(2, 2, 2, 2)):
    """A linear layer of the U-Net, one by one and three by three convolutions, and a layer of the text encoder."""
    names = {
        f"unet.{ATTENTION}.attn1.to_out.0": 6,
        "unet.down_blocks.1.attentions.0.proj_in": (6, 1, 1),
        "unet.down_blocks.0.resnets.1.conv1": (3, 3, 3),
        "text_encoder.encoder.layers.0.mlp.fc1": 5,
    }
    return {
        name: pair(rank, inputs, scale=scale, seed=seed)
        for seed, ((name, inputs), rank, scale) in enumerate(zip(names.items(), ranks, scales, strict=True))
    }


def test_there_and_back_is_the_same_file_content(tmp_path):
    layers = layers_of((1.5,) * 4)
    header = {"author": "A", "set": "03", "work": "絵"}
    metadata = {"egara_losses": "[1, 2]", "sshs_model_hash": "stale"}
    write_lora(tmp_path / "a.safetensors", layers, header, metadata=metadata)
    kohya = convert(tmp_path / "a.safetensors", tmp_path / "k.safetensors", "kohya")
    back = convert(kohya, tmp_path / "b.safetensors", "peft")
    first, last = load_file(tmp_path / "a.safetensors"), load_file(back)
    assert first.keys() == last.keys()
    for name, values in first.items():
        np.testing.assert_array_equal(values, last[name])  # shapes, too
    for name, factors in read_lora(back).layers.items():
        assert factors.scaling == read_lora(tmp_path / "a.safetensors").layers[name].scaling == 1.5
    stored = load_file(kohya)
    assert stored["lora_unet_down_blocks_0_resnets_1_conv1.lora_down.weight"].shape == (2, 3, 3, 3)
    assert stored["lora_te_text_model_encoder_layers_0_mlp_fc1.alpha"] == 3
    with safe_open(kohya, "np") as file:
        texts = file.metadata()
    assert json.loads(texts["egara"]) == header and texts["egara_losses"] == "[1, 2]"
    assert (texts["ss_network_dim"], texts["ss_network_alpha"]) == ("2", "3.0")
    assert texts["ss_network_module"] == "networks.lora"
    assert not texts.keys() & {"sshs_model_hash", "lora_adapter_metadata", "ss_base_model_version"}


def test_the_same_content_is_the_same_file(tmp_path):
    texts = {f"key {number}": "text" for number in range(8)}
    for name, order in (("a", 1), ("b", -1)):
        layers = dict(list(layers_of((1.0,) * 4).items())[::order])
        write_lora(tmp_path / f"{name}.safetensors", layers, metadata=dict(list(texts.items())[::order]))
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.parametrize("layout", ["peft", "kohya"])
@pytest.mark.parametrize(
    ("scales", "ranks"),
    [((1.0, 0.5, 2.0, 1.0), (2, 2, 2, 2)), ((1.0, 1.0, 1.0, 1.0), (1, 2, 4, 3)), ((0.3, -1.0, 0.0, 7.0), (1, 2, 2, 3))],
)
def test_layers_keep_their_update_when_alphas_differ(tmp_path, layout, scales, ranks, caplog):
    layers = layers_of(scales, ranks)
    write_lora(tmp_path / "a.safetensors", layers)
    caplog.set_level("INFO")
    target = convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors", layout)
    read = read_lora(target).layers
    assert read.keys() == layers.keys()
    for name, factors in layers.items():
        np.testing.assert_allclose(delta(read[name]), delta(factors), rtol=1e-6, atol=1e-6)
    if layout == "kohya":
        assert len({float(v) for name, v in load_file(target).items() if name.endswith(".alpha")}) == 1
        assert "alphas differ" in caplog.text


@pytest.mark.parametrize(("dtype", "precision"), [("float16", 2**-11), ("bfloat16", 2**-8)])
@pytest.mark.parametrize("layout", ["peft", "kohya"])
def test_half_precision_rounds_to_the_nearest(tmp_path, dtype, precision, layout):
    import torch
    from safetensors.torch import load_file as load_torch

    layers = layers_of((0.35,) * 4)
    write_lora(tmp_path / "a.safetensors", layers)
    target = convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors", layout, "--dtype", dtype)
    by_torch = [v for name, v in load_torch(target).items() if not name.endswith(".alpha")]
    assert {values.dtype for values in by_torch} == {getattr(torch, dtype)}
    for name, factors in read_lora(target, flat=False).layers.items():
        expected = torch.from_numpy(layers[name].lora_A).to(getattr(torch, dtype)).float().numpy()
        np.testing.assert_array_equal(factors.lora_A, expected)
        np.testing.assert_allclose(factors.lora_A, layers[name].lora_A, rtol=precision)
        assert factors.scaling == pytest.approx(0.35)


def test_values_beyond_a_precision_write_nothing(tmp_path):
    layers = {"unet.conv_in": pair()._replace(lora_B=np.full((4, 2), 1e5, np.float32))}
    write_lora(tmp_path / "a.safetensors", layers)
    with pytest.raises(EgaraError, match="float16"):
        convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors", "kohya", "--dtype", "float16")
    assert not (tmp_path / "b.safetensors").exists()
    with pytest.raises(EgaraError, match="to convert"):
        convert(tmp_path / "a.safetensors", tmp_path / "a.safetensors", "kohya")
    with pytest.raises(EgaraError, match=r"\.safetensors"):
        convert(tmp_path / "a.safetensors", tmp_path / "b.ckpt", "kohya")
    write_lora(tmp_path / "c.safetensors", {"unet.motion.to_q": pair()})
    with pytest.raises(EgaraError, match="unet.motion.to_q"):
        convert(tmp_path / "c.safetensors", tmp_path / "b.safetensors", "kohya")
