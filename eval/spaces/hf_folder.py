"""A vision encoder in the hub's folder layout as a feature space: DINOv2, RAD-DINO, CLIP, and what loads like them.

Self-supervised encoders rank generators as people do (Stein et al. 2023). The folder is the user's; only safetensors
are read, no code of the folder runs, nothing is fetched. The whole picture is squeezed to the size that the folder's
preprocessor asks for: its centre crop would hide the rim of a square medical picture.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from eval.resize import RESIZE, resize
from eval.spaces.space import Pictures
from eval.spaces.weights import labelled, verified, weights_files
from eval.stats import Features

CLIP_TYPES = ("clip", "clip_vision_model")


class HfFolder:
    """The pooled output of the encoder; for CLIP the projected image embedding."""

    def __init__(self, name: str, place: Path, sha256: str, device: torch.device) -> None:
        if not place.is_dir():
            raise FileNotFoundError(f"weights of {name}: {place} is a file; give the folder that holds it")
        weights, *_ = weights_files(name, place)
        digest = verified(name, weights, sha256)
        self.net = _load(place).to(device)
        self.device = device
        self.input_px, self.mean, self.std = _preprocessing(name, place)
        self.name = labelled(name, digest)
        self.dimensions = len(self._run(torch.zeros(1, 3, self.input_px, self.input_px, device=device))[0])
        self.facts: Mapping[str, str | int] = {
            "weights": digest,
            "resize": RESIZE,
            "input_px": self.input_px,
            "dtype": "float32",
        }

    def features(self, pictures: Pictures) -> Features:
        """float32 [N, dimensions]."""
        x = resize(pictures, self.input_px).to(self.device) / 255
        mean, std = (torch.tensor(values, device=self.device)[:, None, None] for values in (self.mean, self.std))
        return cast(Features, self._run((x - mean) / std).float().cpu().numpy())

    @torch.no_grad()
    def _run(self, x: Tensor) -> Tensor:
        answer = self.net(pixel_values=x)
        for field in ("image_embeds", "pooler_output"):
            if getattr(answer, field, None) is not None:
                return cast(Tensor, getattr(answer, field))
        return cast(Tensor, answer.last_hidden_state[:, 0])  # the class token


def _load(folder: Path) -> Any:
    import transformers

    kind = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False).model_type
    model_class = transformers.CLIPVisionModelWithProjection if kind in CLIP_TYPES else transformers.AutoModel
    net = model_class.from_pretrained(folder, local_files_only=True, use_safetensors=True, dtype=torch.float32)
    return net.eval().requires_grad_(False)


def _preprocessing(name: str, folder: Path) -> tuple[int, tuple[float, ...], tuple[float, ...]]:
    """Input side in px, mean and spread of the channels in 0..1, as the folder states them."""
    stated = json.loads((folder / "preprocessor_config.json").read_bytes())
    size = stated.get("crop_size") if stated.get("do_center_crop", True) else None
    size = size or stated.get("size")
    if isinstance(size, Mapping):
        size = size.get("height") or size.get("shortest_edge")
    mean, std = stated.get("image_mean"), stated.get("image_std")
    if not (isinstance(size, int) and mean and std and len(mean) == len(std) == 3):
        raise ValueError(
            f"weights of {name}: {folder}/preprocessor_config.json states no size, image_mean and image_std"
        )
    return size, tuple(mean), tuple(std)
