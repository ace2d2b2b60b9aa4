"""The Inception network of FID: the one space in which a Fréchet distance may be called FID.

Szegedy et al. 2015 (arXiv 1512.00567) as Google released it on 2015-12-05 and Heusel et al. 2017 used it; parameter
names are those of the file `pt_inception-2015-12-05-6726825d.pth`, which the user brings. It differs from torchvision's
network: average pools leave padding out, the last block pools by maximum, and there are 1008 classes and no auxiliary
head. Resizing is antialiased, so values are those of "clean" FID and not of tools that resize without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d

from eval.resize import RESIZE, resize
from eval.spaces.space import Pictures
from eval.spaces.weights import labelled, state_dict
from eval.stats import Features

INPUT_PX = 299
WIDTH = 2048
CLASSES = 1008
Shape = int | tuple[int, int]


class Conv(nn.Module):
    """Convolution, batch normalisation with epsilon 0.001, ReLU."""

    def __init__(self, given: int, made: int, kernel_px: Shape, stride: int = 1, padding: Shape = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(given, made, kernel_px, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(made, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """[B, given, H, W] to [B, made, H', W']."""
        return torch.relu_(self.bn(self.conv(x)))


def _average(x: Tensor) -> Tensor:
    return avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class BlockA(nn.Module):
    """35 x 35: 1x1, 5x5, double 3x3, pool."""

    def __init__(self, given: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = Conv(given, 64, 1)
        self.branch5x5_1 = Conv(given, 48, 1)
        self.branch5x5_2 = Conv(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = Conv(given, 64, 1)
        self.branch3x3dbl_2 = Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Conv(96, 96, 3, padding=1)
        self.branch_pool = Conv(given, pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Channels of the four branches side by side."""
        five = self.branch5x5_2(self.branch5x5_1(x))
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), five, double, self.branch_pool(_average(x))], dim=1)


class BlockB(nn.Module):
    """35 x 35 to 17 x 17."""

    def __init__(self, given: int) -> None:
        super().__init__()
        self.branch3x3 = Conv(given, 384, 3, stride=2)
        self.branch3x3dbl_1 = Conv(given, 64, 1)
        self.branch3x3dbl_2 = Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Conv(96, 96, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Channels of the three branches side by side."""
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, max_pool2d(x, 3, stride=2)], dim=1)


class BlockC(nn.Module):
    """17 x 17: filters of 1x7 and 7x1."""

    def __init__(self, given: int, inner: int) -> None:
        super().__init__()
        across: tuple[Shape, Shape] = ((1, 7), (0, 3))
        down: tuple[Shape, Shape] = ((7, 1), (3, 0))
        self.branch1x1 = Conv(given, 192, 1)
        self.branch7x7_1 = Conv(given, inner, 1)
        self.branch7x7_2 = Conv(inner, inner, across[0], padding=across[1])
        self.branch7x7_3 = Conv(inner, 192, down[0], padding=down[1])
        self.branch7x7dbl_1 = Conv(given, inner, 1)
        self.branch7x7dbl_2 = Conv(inner, inner, down[0], padding=down[1])
        self.branch7x7dbl_3 = Conv(inner, inner, across[0], padding=across[1])
        self.branch7x7dbl_4 = Conv(inner, inner, down[0], padding=down[1])
        self.branch7x7dbl_5 = Conv(inner, 192, across[0], padding=across[1])
        self.branch_pool = Conv(given, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Channels of the four branches side by side."""
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), seven, double, self.branch_pool(_average(x))], dim=1)


class BlockD(nn.Module):
    """17 x 17 to 8 x 8."""

    def __init__(self, given: int) -> None:
        super().__init__()
        self.branch3x3_1 = Conv(given, 192, 1)
        self.branch3x3_2 = Conv(192, 320, 3, stride=2)
        self.branch7x7x3_1 = Conv(given, 192, 1)
        self.branch7x7x3_2 = Conv(192, 192, (1, 7), padding=(0, 3))
        self.branch7x7x3_3 = Conv(192, 192, (7, 1), padding=(3, 0))
        self.branch7x7x3_4 = Conv(192, 192, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Channels of the three branches side by side."""
        seven = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), seven, max_pool2d(x, 3, stride=2)], dim=1)


class BlockE(nn.Module):
    """8 x 8: branches that part again. `pool_by_maximum` is the oddity of the released network's last block."""

    def __init__(self, given: int, *, pool_by_maximum: bool) -> None:
        super().__init__()
        self.pool_by_maximum = pool_by_maximum
        self.branch1x1 = Conv(given, 320, 1)
        self.branch3x3_1 = Conv(given, 384, 1)
        self.branch3x3_2a = Conv(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3_2b = Conv(384, 384, (3, 1), padding=(1, 0))
        self.branch3x3dbl_1 = Conv(given, 448, 1)
        self.branch3x3dbl_2 = Conv(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = Conv(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = Conv(384, 384, (3, 1), padding=(1, 0))
        self.branch_pool = Conv(given, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Channels of all ends side by side."""
        three = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = max_pool2d(x, 3, stride=1, padding=1) if self.pool_by_maximum else _average(x)
        ends = [
            self.branch1x1(x),
            self.branch3x3_2a(three),
            self.branch3x3_2b(three),
            self.branch3x3dbl_3a(double),
            self.branch3x3dbl_3b(double),
            self.branch_pool(pooled),
        ]
        return torch.cat(ends, dim=1)


class InceptionV3(nn.Module):
    """The whole network up to its pooled features; `fc` is there only so that the state dict loads strictly."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Conv(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Conv(32, 32, 3)
        self.Conv2d_2b_3x3 = Conv(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = Conv(80, 192, 3)
        self.Mixed_5b = BlockA(192, 32)
        self.Mixed_5c = BlockA(256, 64)
        self.Mixed_5d = BlockA(288, 64)
        self.Mixed_6a = BlockB(288)
        self.Mixed_6b = BlockC(768, 128)
        self.Mixed_6c = BlockC(768, 160)
        self.Mixed_6d = BlockC(768, 160)
        self.Mixed_6e = BlockC(768, 192)
        self.Mixed_7a = BlockD(768)
        self.Mixed_7b = BlockE(1280, pool_by_maximum=False)
        self.Mixed_7c = BlockE(2048, pool_by_maximum=True)
        self.fc = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Pictures [B, 3, 299, 299] in -1..1 to pooled features [B, 2048]."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(max_pool2d(x, 3, stride=2)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(max_pool2d(x, 3, stride=2))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        return cast(Tensor, self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))).mean(dim=(2, 3))


class Inception:
    """The space of the FID weights."""

    dimensions = WIDTH

    def __init__(self, name: str, place: Path, sha256: str, device: torch.device) -> None:
        values, digest = state_dict(name, place, sha256)
        with torch.device("meta"):
            net = InceptionV3()
        net.load_state_dict(values, strict=True, assign=True)
        self.net = net.eval().requires_grad_(False).to(device)
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
        """float32 [N, 2048]."""
        # the released graph subtracts 128 and multiplies by 1/128
        x = (resize(pictures, INPUT_PX).to(self.device) - 128) / 128
        return cast(Features, self.net(x).float().cpu().numpy())
