"""The settings of a training run: what a cell of the grid and `training:` in config decide about one LoRA."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from egara import settings as tree
from egara.io.errors import EgaraError
from egara.settings.checking import check_value
from egara.settings.rules import rule_of

# What all adapters of one pack must share, because they go through the frozen model in one batch.
COMMON = (
    "resolution", "max_train_steps", "train_batch_size", "target_modules", "train_text_encoder", "mixed_precision",
    "allow_tf32",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Training(tree.Training):
    """Settings of one LoRA's training: those of `training:` in config, and these.

    Attributes
    ----------
    rank, alpha, init : the adapter, ΔW = alpha / rank · B A; A drawn for each set or shared by all.
    resolution : side of the images in pixels.
    seed : study seed.
    """

    rank: int
    alpha: float
    init: tree.Init
    resolution: int
    seed: int

    @classmethod
    def from_json(cls, settings: dict) -> "Training":
        """Build from a decoded JSON object and check ranges; an unknown or missing key is an error."""
        known = {one.name for one in fields(cls)}
        if unknown := sorted(set(settings) - known):
            raise EgaraError(
                f"training settings: unknown key {', '.join(unknown)}; expected {', '.join(sorted(known))}"
            )
        if missing := sorted(set(cls.__annotations__) - set(settings)):
            raise EgaraError(f"training settings: {', '.join(missing)} is missing")
        for name, value in settings.items():
            check_value(value, _rule(name), f"training settings: {name}")
        training = cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()})
        if training.lr_warmup_steps >= training.max_train_steps:
            raise EgaraError(
                f"training settings: lr_warmup_steps is {training.lr_warmup_steps}; "
                f"expected 0 to {training.max_train_steps - 1}"
            )
        return training

    def as_json(self) -> dict:
        """Return a plain object that `from_json` reads."""
        return asdict(self)


def _rule(name: str) -> Mapping[str, Any]:
    if name == "seed":
        return rule_of(tree.Settings, name)
    return rule_of(tree.Grid, name, item=True) if name in Training.__annotations__ else rule_of(tree.Training, name)


def rate_at(training: Training, step: int) -> float:
    """Return the learning rate of a step, counted from 0.

    Linear growth over `lr_warmup_steps`, then constant, or falling to zero at the last step's end, linearly or by half
    a cosine (Loshchilov & Hutter 2017, arXiv 1608.03983, eq. 5, without restarts).
    """
    if step < training.lr_warmup_steps:
        return training.learning_rate * (step + 1) / training.lr_warmup_steps
    done = (step - training.lr_warmup_steps) / (training.max_train_steps - training.lr_warmup_steps)
    share = {"constant": 1.0, "linear": 1 - done, "cosine": 0.5 * (1 + math.cos(math.pi * done))}
    return training.learning_rate * share[training.lr_scheduler]
