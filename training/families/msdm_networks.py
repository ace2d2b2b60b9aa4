"""Builds the stock `diffusers` networks of an MSDM shape, and makes a VAE's latents standard by construction.

No class of our own holds weights, so everything that is published opens in stock diffusers. Mean and scale of the
latents are folded into the VAE's 1x1 convolutions around them: scaling_factor is 1, and `vae.decode(latents)` is right
in every program, per channel, where a scalar factor would only be right on average.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from training.families.msdm_shape import UnetShape, VaeShape


def seeded(seed: int, build: Callable[[], nn.Module]) -> Any:
    """What `build` gives with weights drawn from `seed`; the global generator is left as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()


def build_vae(shape: VaeShape, image_px: int) -> Any:
    """An `AutoencoderKL` with fresh weights."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(shape.channels),
        up_block_types=("UpDecoderBlock2D",) * len(shape.channels),
        block_out_channels=shape.channels,
        layers_per_block=shape.layers,
        latent_channels=shape.latent_channels,
        norm_num_groups=shape.groups,
        mid_block_add_attention=shape.mid_attention,
        sample_size=image_px,
        scaling_factor=1.0,
        force_upcast=False,
    )


def build_unet(shape: UnetShape, *, latent_channels: int, latent_px: int, text_width: int) -> Any:
    """A `UNet2DConditionModel` with fresh weights for text embeddings of `text_width` numbers a token."""
    from diffusers import UNet2DConditionModel

    if not shape.project_text and shape.context != text_width:
        raise ValueError(f"the U-Net takes text of {shape.context} numbers a token and the encoder gives {text_width}")
    return UNet2DConditionModel(
        sample_size=latent_px,
        in_channels=latent_channels,
        out_channels=latent_channels,
        down_block_types=tuple("CrossAttnDownBlock2D" if used else "DownBlock2D" for used in shape.attention),
        up_block_types=tuple("CrossAttnUpBlock2D" if used else "UpBlock2D" for used in reversed(shape.attention)),
        block_out_channels=shape.channels,
        layers_per_block=shape.layers,
        norm_num_groups=shape.groups,
        cross_attention_dim=shape.context,
        # diffusers calls the number of heads `attention_head_dim` in this class
        attention_head_dim=shape.heads,
        encoder_hid_dim=text_width if shape.project_text else None,
        encoder_hid_dim_type="text_proj" if shape.project_text else None,
        addition_embed_type="text" if shape.pool_text else None,
        addition_embed_type_num_heads=shape.heads[-1],
        use_linear_projection=shape.linear_projection,
        dropout=shape.dropout,
    )


@torch.no_grad()
def standardise(vae: Any, mean: Tensor, std: Tensor) -> None:
    """Change the VAE so that latents z become (z - mean) / std, with `mean` and `std` [C], and decode the same.

    `quant_conv` gives means and log-variances: the first shift and scale, the second shift by -2 log std.
    """
    channels = len(mean)
    mean, std = mean.to(vae.quant_conv.weight), std.to(vae.quant_conv.weight)
    vae.quant_conv.weight[:channels] /= std[:, None, None, None]
    vae.quant_conv.bias[:channels] = (vae.quant_conv.bias[:channels] - mean) / std
    vae.quant_conv.bias[channels:] -= 2 * std.log()
    # post_quant_conv(z * std + mean) as one convolution
    weight = vae.post_quant_conv.weight
    vae.post_quant_conv.bias += weight[:, :, 0, 0] @ mean
    vae.post_quant_conv.weight *= std[None, :, None, None]
