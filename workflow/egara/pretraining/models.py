"""The parts of the embedded base and the folder that holds them, in the layout of Stable Diffusion.

Every part is the class that Stable Diffusion 1.5 uses, only smaller, so that a line that trains this base also trains
that one. Sizes: 64 x 64 pictures, 16 x 16 x 4 latents, attention on the two lower levels only (where it is cheap).
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

SIDE = 64  # pixels
LATENT_SIDE = 16
TEXT_WIDTH = 64
TEXT_LENGTH = 24  # tokens; the shared caption with a token takes 13
# Words that become one token each; all other text is spelt out in bytes.
WORDS = ("solo", "face", "style", "manga", "cartoon", "simple", "pixel", "voxel", "paper", "emoji", "line", "head")


def build_tokenizer() -> "CLIPTokenizer":
    """Build a byte-level CLIP tokenizer whose merges spell `WORDS`; any text has tokens, none is unknown."""
    from transformers import CLIPTokenizer

    merges, pieces = [], []
    for word in WORDS:
        symbols = [*word[:-1], f"{word[-1]}</w>"]
        joined = symbols[0]
        for symbol in symbols[1:]:
            if (pair := (joined, symbol)) not in merges:
                merges.append(pair)
            joined += symbol
            if joined not in pieces:
                pieces.append(joined)
    letters = list(_byte_letters())
    symbols = letters + [f"{letter}</w>" for letter in letters] + pieces + ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {symbol: index for index, symbol in enumerate(symbols)}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=TEXT_LENGTH)


def _byte_letters() -> list[str]:
    """Return the 256 printable letters that byte-level BPE writes bytes as (Radford et al. 2019, GPT-2)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    spare = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(spare)) for byte in range(256)]


def build_text_encoder(tokenizer: "CLIPTokenizer") -> "CLIPTextModel":
    """Build a two-layer CLIP text model for this tokenizer."""
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=TEXT_WIDTH,
            intermediate_size=2 * TEXT_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=TEXT_LENGTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def build_autoencoder() -> "AutoencoderKL":
    """Build the variational autoencoder: three levels, so one latent pixel covers 4 x 4 pixels."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(16, 32, 64),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=SIDE,
        mid_block_add_attention=False,
    )


def build_unet() -> "UNet2DConditionModel":
    """Build the denoising U-Net with cross-attention on its two lower levels."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=LATENT_SIDE,
        block_out_channels=(64, 64, 96),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        attention_head_dim=8,
        cross_attention_dim=TEXT_WIDTH,
        norm_num_groups=16,
    )


def build_scheduler() -> "DDPMScheduler":
    """Build the noise schedule of Stable Diffusion 1.5: 1,000 steps, scaled linear, the model predicts the noise."""
    from diffusers import DDPMScheduler

    return DDPMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, steps_offset=1
    )


def save_base(folder: Path, parts: dict[str, object]) -> None:
    """Write `vae`, `unet`, `text_encoder`, `tokenizer` and `scheduler` and the index that pipelines load."""
    import json

    for name, part in parts.items():
        part.save_pretrained(folder / name)
    index = {
        "_class_name": "StableDiffusionPipeline",
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", "DDPMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
