"""The published model: `model/` with the stock `diffusers` subfolders, and `medloom.json`, which says what it is.

Whatever trains, samples or judges a model reads this folder and nothing else of a run. The record holds the hash of
every file, compared when the model is opened, so that a broken copy is never sampled.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shards.atomic import TMP_PREFIX, fsync_folder, write_json
from shards.canonical import sha256_file, sha256_of

RECORD_NAME = "medloom.json"
FOLDER_NAME = "model"
VERSION = 1


@dataclass(frozen=True)
class Model:
    """An opened model folder."""

    folder: Path
    record: Mapping[str, Any]

    @property
    def content(self) -> str:
        """Hash of all that the model is."""
        return sha256_of(self.record)


def write_model(stage_folder: Path, record: Mapping[str, Any], write: Callable[[Path], Mapping[str, Any]]) -> Model:
    """Let `write` fill a temporary folder, add the record with what it returns, and put it in place as `model/`."""
    temporary = stage_folder / f"{TMP_PREFIX}{secrets.token_hex(4)}"
    temporary.mkdir(parents=True)
    whole = {"medloom_model": VERSION, **record, **write(temporary)}
    files = sorted(path for path in temporary.rglob("*") if path.is_file())
    for path in files:
        with path.open("rb+") as handle:
            os.fsync(handle.fileno())
    whole["files"] = {path.relative_to(temporary).as_posix(): sha256_file(path) for path in files}
    write_json(temporary / RECORD_NAME, whole)
    for folder in (*(path for path in temporary.rglob("*") if path.is_dir()), temporary):
        fsync_folder(folder)
    final = stage_folder / FOLDER_NAME
    if final.exists():
        final.rename(stage_folder / f"{TMP_PREFIX}{secrets.token_hex(4)}")
    temporary.rename(final)
    fsync_folder(stage_folder)
    for left in stage_folder.glob(f"{TMP_PREFIX}*"):
        if left.is_dir():
            shutil.rmtree(left)
    return read_model(final)


def read_model(path: Path) -> Model:
    """The model in `path`, a stage's folder or its `model/`.

    Raises FileNotFoundError where there is none, ValueError where a file is not what the record says.
    """
    folder = path / FOLDER_NAME if (path / FOLDER_NAME / RECORD_NAME).is_file() else path
    if not (folder / RECORD_NAME).is_file():
        raise FileNotFoundError(
            f"{path} holds no trained model ({RECORD_NAME} is missing): give the folder of a finished train stage"
        )
    record = json.loads((folder / RECORD_NAME).read_bytes())
    if record.get("medloom_model") != VERSION:
        raise ValueError(f"{folder} was written by another version of medloom: it cannot be read by this one")
    for name, digest in record["files"].items():
        if not (folder / name).is_file() or sha256_file(folder / name) != digest:
            raise ValueError(f"{folder} is damaged: {name} is not what was written; train again, or copy it again")
    return Model(folder, record)
