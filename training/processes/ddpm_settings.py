"""The settings of `training.processes.ddpm`, checked; standard library alone, so that a stage can check its options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Prediction = Literal["epsilon", "v", "x0"]
DIFFUSERS_NAME: dict[str, str] = {"epsilon": "epsilon", "v": "v_prediction", "x0": "sample"}


@dataclass(frozen=True, kw_only=True)
class DdpmSettings:
    """What is predicted and how noise rises; raises ValueError for settings that contradict each other."""

    prediction: Prediction = "v"
    beta_start: float = 0.00085
    beta_end: float = 0.0204
    steps: int = 1000
    zero_terminal_snr: bool = True
    min_snr_gamma: float = 0.0  # 0: every level counts alike in the units of the target

    def __post_init__(self) -> None:
        if self.prediction not in DIFFUSERS_NAME:
            raise ValueError(f"prediction: {self.prediction!r} is none of {', '.join(DIFFUSERS_NAME)}")
        if not 0 < self.beta_start <= self.beta_end < 1:
            raise ValueError(f"beta_start {self.beta_start}, beta_end {self.beta_end}: 0 < start <= end < 1 is needed")
        if self.min_snr_gamma < 0:
            raise ValueError(f"min_snr_gamma: {self.min_snr_gamma} is below 0; write 5, or 0 for none")
        if self.zero_terminal_snr and self.prediction == "epsilon":
            raise ValueError(
                "zero_terminal_snr with prediction epsilon: the last level is noise alone, and no picture can be read "
                "from a predicted noise there; write `prediction: v` or `zero_terminal_snr: false`"
            )
        if self.zero_terminal_snr and self.min_snr_gamma:
            raise ValueError(
                "zero_terminal_snr with min_snr_gamma: min-SNR gives the levels without signal the weight 0, which are "
                "the ones that zero_terminal_snr adds; keep one of the two"
            )
