"""How long and how fast to train: everything the loop is told, counted in samples.

Nothing is counted in steps or epochs, so a run on another number of ranks, with another micro-batch or after a restart
follows the same curves (the idea of EDM2's training loop, Karras et al. 2024). Standard library alone: recipes and
stages hold these.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Decay = Literal["constant", "linear", "cosine"]
Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True, kw_only=True)
class LoopSettings:
    """Settings that decide the result, then those that only decide how it is reached."""

    samples: int  # in all
    batch: int  # of all ranks together, per optimiser step
    lr: float
    warmup_samples: int = 0  # the rate rises linearly over the first of these
    decay: Decay = "constant"  # of the rate after warm-up; linear and cosine end at 0
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    clip_norm: float = 1.0  # of the gradient of all weights together
    ema_halflife_samples: float = 0.0  # after so many samples a weight counts half in the average; 0: no averaging
    precision: Precision = "fp32"
    seed: int = 0

    validate_every_samples: int = 0  # 0: at the end only
    held_out_samples: int = 64  # at most so many of the split `val`
    log_every_samples: int = 0  # 0: every step
    checkpoint_every_samples: int = 0  # 0: at the end and when interrupted only
    keep_checkpoints: int = 2  # the newest ones; a second one is there in case the newest is damaged

    def __post_init__(self) -> None:
        positive = {"samples": self.samples, "batch": self.batch, "lr": self.lr, "clip_norm": self.clip_norm}
        for name, value in positive.items():
            if not value > 0:
                raise ValueError(f"{name}: {value} must be above 0")
        if self.samples < self.batch:
            raise ValueError(f"samples: {self.samples} is less than one batch of {self.batch}; train for more samples")
        if self.decay not in get_args(Decay) or self.precision not in get_args(Precision):
            raise ValueError(f"decay: {self.decay!r}, precision: {self.precision!r}: one of them is not known")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas: {list(self.betas)} must be two numbers from 0 to below 1, such as [0.9, 0.999]")
        if self.held_out_samples < 0:
            raise ValueError("held_out_samples: 0 looks at none, a negative number means nothing")
        if self.keep_checkpoints < 1:
            raise ValueError("keep_checkpoints: at least 1 is needed to resume")

    def result(self) -> dict[str, Any]:
        """The settings that decide the result: a checkpoint made with others is not continued."""
        return {name: value for name, value in asdict(self).items() if name not in LOOKING}


LOOKING = (
    "validate_every_samples",
    "held_out_samples",
    "log_every_samples",
    "checkpoint_every_samples",
    "keep_checkpoints",
)


def learning_rate(settings: LoopSettings, samples_seen: int) -> float:
    """The rate of the step that starts at `samples_seen`: linear warm-up, then constant, linear or cosine decay."""
    warm = min(1.0, (samples_seen + settings.batch) / settings.warmup_samples) if settings.warmup_samples else 1.0
    left = max(settings.samples - settings.warmup_samples, 1)
    done = min(max(samples_seen - settings.warmup_samples, 0) / left, 1.0)
    shape = {"constant": 1.0, "linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2}[settings.decay]
    return settings.lr * warm * shape


def ema_decay(settings: LoopSettings, samples_seen: int) -> float:
    """Weight of the old average in the step that ends at `samples_seen`, in [0, 1).

    The half-life is at most a twentieth of what has been seen, so the first random weights are soon forgotten.
    """
    halflife_samples = min(settings.ema_halflife_samples, samples_seen / 20)
    return 0.5 ** (settings.batch / halflife_samples) if halflife_samples else 0.0
