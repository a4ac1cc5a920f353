"""A base without what training needs is one line that names it."""

import json
import shutil

import pytest

from egara.io.errors import EgaraError
from egara.loras.base.components import part_hash
from egara.loras.base.find import describe_base, find_base


@pytest.fixture
def base(small_base, tmp_path):
    shutil.copytree(small_base, tmp_path / "base")
    return tmp_path / "base"


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def lose_a_part(base):
    shutil.rmtree(base / "vae")


def lose_weights(base):
    weights = next((base / "unet").glob("*.safetensors"))
    weights.rename(weights.with_suffix(".bin"))


def lose_a_vocabulary(base):
    for path in (base / "tokenizer").glob("tokenizer.json"):
        path.unlink()


def cut_weights(base):
    weights = next((base / "text_encoder").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-10])


def take_an_inpainting_unet(base):
    edit(base / "unet" / "config.json", in_channels=9)


def take_a_wider_unet(base):
    edit(base / "unet" / "config.json", cross_attention_dim=2048)


def forget_a_class(base):
    edit(base / "model_index.json", vae=[None, None])


def lose_the_index(base):
    (base / "model_index.json").unlink()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lose_a_part, "no vae in"),
        (lose_weights, "unet has no weights in .safetensors; found .*bin"),
        (lose_a_vocabulary, "tokenizer has no tokenizer.json or vocab.json"),
        (cut_weights, "model.safetensors: not a whole safetensors file"),
        (take_an_inpainting_unet, "unet reads 9 channels, vae gives 4"),
        (take_a_wider_unet, "unet reads 2048 wide text, text_encoder gives 64"),
        (forget_a_class, "names no class for vae"),
        (lose_the_index, "model_index.json: cannot be read"),
    ],
)
def test_a_base_that_cannot_be_trained_on_is_one_line(base, harm, said):
    harm(base)
    with pytest.raises(EgaraError, match=said) as caught:
        describe_base(str(base))
    assert "\n" not in str(caught.value)


def as_variant(base, part, variant):
    """Give a part's weights the name of a variant."""
    weights = next((base / part).glob("*.safetensors"))
    return weights.rename(weights.with_name(weights.name.replace(".safetensors", f".{variant}.safetensors")))


def test_the_only_variant_is_described_and_loaded(base, tmp_path, caplog):
    import torch

    from egara.loras.base.components import load_part, local_files
    from egara.loras.base.find import main

    plain = describe_base(str(base))
    renamed = [
        as_variant(base, "unet", "fp16"),
        as_variant(base, "vae", "non_ema"),
        as_variant(base, "text_encoder", "fp16"),
    ]
    with caplog.at_level("INFO"):
        main(["--base", str(base), "--output", str(tmp_path / "base.json")])
    found = json.loads((tmp_path / "base.json").read_text())
    assert found["variants"] == {"unet": "fp16", "vae": "non_ema", "text_encoder": "fp16"}
    assert "unet in the variant fp16, the only one there" in caplog.text
    assert all(found["parts"][part] != plain["parts"][part] for part in found["variants"])
    assert found["parts"]["tokenizer"] == plain["parts"]["tokenizer"] and "variants" not in plain
    assert set(renamed) <= set(local_files(base))
    for part in found["variants"]:
        model = load_part(base, part, found["parts"][part])
        assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_weights_in_several_files_are_whole_or_named(base):
    from egara.loras.base.components import load_part

    model = load_part(base, "unet")
    (base / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    model.save_pretrained(base / "unet", max_shard_size="1MB", variant="fp16")
    shards = sorted((base / "unet").glob("*-of-*.safetensors"))
    assert len(shards) > 1 and describe_base(str(base))["variants"] == {"unet": "fp16"}
    again = load_part(base, "unet").state_dict()
    assert all((again[name] == value).all() for name, value in model.state_dict().items())
    shards[1].unlink()
    with pytest.raises(EgaraError, match=f"unet lacks {shards[1].name}, which its index names"):
        describe_base(str(base))


def test_two_variants_are_one_line_that_says_what_to_do(base):
    shutil.copy(
        base / "vae" / "diffusion_pytorch_model.safetensors", base / "vae" / "diffusion_pytorch_model.bf16.safetensors"
    )
    assert "variants" not in describe_base(str(base)), "weights without a variant are taken"
    as_variant(base, "vae", "fp16").with_name("x").touch()
    (base / "vae" / "diffusion_pytorch_model.safetensors").unlink(missing_ok=True)
    with pytest.raises(EgaraError, match="vae has its weights as the variants bf16 and fp16; expected one: move"):
        describe_base(str(base))


def test_a_hub_id_that_cannot_be_had_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        EgaraError, match="nobody/nothing: cannot be downloaded .not in huggingface_hub's cache"
    ) as caught:
        find_base("nobody/nothing")
    assert "\n" not in str(caught.value)


def test_a_single_file_is_no_base(tmp_path):
    (tmp_path / "model.ckpt").write_bytes(b"x")
    with pytest.raises(EgaraError, match="model.ckpt: a single file; expected a folder"):
        find_base(str(tmp_path / "model.ckpt"))


def test_each_part_has_its_own_hash(base):
    before = describe_base(str(base))
    edit(base / "unet" / "config.json", upcast_attention=True)
    (base / "vae" / "diffusion_pytorch_model.fp16.safetensors").write_bytes(b"never loaded")
    after = describe_base(str(base))
    changed = {part for part in before["parts"] if before["parts"][part] != after["parts"][part]}
    assert changed == {"unet"} and before["sha256"] != after["sha256"]
    with pytest.raises(EgaraError, match="no hash of vae; describe it again"):
        part_hash({"base": "old", "sha256": "0"}, "vae")
