"""Weights from the user's disk: known by their SHA-256, read without running anything in them, never downloaded.

A pickle can run code when it is read and a TorchScript archive is code, so state dicts are read with
`weights_only=True`, passed explicitly, and TorchScript is refused by its looks before torch sees it.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from shards.canonical import sha256_file
from shards.uri import local_path

FOLDER_WEIGHTS = "model.safetensors"
FOLDER_FILES = (FOLDER_WEIGHTS, "config.json", "preprocessor_config.json")  # all that decides what an encoder says
DIGITS = 8  # of a hash that a space's name shows


def place_of(space: str, place: str, get: str = "") -> Path:
    """The local file or folder that `place` names; `get` says how to come by it.

    Raises FileNotFoundError where there is nothing, ValueError for a url: weights are never fetched.
    """
    try:
        path = local_path(place)
    except ModuleNotFoundError as error:
        raise FileNotFoundError(
            f"weights of {space} are not installed: {get or error}; then name the file, `weights: {{{space}: <path>}}`"
        ) from error
    if path is None:
        raise ValueError(f"weights of {space}: {place} is not on this machine; download it and give its path")
    if not path.exists():
        raise FileNotFoundError(
            f"weights of {space}: there is no {path}; give its path, `weights: {{{space}: <path>}}`"
        )
    return path


def weights_files(space: str, place: Path) -> list[Path]:
    """The weights at `place`, and of a model folder of the hub also what says how they are used.

    Raises FileNotFoundError where one of a folder's files is not there.
    """
    if not place.is_dir():
        return [place]
    for needed in sorted(FOLDER_FILES):
        if not (place / needed).is_file():
            raise FileNotFoundError(
                f"weights of {space}: {place} has no {needed}; give a folder as the hub lays it out"
            )
    return [place / name for name in FOLDER_FILES]


def verified(space: str, path: Path, expected: str) -> str:
    """SHA-256 of the file; ValueError where it does not start with `expected`."""
    found = sha256_file(path)
    if not found.startswith(expected):
        raise ValueError(
            f"weights of {space}: {path.name} has the SHA-256 {found} and must start with {expected}: "
            "this is another file than the space is named for, so nothing is measured with it"
        )
    return found


def state_dict(space: str, path: Path, expected: str) -> tuple[Mapping[str, object], str]:
    """The tensors of a verified state dict, and its SHA-256; ValueError for TorchScript and what is not tensors."""
    import torch

    if is_torchscript(path):
        raise ValueError(
            f"weights of {space}: {path.name} is a TorchScript archive, which is a program: give a state dict (.pth)"
        )
    digest = verified(space, path, expected)
    values = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(values, Mapping) or not all(isinstance(value, torch.Tensor) for value in values.values()):
        raise ValueError(f"weights of {space}: {path.name} is not a state dict (names to tensors)")
    return values, digest


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive: a zip with a `code/` folder or `constants.pkl`."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name or name.endswith("/constants.pkl") for name in archive.namelist())


def labelled(space: str, digest: str) -> str:
    """The name of a space with what its weights are."""
    return f"{space}@{digest[:DIGITS]}"
