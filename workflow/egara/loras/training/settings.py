"""The settings of a training run: what a cell of the grid and `training:` in config decide about one LoRA."""

import math
from dataclasses import asdict, dataclass, fields

from egara.io.errors import EgaraError

SCHEDULES = ("constant", "linear", "cosine")
PRECISIONS = ("float32", "tf32", "bfloat16", "float16")
INITS = ("independent", "shared")
# What all adapters of one pack must share, because they go through the frozen model in one batch.
COMMON = ("resolution", "steps", "batch", "targets", "text_encoder", "precision")


@dataclass(frozen=True)
class Training:
    """Settings of one LoRA's training; the names are config's.

    Attributes
    ----------
    rank, alpha, init : the adapter, ΔW = alpha / rank · B A; A drawn for every set or shared by all.
    resolution : side of the pictures in pixels.
    steps, batch : optimiser steps and pictures a step.
    learning_rate, schedule, warm_up : AdamW's peak rate, its course after `warm_up` steps of linear growth.
    seed : study seed.
    targets : `attention`, `linear` or a list of module name endings.
    text_encoder : whether the text encoder's linear layers carry LoRAs too.
    weight_decay, clip : AdamW's decay and the largest gradient norm, both per adapter.
    min_snr : cap of min-SNR weighting, None for none.
    flip : draw the mirrored picture half of the time.
    resample : the filter that fits pictures to the resolution.
    precision : arithmetic of the frozen model; the adapters and their optimiser are always float32.
    """

    rank: int
    alpha: float
    init: str
    resolution: int
    steps: int
    batch: int
    learning_rate: float
    seed: int
    schedule: str = "constant"
    warm_up: int = 0
    targets: str | tuple[str, ...] = "linear"
    text_encoder: bool = False
    weight_decay: float = 0.01
    clip: float = 1.0
    min_snr: float | None = None
    flip: bool = True
    resample: str = "lanczos"
    precision: str = "float32"

    @classmethod
    def from_json(cls, settings: dict) -> "Training":
        """Build from a decoded JSON object and check ranges; an unknown or missing key is an error."""
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(settings) - known):
            raise EgaraError(
                f"training settings: unknown key {', '.join(unknown)}; expected {', '.join(sorted(known))}"
            )
        if isinstance(settings.get("targets"), list):
            settings = settings | {"targets": tuple(settings["targets"])}
        try:
            training = cls(**settings)
        except TypeError as error:
            raise EgaraError(f"training settings: {error}") from error
        for name in ("rank", "alpha", "steps", "batch", "learning_rate", "resolution", "clip", "min_snr"):
            value = getattr(training, name)
            if value is not None and not 0 < value < math.inf:
                raise EgaraError(f"training settings: {name} is {value}; expected more than 0")
        for name, allowed in (("schedule", SCHEDULES), ("precision", PRECISIONS), ("init", INITS)):
            if getattr(training, name) not in allowed:
                raise EgaraError(
                    f"training settings: {name} is {getattr(training, name)!r}; expected {', '.join(allowed)}"
                )
        if not 0 <= training.warm_up < training.steps:
            raise EgaraError(f"training settings: warm_up is {training.warm_up}; expected 0 to {training.steps - 1}")
        return training

    def as_json(self) -> dict:
        """Return a plain object that `from_json` reads."""
        return asdict(self)


def rate_at(training: Training, step: int) -> float:
    """Return the learning rate of a step, counted from 0.

    Linear growth over `warm_up` steps, then constant, or falling to zero at the last step's end, linearly or by half a
    cosine (Loshchilov & Hutter 2017, arXiv 1608.03983, eq. 5, without restarts).
    """
    if step < training.warm_up:
        return training.learning_rate * (step + 1) / training.warm_up
    done = (step - training.warm_up) / (training.steps - training.warm_up)
    share = {"constant": 1.0, "linear": 1 - done, "cosine": 0.5 * (1 + math.cos(math.pi * done))}
    return training.learning_rate * share[training.schedule]
