"""The sizes of the MSDM family's two networks, in the terms of their paper's code; standard library alone.

MSDM (Chaichuk et al. 2025, "Prompt to Polyp") has a VAE with 8 latent channels at an eighth of the picture's sides and
a U-Net with cross-attention on text at every level. Its text is also pooled into the time embedding, which is off here:
the pooling of stock diffusers takes no mask, so the same caption would mean something else with more padding behind it.
The same fields describe Stable Diffusion's networks, which is how the builder is checked against published counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from training.text_source import TextSource


@dataclass(frozen=True, kw_only=True)
class VaeShape:
    """An autoencoder; each level after the first halves the sides."""

    channels: tuple[int, ...]
    latent_channels: int = 8
    layers: int = 2  # residual blocks a level
    groups: int = 8  # of group normalisation
    mid_attention: bool = False

    @property
    def reduction(self) -> int:
        """Side of a picture over side of its latents."""
        return int(2 ** (len(self.channels) - 1))


@dataclass(frozen=True, kw_only=True)
class UnetShape:
    """A denoiser; one entry a level in `channels`, `attention` and `heads`."""

    channels: tuple[int, ...]
    attention: tuple[bool, ...]  # self- and cross-attention at this level?
    heads: tuple[int, ...]
    context: int  # width of the text inside the network
    layers: int = 2
    groups: int = 32
    project_text: bool = True  # one linear layer from the encoder's width to `context`
    pool_text: bool = False  # attention-pooled text added to the time embedding; padding is pooled too
    linear_projection: bool = False  # around attention, instead of 1x1 convolutions
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if not len(self.channels) == len(self.attention) == len(self.heads):
            raise ValueError("a U-Net shape needs as many entries in attention and heads as in channels")


@dataclass(frozen=True, kw_only=True)
class MsdmShape:
    """The whole model."""

    image_px: int  # side of the square pictures
    vae: VaeShape
    unet: UnetShape
    text: TextSource

    def __post_init__(self) -> None:
        if self.image_px % self.vae.reduction:
            raise ValueError(f"image_px: {self.image_px} must be a multiple of {self.vae.reduction}")

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """[C, h, w] of one picture's latents."""
        side = self.image_px // self.vae.reduction
        return self.vae.latent_channels, side, side

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> MsdmShape:
        """The shape that `dataclasses.asdict` made into plain values, as `medloom.json` keeps it."""
        return cls(
            image_px=record["image_px"],
            vae=_made(VaeShape, record["vae"]),
            unet=_made(UnetShape, record["unet"]),
            text=_made(TextSource, record["text"]),
        )


T = TypeVar("T")


def _made(cls: type[T], record: Mapping[str, Any]) -> T:
    known = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in record.items()}
    return cls(**{name: value for name, value in values.items() if name in known})
