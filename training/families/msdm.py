"""MSDM (Chaichuk et al. 2025): latent diffusion with a VAE of its own and cross-attention on a frozen text encoder.

Stored of a picture are mean and standard deviation of its latent distribution, so every pass over the data draws other
latents. Stored of a caption are the encoder's token embeddings. Everything is a stock `diffusers` or `transformers`
class, loaded one by one with `from_pretrained`.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from training.conditions import Condition, Field
from training.families.msdm_networks import build_unet, build_vae, seeded
from training.families.msdm_shape import MsdmShape
from training.model_folder import Model
from training.pixels import signed
from training.text_encoder import TextEncoder

# low memory use would need accelerate, and saves nothing for models that one machine holds
SAFE: dict[str, Any] = {"local_files_only": True, "use_safetensors": True, "low_cpu_mem_usage": False}


class Msdm:
    """The family for one shape. `model` holds the trained autoencoder in its folder `vae`, as diffusers lays it out.

    `text_width` (numbers a token) saves loading the text encoder where captions come encoded.
    """

    def __init__(self, shape: MsdmShape, *, model: Path, device: torch.device, text_width: int | None = None) -> None:
        self.shape = shape
        self.model = model
        self.device = device
        self.latent_shape = shape.latent_shape
        self.text_width = text_width

    @classmethod
    def opened(cls, record: Mapping[str, Any], model: Path, device: torch.device) -> Msdm:
        """The family of a published model, from its `medloom.json`."""
        return cls(MsdmShape.of(record["shape"]), model=model, device=device, text_width=record["text_width"])

    @classmethod
    def on_autoencoder(cls, shape: MsdmShape, vae: Model, device: torch.device, text_width: int | None = None) -> Msdm:
        """The family on top of a trained autoencoder; ValueError where that is of another shape."""
        record = vae.record
        if record["family"] != "msdm" or MsdmShape.of(record["shape"]).vae != shape.vae:
            raise ValueError(f"the autoencoder in {vae.folder} is of another recipe than this stage: use one for both")
        return cls(shape, model=vae.folder, device=device, text_width=text_width)

    @cached_property
    def vae(self) -> Any:
        """The frozen autoencoder."""
        from diffusers import AutoencoderKL

        vae = AutoencoderKL.from_pretrained(self.model / "vae", **SAFE)
        return vae.to(self.device).eval().requires_grad_(False)

    @cached_property
    def text(self) -> TextEncoder:
        """The frozen text encoder."""
        return TextEncoder(self.shape.text, self.device)

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        return (Field("text", (self.shape.text.max_tokens, self.text_width or self.text.width)),)

    @torch.no_grad()
    def encode_pictures(self, pixels: Tensor) -> dict[str, Tensor]:
        latents = self.vae.encode(signed(pixels.to(self.device))).latent_dist
        return {"mean": latents.mean.half(), "std": latents.std.half()}

    def encode_texts(self, texts: Sequence[str]) -> list[Condition]:
        return [{"text": embedding} for embedding in self.text.encode(texts)]

    def text_identity(self) -> dict[str, str]:
        return {"text_encoder_sha256": self.text.sha256}

    def clean_latents(self, stored: Mapping[str, Tensor], noise: Tensor) -> Tensor:
        return stored["mean"].float() + stored["std"].float() * noise

    def network(self, seed: int) -> nn.Module:
        channels, _, side = self.latent_shape
        unet = seeded(
            seed,
            lambda: build_unet(
                self.shape.unet, latent_channels=channels, latent_px=side, text_width=self.fields[0].shape[1]
            ),
        )
        return cast(nn.Module, unet.to(self.device))

    def load_network(self, model: Path) -> nn.Module:
        from diffusers import UNet2DConditionModel

        unet = UNet2DConditionModel.from_pretrained(model / "unet", **SAFE)
        return cast(nn.Module, unet.to(self.device).eval())

    def predict(self, net: nn.Module, x_t: Tensor, t: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        answer = net(
            x_t,
            t,
            encoder_hidden_states=condition["text"],
            encoder_attention_mask=condition["text_mask"],
            return_dict=False,
        )[0]
        return cast(Tensor, answer).float()

    def decode(self, x0: Tensor) -> Tensor:
        return cast(Tensor, self.vae.decode(x0, return_dict=False)[0])

    def untrained_autoencoder(self, seed: int) -> Msdm:
        untrained = copy.copy(self)  # shares the text encoder, if that is loaded
        vae = seeded(seed, lambda: build_vae(self.shape.vae, self.shape.image_px))
        untrained.vae = vae.to(self.device).eval().requires_grad_(False)
        return untrained

    def export(self, net: nn.Module, folder: Path) -> dict[str, Any]:
        cast(Any, net).save_pretrained(folder / "unet")
        shutil.copytree(self.model / "vae", folder / "vae")  # saved again it would name the place it was loaded from
        return {"text_width": self.fields[0].shape[1]}
