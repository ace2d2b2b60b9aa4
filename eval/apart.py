"""Are the held-out pictures apart from what was trained on? Looked up, never taken for granted.

A group (patient, study, volume) that is in the training split too makes every figure one of fit. That can only be known
where the shards are those that the denoiser and its autoencoder were trained on, which their record says by a hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eval.real import Chosen, RealData
from training.trained_on import samples_hash

SLAB = "slab:"  # groups that are parts of one volume
PARTS = ("autoencoder", "denoiser")
FIT_ONLY = (
    "fit, not generalisation: the held-out pictures are parts of volumes whose other parts were trained on, so these "
    "scores show how well the model fits those volumes"
)


def apart(chosen: Chosen, data: RealData, model: Mapping[str, Any]) -> tuple[str, bool]:
    """What the figures may be taken for, in words, and whether they show fit alone. `model` is `medloom.json`."""
    held_out = {sample.facts["group"] for sample in chosen.held_out}
    if any(group.startswith(SLAB) for group in held_out):
        return FIT_ONLY, True
    if "" in held_out:
        return (
            "held-out pictures; which patients they are of is not recorded, so nobody knows if those were trained on",
            False,
        )
    hashes = [samples_hash(shard_set) for shard_set in data.sets]
    trained_on = {part: model.get("trained_on", {}).get(part) for part in PARTS}
    if unknown := [part for part, found in trained_on.items() if found not in hashes]:
        return (
            "held-out pictures; if others of their groups were trained on is not known: the training split of these "
            f"shards is not the one that the {' and the '.join(unknown)} was trained on",
            False,
        )
    trained: frozenset[str] = frozenset().union(
        *(groups for found, groups in zip(hashes, chosen.training.groups, strict=True) if found in trained_on.values())
    )
    if shared := held_out & trained:
        return (
            f"fit, not generalisation: {len(shared)} of the {len(held_out)} groups of the held-out pictures are in the "
            "training split too, so these scores show how well the model fits them",
            True,
        )
    kinds = ", ".join(sorted({group.partition(":")[0] for group in held_out}))
    return (
        f"held-out pictures belong to {len(held_out)} groups ({kinds}) of which nothing was trained on: none of them "
        "is in the training split",
        False,
    )
