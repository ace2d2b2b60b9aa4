"""The `.safetensors` member of a latents shard: what a family stores of one picture, and one condition a caption.

Tensors are named `latent/<name>` and `caption/<number>/<field>`, unpadded, in float16. The captions themselves, their
weights and the rest of the record lie beside it in the `.json` member, taken over from the pixel shard byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from safetensors import SafetensorError, safe_open
from safetensors.torch import load, load_file, save
from torch import Tensor

from shards.canonical import canonical_json
from shards.reader import DamagedSample
from training.conditions import Condition

EXTENSION = "safetensors"


def pack_latents(stored: Mapping[str, Tensor], conditions: Sequence[Condition]) -> bytes:
    """One sample as bytes that depend on the tensors alone."""
    named = {f"latent/{name}": value.contiguous().cpu() for name, value in stored.items()}
    for number, condition in enumerate(conditions):
        named.update({f"caption/{number}/{name}": value.contiguous().cpu() for name, value in condition.items()})
    return cast(bytes, save(named))


def unpack_latents(data: bytes, key: str) -> tuple[dict[str, Tensor], list[dict[str, Tensor]]]:
    """What is stored of the picture, and the conditions in the order of the captions; DamagedSample if unreadable."""
    try:
        named = load(data)
    except SafetensorError as error:
        raise DamagedSample(f"{key}: its latents do not load") from error
    stored: dict[str, Tensor] = {}
    captions: dict[int, dict[str, Tensor]] = {}
    for name, value in named.items():
        if name.startswith("latent/"):
            stored[name.removeprefix("latent/")] = value
        else:
            _, number, field = name.split("/")
            captions.setdefault(int(number), {})[field] = value
    return stored, [captions[number] for number in sorted(captions)]


def pack_condition(condition: Condition, facts: Mapping[str, str]) -> bytes:
    """One condition with what it was made by, as bytes."""
    tensors = {name: value.contiguous().cpu() for name, value in condition.items()}
    # one entry, since safetensors writes several in an order that changes from run to run
    return cast(bytes, save(tensors, metadata={"facts": canonical_json(dict(facts))}))


def read_condition(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """What `pack_condition` made; FileNotFoundError where there is none."""
    with safe_open(path, "pt") as handle:
        facts = json.loads(handle.metadata()["facts"])
    return load_file(path), facts
