"""A small classifier as a witness: trained on real pictures, it says what generated ones show.

Distances do not see whether a picture shows what its caption asked for; this does. It learns an attribute (the plane
of a slice, the modality) on the training split, whose groups are not in the test split, and its accuracy on held-out
real pictures is the most that can be asked of generated ones. Training has a fixed length and no model is chosen, so
held-out pictures never steer it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eval.describe import Described
from eval.memorise import share
from eval.record import Probe
from eval.spaces.space import Pictures

STEPS = 300
BATCH = 32
LR = 2e-3
SHIFT_PX = 3  # of 64
GAIN = 0.15


def witness(classes: int) -> nn.Module:
    """Four convolutions on 64 px, 40 thousand weights."""

    def layer(given: int, made: int, stride: int) -> list[nn.Module]:
        return [nn.Conv2d(given, made, 3, stride, 1), nn.GroupNorm(8, made), nn.SiLU()]

    first = [nn.AvgPool2d(2), *layer(3, 16, 2), *layer(16, 32, 2), *layer(32, 64, 2)]
    return nn.Sequential(*first, nn.Conv2d(64, 32, 3, 1, 1), nn.SiLU(), nn.Flatten(), nn.Linear(32 * 16, classes))


def train_witness(small: Pictures, labels: NDArray[np.int64], classes: int, *, seed: int) -> nn.Module:
    """Train on uint8 [N, 64, 64, 3] with small shifts and gains; classes count alike, whatever their size."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = witness(classes)
        draw = torch.Generator().manual_seed(seed)
        pictures = scaled(small)
        target = torch.from_numpy(labels)
        counts = torch.bincount(target, minlength=classes).clamp(min=1)
        loss = nn.CrossEntropyLoss(weight=len(target) / (classes * counts))
        optimiser = torch.optim.AdamW(net.parameters(), lr=LR)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LR, total_steps=STEPS)
        for _ in range(STEPS):
            places = torch.randint(len(target), (BATCH,), generator=draw)
            optimiser.zero_grad()
            error: Tensor = loss(net(_varied(pictures[places], draw)), target[places])
            error.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    return net.eval()


@torch.no_grad()
def named(net: nn.Module, small: Pictures) -> NDArray[np.int64]:
    """The class of each picture."""
    answers = [net(scaled(small[start : start + 256])).argmax(dim=1) for start in range(0, len(small), 256)]
    return cast("NDArray[np.int64]", torch.cat(answers).numpy())


def scaled(small: Pictures) -> Tensor:
    """uint8 [N, H, W, 3] to float32 [N, 3, H, W] in -1..1."""
    return torch.from_numpy(small).permute(0, 3, 1, 2).float() / 127.5 - 1


def _varied(pictures: Tensor, draw: torch.Generator) -> Tensor:
    """One small shift for the batch, and a gain for each picture; nothing is mirrored, for sides may matter."""
    down, right = torch.randint(-SHIFT_PX, SHIFT_PX + 1, (2,), generator=draw).tolist()
    gain = 1 + GAIN * (2 * torch.rand(len(pictures), 1, 1, 1, generator=draw) - 1)
    return torch.roll((pictures + 1) * gain - 1, (down, right), dims=(2, 3))


def probe(
    attribute: str,
    train: tuple[Described, Sequence[str]],
    held_out: tuple[Described, Sequence[str]],
    generated: Mapping[int, Described],
    *,
    seed: int = 0,
) -> Probe:
    """Accuracy on real and on generated pictures; each set with its values, generated ones follow the held-out prompts.

    Raises ValueError where there are fewer than two classes, or a class to be named was never seen in training.
    """
    classes = sorted(set(train[1]) - {""})
    asked = sorted(set(held_out[1]))
    if len(classes) < 2:
        raise ValueError(
            f"probe: the training pictures have {len(classes)} values of {attribute}; at least 2 are needed"
        )
    if unseen := [value or "no value" for value in asked if value not in classes]:
        raise ValueError(
            f"probe: held-out pictures have {attribute} {', '.join(unseen)}, which no training picture has: "
            "narrow `where` to pictures whose values are known, or leave `probe` out"
        )
    known = np.array([value in classes for value in train[1]])
    labels = np.array([classes.index(value) for value in train[1] if value in classes], dtype=np.int64)
    net = train_witness(train[0].small[known], labels, len(classes), seed=seed)
    truth = np.array([classes.index(value) for value in held_out[1]], dtype=np.int64)
    answers = {each: named(net, drawn.small) for each, drawn in generated.items()}
    right = {each: answer == truth for each, answer in answers.items()}
    confusion = {
        value: {
            name: sum(int(((answer == j) & (truth == i)).sum()) for answer in answers.values())
            for j, name in enumerate(classes)
        }
        for i, value in enumerate(classes)
        if value in asked
    }
    return Probe(
        attribute=attribute,
        classes=tuple(classes),
        train_n=len(labels),
        chance=float(np.bincount(truth).max() / len(truth)),
        real=share(named(net, held_out[0].small) == truth, held_out[0].clusters),
        generated=share(
            np.concatenate(list(right.values())), [name for drawn in generated.values() for name in drawn.clusters]
        ),
        by_seed=tuple(share(hits, generated[each].clusters) for each, hits in right.items()),
        confusion=confusion,
    )
