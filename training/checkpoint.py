"""Checkpoints that are whole or absent: a folder under a temporary name, its manifest with hashes last, then a rename.

Only after the rename are older ones removed, so a crash at any moment leaves a whole one. The newest whose files match
their hashes wins, and that is found by looking, never read from a pointer file. A run begins anew only where there is
no checkpoint at all, and removes only what its own manifest proves to be of this run, or of the finished one that it
replaces. Weights, averages and optimiser state are safetensors: nothing is pickled, so loading one runs no code.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from shards.atomic import TMP_PREFIX, fsync_folder
from shards.canonical import sha256_file, sha256_of

LOG = logging.getLogger(__name__)
MANIFEST = "manifest.json"
VERSION = 1
SET_ASIDE = "set-aside-"  # before the name of a folder that stood in the way and could not be read


class DamagedCheckpoint(ValueError):
    """A checkpoint is not what was written."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """All that a run consists of, beside its settings and the number of samples seen."""

    net: nn.Module
    average: nn.Module
    optimiser: Optimizer
    meter: dict[str, Any]  # what has been measured since the last log line; JSON


def optimiser_tensors(net: nn.Module, optimiser: Optimizer) -> dict[str, Tensor]:
    """The state of the optimiser as `<weight>/<slot>` -> tensor."""
    names = [name for name, weight in net.named_parameters() if weight.requires_grad]
    state = optimiser.state_dict()["state"]
    return {f"{names[index]}/{slot}": value for index, slots in state.items() for slot, value in slots.items()}


def load_optimiser(net: nn.Module, optimiser: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimiser_tensors` gave."""
    names = [name for name, weight in net.named_parameters() if weight.requires_grad]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, slot = key.rsplit("/", 1)
        state.setdefault(names.index(name), {})[slot] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


class Checkpoints:
    """The checkpoints of one run. `config` is what decides its result; one of another config is never continued."""

    def __init__(self, folder: Path, *, config: Mapping[str, Any], samples: int, keep: int) -> None:
        self.folder = folder
        self.config = json.loads(json.dumps(config))
        self.samples = samples  # at which the run is finished
        self.keep = keep
        self.replaced: Any = None  # config of the finished run that this one takes the place of

    def save(self, samples_seen: int, snapshot: Snapshot) -> Path:
        """Write a checkpoint and make it visible; then remove all but the newest `keep`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f"{TMP_PREFIX}{secrets.token_hex(4)}"
        temporary.mkdir()
        tensors = {
            "net.safetensors": snapshot.net.state_dict(),
            "average.safetensors": snapshot.average.state_dict(),
            "optimiser.safetensors": optimiser_tensors(snapshot.net, snapshot.optimiser),
        }
        written = {name: temporary / name for name in tensors}
        for name, values in tensors.items():
            save_file({key: value.contiguous() for key, value in values.items()}, written[name])
        files = {name: {"bytes": path.stat().st_size, "sha256": _synced(path)} for name, path in written.items()}
        manifest = {
            "version": VERSION,
            "samples_seen": samples_seen,
            "finished": samples_seen >= self.samples,
            "config": self.config,
            "meter": snapshot.meter,
            "files": files,
        }
        body = json.dumps({**manifest, "sha256": sha256_of(manifest)}, indent=1, sort_keys=True)
        (temporary / MANIFEST).write_text(body)
        _synced(temporary / MANIFEST)
        fsync_folder(temporary)
        final = self.folder / f"{samples_seen:012d}"
        self._clear(final)
        temporary.rename(final)
        fsync_folder(self.folder)
        self._rotate(samples_seen)
        return final

    def restore(self, snapshot: Snapshot) -> int:
        """Load the newest whole checkpoint into `snapshot`; returns its samples seen, 0 where there is none.

        Raises ValueError where an unfinished run with other settings lies there, or nothing that can be read.
        """
        found = self.newest()
        if found is None:
            return 0
        path, manifest = found
        snapshot.net.load_state_dict(load_file(path / "net.safetensors"))
        snapshot.average.load_state_dict(load_file(path / "average.safetensors"))
        load_optimiser(snapshot.net, snapshot.optimiser, load_file(path / "optimiser.safetensors"))
        snapshot.meter.clear()
        snapshot.meter.update(manifest["meter"])
        return int(manifest["samples_seen"])

    def newest(self) -> tuple[Path, dict[str, Any]] | None:
        """The newest checkpoint whose files match their hashes and that belongs to this run, with its manifest."""
        damages = []
        for path in self._by_age():
            try:
                manifest = read_manifest(path)
            except DamagedCheckpoint as damage:
                damages.append(str(damage))
                LOG.warning("%s; trying the one before", damage)
                continue
            if manifest["config"] == self.config:
                return path, manifest
            if manifest["finished"]:
                LOG.info("%s is of a finished run with other settings: starting anew", path)
                self.replaced = manifest["config"]
                return None
            raise ValueError(
                f"{path} belongs to an unfinished run with other settings "
                f"({differences(manifest['config'], self.config)}). To go on with that run, "
                f"set them back; to start anew, remove {self.folder}"
            )
        if damages:
            raise ValueError(
                f"none of the {len(damages)} checkpoints in {self.folder} can be read ({damages[0]}): put a whole one "
                f"back from a copy; to start anew and give up what they hold, remove {self.folder}"
            )
        return None

    def _by_age(self) -> list[Path]:
        """Checkpoints, newest first."""
        if not self.folder.is_dir():
            return []
        return sorted((path for path in self.folder.iterdir() if path.name.isdigit()), reverse=True)

    def _rotate(self, newest: int) -> None:
        """Keep the newest of this run up to the one just written; what is not known to be ours stays."""
        old = [path for path in self._by_age() if int(path.name) <= newest and self._is_of(path, self.config)]
        gone = old[self.keep :]
        if self.replaced is not None:
            gone += [path for path in self._by_age() if self._is_of(path, self.replaced)]
        for path in sorted(gone):  # the newest of a finished run last, for it says that the run was finished
            _remove(path)
        for path in self.folder.glob(f"{TMP_PREFIX}*"):
            shutil.rmtree(path)

    def _clear(self, path: Path) -> None:
        """Make room for a checkpoint of the same number, which is there only if it was found damaged."""
        if self._is_of(path, self.config):
            _remove(path)
        elif path.exists():
            aside = path.with_name(f"{SET_ASIDE}{path.name}-{secrets.token_hex(4)}")
            LOG.warning("%s cannot be read; it is kept as %s until you remove it", path, aside.name)
            path.rename(aside)

    def _is_of(self, path: Path, config: Any) -> bool:
        """Does its own whole manifest say that it is of a run with this config?"""
        try:
            return bool(whole_manifest(path)["config"] == config)
        except ValueError:
            return False


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a checkpoint all of whose files are what it says.

    Raises DamagedCheckpoint, which names what is damaged, and ValueError for one of another version.
    """
    manifest = whole_manifest(path)
    for name, facts in manifest["files"].items():
        if not (path / name).is_file() or sha256_file(path / name) != facts["sha256"]:
            raise DamagedCheckpoint(f"checkpoint {path} is damaged: {name} is not what was written")
    return manifest


def whole_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a checkpoint; raises as `read_manifest`, and says nothing of the other files."""
    try:
        manifest = dict(json.loads((path / MANIFEST).read_bytes()))
        claimed = manifest.pop("sha256")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedCheckpoint(f"checkpoint {path} has no whole manifest") from error
    if sha256_of(manifest) != claimed:
        raise DamagedCheckpoint(f"checkpoint {path} has a damaged manifest")
    if manifest["version"] != VERSION:
        raise ValueError(
            f"checkpoint {path} is of version {manifest['version']} and this medloom reads {VERSION}: go on with the "
            f"medloom that wrote it; to start anew and give up what it holds, remove {path.parent}"
        )
    return manifest


def differences(theirs: Mapping[str, Any], ours: Mapping[str, Any], prefix: str = "") -> str:
    """The settings in which two configs differ, in words."""
    found = []
    for key in sorted({*theirs, *ours}):
        old, new = theirs.get(key), ours.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found.append(differences(old, new, f"{prefix}{key}."))
        elif old != new:
            found.append(f"{prefix}{key}: {old!r} there, {new!r} here")
    return "; ".join(text for text in found if text)


def _synced(path: Path) -> str:
    """Make the file durable; returns its SHA-256."""
    with path.open("rb+") as handle:
        os.fsync(handle.fileno())
    return sha256_file(path)


def _remove(path: Path) -> None:
    """Take a folder away under another name first, so that half of it never stands under its own."""
    if path.exists():
        gone = path.with_name(f"{TMP_PREFIX}{secrets.token_hex(4)}")
        path.rename(gone)
        shutil.rmtree(gone)
