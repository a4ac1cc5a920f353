"""Settings of training: the grid of cells, what all cells share, and the machine."""

from dataclasses import dataclass
from typing import Literal

from egara.settings.rules import setting

Init = Literal["independent", "shared"]
Token = Literal["author", "work", "none"]
Precision = Literal["no", "fp16", "bf16"]
Interpolation = Literal["lanczos", "bicubic", "bilinear", "box"]
Device = Literal["auto", "cpu", "cuda", "mps"]


@dataclass(frozen=True)
class Grid:
    """The training grid: every combination of these values is a cell, and one LoRA is trained per set and cell."""

    rank: tuple[int, ...] = setting("LoRA ranks.", (8, 32), minimum=1, maximum=1024, minItems=1)
    alpha: Literal["rank"] | tuple[float, ...] = setting(
        "LoRA alphas; rank means alpha = rank in every cell, as in the papers.",
        "rank", exclusiveMinimum=0, minItems=1,
    )  # fmt: skip
    resolution: tuple[int, ...] = setting(
        "Side of the training images, in pixels; the crop's short side is resized to it, and the centre is kept.",
        (512,), minimum=8, maximum=2048, multipleOf=8, minItems=1,
    )  # fmt: skip
    init: tuple[Init, ...] = setting(
        "Whether lora_A is drawn for each set (independent) or once for all (shared).", ("independent",), minItems=1
    )
    token: tuple[Token, ...] = setting(
        "Whose token the caption carries; the papers use one token per author.", ("author",), minItems=1
    )


@dataclass(frozen=True)
class Training:
    """Training of every LoRA; names and values are those of diffusers and PEFT."""

    image_interpolation_mode: Interpolation = setting(
        "Filter that resizes the crops. lanczos keeps strokes sharpest but rings faintly along them, bilinear and box "
        "never ring; the log of a work's latents says how many crops were enlarged.",
        "lanczos",
    )
    max_train_steps: int = setting("Optimiser steps per LoRA.", 500, minimum=1)
    train_batch_size: int = setting("Images per step.", 4, minimum=1)
    learning_rate: float = setting("AdamW's peak learning rate.", 0.0001, exclusiveMinimum=0, maximum=1)
    lr_scheduler: Literal["constant", "linear", "cosine"] = setting(
        "Learning rate after the warm-up: constant, or falling to zero at the last step.", "constant"
    )
    lr_warmup_steps: int = setting("Steps in which the learning rate rises to its peak.", 0, minimum=0)
    adam_weight_decay: float = setting("AdamW's weight decay.", 0.01, minimum=0, maximum=1)
    max_grad_norm: float = setting("Largest gradient norm of a LoRA.", 1.0, exclusiveMinimum=0)
    snr_gamma: float | None = setting(
        "Gamma of min-SNR loss weighting (5 is common), or null for none.", None, exclusiveMinimum=0
    )
    random_flip: bool = setting("Mirror half of the images.", True)
    target_modules: Literal["attention", "linear"] | tuple[str, ...] = setting(
        "Layers with a LoRA: attention, linear (attention and feed-forward), or a list of endings of module names.",
        "linear", minLength=1, minItems=1, uniqueItems=False,
    )  # fmt: skip
    train_text_encoder: bool = setting("Whether the text encoder's linear layers get LoRAs too.", False)
    mixed_precision: Precision = setting(
        "Precision of the frozen base; LoRAs and optimiser are always float32. fp16 is not for a CPU.", "no"
    )
    allow_tf32: bool = setting("Whether float32 matrix products may use TF32 on NVIDIA GPUs.", False)


@dataclass(frozen=True)
class Machine:
    """The machine; these settings change time and memory only."""

    device: Device = setting("Device for training and sampling.", "auto")
    pack: Literal["auto"] | int = setting(
        "LoRAs trained at once, or auto for as many as fit in free memory.", "auto", minimum=1
    )
    checkpoint_minutes: int = setting("Minutes between two checkpoints of a pack.", 10, minimum=1)
    gradient_checkpointing: Literal["auto", True, False] = setting(
        "Compute activations twice instead of keeping them: larger packs in the same memory, a third slower. auto does "
        "so where fewer than sixteen images would fit at once.",
        "auto",
    )
    compile: bool = setting(
        "Compile the U-Net with torch.compile; takes minutes and a C++ compiler, for long trainings on a GPU.", False
    )
