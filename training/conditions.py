"""The conditioning of a model as named tensors: what they look like, how rows become a batch, and what "none" is.

The fields of a family drive the latents cache, the collation and the check before training. A field's first dimension
may be shorter in a sample than in the field (a caption has as many rows as tokens): it is stored as it is, and padded
with zeros in a batch, beside a mask. Batches always have the full length, so that a sample's result does not depend on
its neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Condition = Mapping[str, Tensor]


@dataclass(frozen=True)
class Field:
    """One tensor of the conditioning of a sample: at most shape[0] rows of shape[1:]."""

    name: str
    shape: tuple[int, ...]


def check(fields: Sequence[Field], condition: Condition, key: str) -> None:
    """Raise ValueError where a stored condition is not what the model takes."""
    for field in fields:
        found = tuple(condition[field.name].shape) if field.name in condition else None
        if found is None or found[1:] != field.shape[1:] or not 0 < found[0] <= field.shape[0]:
            raise ValueError(
                f"{key}: the condition {field.name!r} has the shape {found} and the model takes {field.shape}: the "
                "shards were encoded for another text encoder or max_tokens; run the encode stage with this recipe"
            )


def collate(fields: Sequence[Field], conditions: Sequence[Condition]) -> dict[str, Tensor]:
    """Rows to a batch: `<name>` [B, *shape] float32, padded with zeros, and `<name>_mask` [B, shape[0]] bool."""
    batch: dict[str, Tensor] = {}
    for field in fields:
        values = torch.zeros(len(conditions), *field.shape)
        mask = torch.zeros(len(conditions), field.shape[0], dtype=torch.bool)
        for row, condition in enumerate(conditions):
            rows = condition[field.name]
            values[row, : len(rows)] = rows.float()
            mask[row, : len(rows)] = True
        batch[field.name], batch[f"{field.name}_mask"] = values, mask
    return batch


def drop(batch: Mapping[str, Tensor], null: Mapping[str, Tensor], dropped: Tensor) -> dict[str, Tensor]:
    """Replace the rows where `dropped` [B] holds by those of `null`, a batch of one."""
    return {
        name: torch.where(dropped.to(values.device).reshape(-1, *(1 for _ in values.shape[1:])), null[name], values)
        for name, values in batch.items()
    }
