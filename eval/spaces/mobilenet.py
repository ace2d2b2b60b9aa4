"""MobileNetV2 of ImageNet as a feature space: small, public weights, the features before the classifier.

The network is Sandler et al. 2018, table 2, with torchvision's parameter names, so that its published state dict loads
strictly; torchvision itself is not needed. ImageNet spaces other than Inception agree with radiologists at least as
well (Woodland et al. 2023), but numbers in it compare with numbers in it alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from eval.resize import RESIZE, resize
from eval.spaces.space import Pictures
from eval.spaces.weights import labelled, state_dict
from eval.stats import Features

INPUT_PX = 224
MEAN = (0.485, 0.456, 0.406)  # of ImageNet, in 0..1
STD = (0.229, 0.224, 0.225)
STAGES = (  # expansion, channels, blocks, first stride
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
WIDTH = 1280


def _conv(given: int, made: int, kernel_px: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(given, made, kernel_px, stride, kernel_px // 2, groups=groups, bias=False),
        nn.BatchNorm2d(made),
        nn.ReLU6(inplace=True),
    )


class Block(nn.Module):
    """Expand, filter each channel, project; with a shortcut where the shape stays."""

    def __init__(self, given: int, made: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = given * expansion
        expand = [] if expansion == 1 else [_conv(given, inner, 1)]
        project = [nn.Conv2d(inner, made, 1, bias=False), nn.BatchNorm2d(made)]
        self.conv = nn.Sequential(*expand, _conv(inner, inner, 3, stride, groups=inner), *project)
        self.shortcut = stride == 1 and given == made

    def forward(self, x: Tensor) -> Tensor:
        """[B, given, H, W] to [B, made, H / stride, W / stride]."""
        made = cast(Tensor, self.conv(x))
        return x + made if self.shortcut else made


class MobileNetV2(nn.Module):
    """The network up to its pooled features; the classifier is there only so that the state dict loads strictly."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv(3, 32, 3, stride=2)]
        given = 32
        for expansion, made, blocks, first_stride in STAGES:
            for number in range(blocks):
                layers.append(Block(given, made, first_stride if number == 0 else 1, expansion))
                given = made
        layers.append(_conv(given, WIDTH, 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(WIDTH, 1000))

    def forward(self, x: Tensor) -> Tensor:
        """Normalised pictures [B, 3, 224, 224] to pooled features [B, 1280]."""
        return cast(Tensor, self.features(x)).mean(dim=(2, 3))


def fold(net: nn.Module) -> None:
    """Multiply every normalisation into the convolution before it: the same function, a third faster on a CPU."""
    for part in net.modules():
        layers = list(part.named_children()) if isinstance(part, nn.Sequential) else []
        for (name, layer), (following, norm) in pairwise(layers):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(part, name, fuse_conv_bn_eval(layer, norm))
                setattr(part, following, nn.Identity())


class MobileNet:
    """The space of one weight file."""

    dimensions = WIDTH

    def __init__(self, name: str, place: Path, sha256: str, device: torch.device) -> None:
        values, digest = state_dict(name, place, sha256)
        net = MobileNetV2()
        net.load_state_dict(values, strict=True)
        fold(net.eval().requires_grad_(False))
        self.net = net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # its stub lacks it
        self.device = device
        self.name = labelled(name, digest)
        self.facts: Mapping[str, str | int] = {
            "weights": digest,
            "resize": RESIZE,
            "input_px": INPUT_PX,
            "dtype": "float32",
        }

    @torch.no_grad()
    def features(self, pictures: Pictures) -> Features:
        """float32 [N, 1280]."""
        x = resize(pictures, INPUT_PX).to(self.device) / 255
        mean, std = (torch.tensor(values, device=self.device)[:, None, None] for values in (MEAN, STD))
        x = ((x - mean) / std).contiguous(memory_format=torch.channels_last)
        return cast(Features, self.net(x).float().cpu().numpy())
