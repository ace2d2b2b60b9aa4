"""The weights of a vision-language model, all of them, from safetensors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError

from shards.stage import UserError


def load_weights(folder: Path, dtype: torch.dtype, *, trust_remote_code: bool) -> Any:
    """The model with all of its weights; transformers would draw missing ones at random and only warn."""
    with _quiet():
        try:
            model, told = transformers.AutoModelForImageTextToText.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=trust_remote_code,
                dtype=dtype,
                output_loading_info=True,
            )
        except ImportError as error:
            raise UserError(f"model: {folder} needs a package that is not installed: {error}") from error
        except (OSError, SafetensorError) as error:
            raise UserError(f"model: the weights in {folder} are not whole ({error}): download them again") from error
        except ValueError as error:
            raise UserError(f"model: {folder} is none that AutoModelForImageTextToText loads: {error}") from error
    missing = sorted({*told["missing_keys"], *(str(key[0]) for key in told["mismatched_keys"])})
    if missing:
        raise UserError(f"model: {folder} lacks {len(missing)} weights, such as {missing[0]}: its files are not whole")
    return model


def dtype_of(asked: str, device: torch.device) -> torch.dtype:
    """What the weights are computed with: `auto` is bfloat16 on a GPU, which has units for it, else float32."""
    if asked == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    found: torch.dtype = getattr(torch, asked)
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Loading draws a bar, into log files too."""
    logging_of = transformers.utils.logging
    shown = logging_of.is_progress_bar_enabled()
    logging_of.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging_of.enable_progress_bar()
