"""What a model family is: which pictures and texts it takes, how they become latents, and what its network answers.

A family is one of three independent axes (family, process, terms), and the only one that knows a model's layout. What
is frozen (encoders) is kept apart from what is trained, so that `encode` runs in the encode stage or inside training
by one and the same code. Adding one is a file in `training/families/`, a row in its table, and a test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from training.conditions import Condition, Field


class Family(Protocol):
    """One family, set up for one recipe and one device. Frozen parts are loaded when they are first used.

    Its class makes it from a shape and a trained autoencoder (`on_autoencoder`), or from a published model (`opened`).
    """

    latent_shape: tuple[int, ...]  # of one sample

    @property
    def fields(self) -> tuple[Field, ...]:
        """The tensors of its conditioning."""
        ...

    def encode_pictures(self, pixels: Tensor) -> dict[str, Tensor]:
        """uint8 [B, H, W, 3] in 0..255 to what is stored of them: name -> [B, ...], float16."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> list[Condition]:
        """One condition for each text, unpadded; the empty text gives the condition of a dropped caption."""
        ...

    def text_identity(self) -> dict[str, str]:
        """What says which text encoder was used: the SHA-256 of its weights."""
        ...

    def clean_latents(self, stored: Mapping[str, Tensor], noise: Tensor) -> Tensor:
        """x0 [B, *latent_shape], float32, from what `encode_pictures` gave; `noise` draws from it."""
        ...

    def network(self, seed: int) -> nn.Module:
        """A fresh network whose weights depend on the seed alone."""
        ...

    def load_network(self, model: Path) -> nn.Module:
        """The trained network of an exported model."""
        ...

    def predict(self, net: nn.Module, x_t: Tensor, t: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        """The network's answer [B, *latent_shape] for noised latents and a collated `condition`."""
        ...

    def decode(self, x0: Tensor) -> Tensor:
        """Latents to pictures [B, 3, H, W] in about -1..1; gradients pass through."""
        ...

    def untrained_autoencoder(self, seed: int) -> Family:
        """The same family around an autoencoder that has learnt nothing, its weights drawn from the seed."""
        ...

    def export(self, net: nn.Module, folder: Path) -> dict[str, Any]:
        """Write what stock `diffusers` loads below `folder`; returns what describes it in `medloom.json`."""
        ...
