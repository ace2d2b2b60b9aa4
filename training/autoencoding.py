"""Training an autoencoder: reconstruct pictures through a small Gaussian latent (Kingma and Welling 2014).

The terms are those of MSDM's predecessor without LPIPS, whose VGG weights no package ships: squared error, 1 - SSIM, a
slight KL; plus L1 and the L1 of finite differences, which keep edges sharp at small sizes in LPIPS's place. When done,
mean and scale of the latents over training pictures are folded into the published VAE (`msdm_networks.standardise`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from training.batches import PictureBatch
from training.families.msdm_networks import build_vae, seeded, standardise
from training.families.msdm_shape import MsdmShape
from training.noise import normal
from training.pixels import signed, unsigned
from training.recipes import VaeLoss
from training.ssim import ssim
from training.task import Preview
from training.terms import Term, mean_of, measure

SHOWN = 8


@dataclass(frozen=True)
class Reconstruction:
    """One step: pictures [B, 3, H, W] in -1..1, what came back, and the latent Gaussians [B, C, h, w]."""

    pictures: Tensor
    decoded: Tensor
    mean: Tensor
    logvar: Tensor


class Reconstruct(nn.Module):
    """Encode, draw, decode as one call, for the loop trains one network; answers in float32."""

    def __init__(self, vae: nn.Module) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, pictures: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Decoded pictures, means, log-variances; zero noise decodes the means."""
        vae = cast(Any, self.vae)
        latents = vae.encode(pictures).latent_dist
        decoded = vae.decode(latents.mean + latents.std * noise, return_dict=False)[0]
        return decoded.float(), latents.mean.float(), latents.logvar.float()


def l1(step: Reconstruction) -> Tensor:
    """Mean absolute error."""
    return mean_of((step.decoded - step.pictures).abs())


def gradient(step: Reconstruction) -> Tensor:
    """Mean absolute error of the differences between neighbouring pixels, across and down."""
    error = step.decoded - step.pictures
    return mean_of(error.diff(dim=2).abs()) + mean_of(error.diff(dim=3).abs())


def mse(step: Reconstruction) -> Tensor:
    """Mean squared error."""
    return mean_of((step.decoded - step.pictures) ** 2)


def dissimilarity(step: Reconstruction) -> Tensor:
    """1 - SSIM."""
    return 1 - ssim(step.decoded, step.pictures, data_range=2.0)


def kl(step: Reconstruction) -> Tensor:
    """KL divergence of the latent Gaussian from the standard one, in nats per number, so that sizes compare."""
    return mean_of(step.mean**2 + step.logvar.exp() - 1 - step.logvar) / 2


MEASURES: dict[str, Callable[[Reconstruction], Tensor]] = {
    "l1": l1,
    "gradient": gradient,
    "mse": mse,
    "ssim": dissimilarity,
    "kl": kl,
}


class Autoencoding:
    """The task of training the VAE of `shape`. `pictures` gives training pictures to measure the latents on."""

    def __init__(
        self,
        shape: MsdmShape,
        loss: VaeLoss,
        *,
        seed: int,
        device: torch.device,
        pictures: Callable[[], Iterable[PictureBatch]],
    ) -> None:
        self.shape = shape
        self.terms = [Term(name=name, weight=weight, measure=MEASURES[name]) for name, weight in asdict(loss).items()]
        self.seed = seed
        self.device = device
        self.pictures = pictures
        self.net: nn.Module = Reconstruct(seeded(seed, lambda: build_vae(shape.vae, shape.image_px)))

    def losses(self, net: nn.Module, batch: PictureBatch, step: range) -> dict[str, Tensor]:
        noise = normal(self.seed, batch.positions, self.shape.latent_shape, "vae noise")
        return measure(self.terms, self._seen(net, batch, noise), step)

    def held_out(self, net: nn.Module, batch: PictureBatch) -> Tensor:
        seen = self._seen(net, batch, torch.zeros(len(batch.positions), *self.shape.latent_shape))
        return torch.stack(list(measure(self.terms, seen, range(1)).values())).sum(dim=0)

    def preview(self, net: nn.Module, batch: PictureBatch) -> Preview:
        seen = self._seen(net, batch, torch.zeros(len(batch.positions), *self.shape.latent_shape))
        rows = [np.hstack([*unsigned(pictures[:SHOWN]).cpu().numpy()]) for pictures in (seen.pictures, seen.decoded)]
        return Preview(np.vstack(rows), "held-out pictures above, their reconstructions below")

    def export(self, net: nn.Module, folder: Path) -> dict[str, Any]:
        vae = copy.deepcopy(cast(Reconstruct, net).vae)
        mean, std = self.latent_statistics(vae)
        standardise(vae, mean, std)
        cast(Any, vae).save_pretrained(folder / "vae")
        return {"latents": {"mean": mean.tolist(), "std": std.tolist(), "folded_into": "vae"}}

    @torch.no_grad()
    def latent_statistics(self, vae: nn.Module) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation [C], float64, of the latents of `pictures`."""
        count, total, squares = 0, 0.0, 0.0
        for batch in self.pictures():
            latents = cast(Any, vae).encode(signed(batch.pixels.to(self.device))).latent_dist
            mean, var = latents.mean.double(), latents.var.double()
            count += mean.numel() // mean.shape[1]
            total = total + mean.sum(dim=(0, 2, 3))
            # of a drawn latent: E[z^2] = mean^2 + variance
            squares = squares + (mean**2 + var).sum(dim=(0, 2, 3))
        average = cast(Tensor, total / count)
        return average.cpu(), (squares / count - average**2).sqrt().cpu()

    def _seen(self, net: nn.Module, batch: PictureBatch, noise: Tensor) -> Reconstruction:
        pictures = signed(batch.pixels.to(self.device))
        decoded, mean, logvar = net(pictures, noise.to(self.device))
        return Reconstruction(pictures, decoded, mean, logvar)
