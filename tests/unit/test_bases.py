"""A base without what training needs is one line that names it."""

import json
import shutil

import pytest

from egara.errors import EgaraError
from egara.loras.base import describe_base, find_base
from egara.loras.description import part_hash


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
        (cut_weights, "model.safetensors: not a whole file of weights"),
        (take_an_inpainting_unet, "unet reads 9 channels, vae gives 4"),
        (take_a_wider_unet, "unet reads 2048 wide text, text_encoder gives 64"),
        (forget_a_class, "names no class for vae"),
        (lose_the_index, "no readable model_index.json"),
    ],
)
def test_a_base_that_cannot_be_trained_on_is_one_line(base, harm, said):
    harm(base)
    with pytest.raises(EgaraError, match=said) as caught:
        describe_base(str(base))
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
