"""The stock `diffusers` schedulers that sampling goes through, described by the process and by nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

Method = Literal["ddim", "dpm++"]
FIELDS = (
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "prediction_type",
    "rescale_betas_zero_snr",
    "timestep_spacing",
    "clip_sample",
)


def make_scheduler(fields: Mapping[str, Any], method: Method) -> Any:
    """DDIM with eta 0 (Song et al. 2021), or second-order DPM-Solver++ (Lu et al. 2022).

    Raises ValueError for another method.
    """
    from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

    if method not in get_args(Method):
        raise ValueError(f"method: {method!r} is none of {', '.join(get_args(Method))}")
    if method == "ddim":
        return DDIMScheduler(**fields)
    return DPMSolverMultistepScheduler(**{name: value for name, value in fields.items() if name != "clip_sample"})


def save_scheduler(fields: Mapping[str, Any], folder: Path) -> None:
    """Write the configuration from which either class loads."""
    make_scheduler(fields, "ddim").save_pretrained(folder)


def load_scheduler(folder: Path, method: Method) -> Any:
    """The scheduler of an exported model; ValueError for a method that is neither `ddim` nor `dpm++`."""
    from diffusers import DDIMScheduler

    config = DDIMScheduler.load_config(folder, local_files_only=True)
    return make_scheduler({name: value for name, value in config.items() if name in FIELDS}, method)
