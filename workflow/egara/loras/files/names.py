"""Names of tensors in LoRA files: from each layout's name to the layer that it belongs to, and to kohya's name.

kohya-ss writes a module's dots as underscores, and modules have underscores of their own: `to_out_0` is `to_out.0`. The
grammars below list the linear and convolution modules of a U-Net of Stable Diffusion 1 and 2 and of CLIP's text model;
they tell where the dots were, without loading a model.
"""

import re
from functools import cache
from typing import NamedTuple

_ATTENTION = (
    r"attentions\.\d+\.(?:proj_in|proj_out|transformer_blocks\.\d+\."
    r"(?:(?:attn1|attn2)\.(?:to_q|to_k|to_v|to_out\.0)|ff\.net\.(?:0\.proj|2)))"
)
_RESNET = r"resnets\.\d+\.(?:conv1|conv2|conv_shortcut|time_emb_proj)"
_SAMPLER = r"(?:downsamplers|upsamplers)\.\d+\.conv"
UNET = (
    r"conv_in|conv_out|time_embedding\.(?:linear_1|linear_2)|"
    rf"(?:(?:down_blocks|up_blocks)\.\d+|mid_block)\.(?:{_ATTENTION}|{_RESNET}|{_SAMPLER})"
)
TEXT_ENCODER = r"encoder\.layers\.\d+\.(?:self_attn\.(?:q_proj|k_proj|v_proj|out_proj)|mlp\.(?:fc1|fc2))"
GRAMMARS = {"unet": UNET, "text_encoder": TEXT_ENCODER}

# kohya-ss names the text encoder with the module that transformers 5 dropped.
KOHYA = {"unet": "lora_unet_", "text_encoder": "lora_te_text_model_"}

# How each layout ends a factor's name: PEFT, its plain state dict, kohya, diffusers' examples, its text encoders, and
# the attention processors of its first releases. Layouts are mixed within a file: diffusers' examples rename the
# attention layers that they save and leave PEFT's names to the others.
_ENDS = {
    "lora_A": (
        *(".lora_A.weight", ".lora_A.default.weight", ".lora_down.weight"),
        *(".lora.down.weight", ".lora_linear_layer.down.weight", "_lora.down.weight"),
    ),
    "lora_B": (
        *(".lora_B.weight", ".lora_B.default.weight", ".lora_up.weight"),
        *(".lora.up.weight", ".lora_linear_layer.up.weight", "_lora.up.weight"),
    ),
    "alpha": (".alpha",),
}
_OF_PROCESSORS = {
    "unet": {"to_out": "to_out.0"},
    "text_encoder": {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out": "out_proj"},
}

# Adapters that are not two factors per layer, or belong to another model. The first pattern that matches is reported.
_REFUSED = {
    r"lora_magnitude_vector|dora_scale": "DoRA, which rescales whole weights",
    r"\.hada_": "LoHa of LyCORIS",
    r"\.lokr_": "LoKr of LyCORIS",
    r"\.lora_mid\.": "LoCon with a Tucker core (lora_mid)",
    r"\.(oft_\w+|boft_\w+|diff|diff_b|on_input|[ab][12]\.weight|bm[12]\.weight|[wb]_norm)$": "another kind of LyCORIS",
    r"\.lora_embedding_[AB]|\.bias$": "a LoRA with biases or embeddings",
    r"^lora_unet_(double|single|joint|transformer)_blocks|^lora_transformer_|^(transformer|diffusion_model)\.": (
        "a transformer such as FLUX or SD 3"
    ),
    r"^lora_unet_(input_blocks|middle_block|output_blocks|label_emb|time_embed_\d|out_\d)": (
        "SDXL in the naming of its first release (input_blocks)"
    ),
    r"^lora_unet_add_embedding": "SDXL",
    r"^lora_te[123]_|^text_encoder_[23]\.": "a model with several text encoders (SDXL, SD 3, FLUX)",
    r"^base_model\.model\.": "an adapter folder of PEFT, which keeps alpha elsewhere (save it by diffusers' pipeline)",
}


class TensorName(NamedTuple):
    """What the name of a tensor says."""

    layer: str  # `unet.<module>` or `text_encoder.<module>`
    role: str  # lora_A, lora_B or alpha
    module: str  # the module as the file itself calls it, for patterns in the file's header


@cache
def parse_name(name: str) -> TensorName:
    """Return layer and role of a tensor of a LoRA file.

    Raises
    ------
    ValueError : not a tensor of such a LoRA; the message says what it is instead.
    """
    for pattern, what in _REFUSED.items():
        if re.search(pattern, name):
            raise ValueError(what)
    for role, ends in _ENDS.items():
        for end in ends:
            if name.endswith(end) and (found := _layer(name.removesuffix(end), end.startswith("_lora"))):
                return TensorName(found[0], role, found[1])
    raise ValueError("not the name of a Stable Diffusion 1 or 2 layer")


def _layer(stem: str, of_processor: bool) -> tuple[str, str] | None:
    """Return the layer and its module as the file calls it; None where the name does not say."""
    for component, prefix in (("unet", "lora_unet_"), ("text_encoder", "lora_te_")):
        if stem.startswith(prefix):
            module = dotted(stem.removeprefix(prefix).removeprefix("text_model_"), GRAMMARS[component])
            return (f"{component}.{module}", module) if module else None
    component, _, module = stem.partition(".")
    named = component in GRAMMARS and bool(module)
    if not named:
        # Saved from one model alone, whose modules then tell which it was.
        component, module = ("text_encoder" if re.match(r"(text_model\.)?encoder\.", stem) else "unet"), stem
    plain = module.replace(".processor.", ".")
    if component == "text_encoder":
        plain = plain.removeprefix("text_model.")
    if of_processor:
        parent, _, last = plain.rpartition(".")
        plain = f"{parent}.{_OF_PROCESSORS[component].get(last, last)}"
    return (f"{component}.{plain}", module) if named or re.fullmatch(GRAMMARS[component], plain) else None


@cache
def _words(grammar: str) -> re.Pattern:
    """Return a pattern of a grammar's words, longest first: `conv_in` before `conv`."""
    words = set(re.findall(r"(?<!\\)\b[a-z]\w*", grammar))
    return re.compile("|".join([r"\d+", *sorted(words, key=len, reverse=True)]))


def dotted(name: str, grammar: str) -> str | None:
    """Return the dotted name of a module that kohya-ss names with underscores; None where the grammar has no such."""
    words = _words(grammar).findall(name)
    module = ".".join(words)
    return module if "_".join(words) == name and re.fullmatch(grammar, module) else None


def kohya_name(layer: str) -> str | None:
    """Return kohya's name of a layer `unet.<module>` or `text_encoder.<module>`; None where it cannot be read back."""
    component, _, module = layer.partition(".")
    if component not in GRAMMARS or not re.fullmatch(GRAMMARS[component], module):
        return None
    return KOHYA[component] + module.replace(".", "_")
