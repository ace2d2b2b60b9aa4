"""Where a vision-language model's files come from, a local folder or a hub, and what they are known by.

A folder is known by what is in it, so that the same weights in another place have the same captions; a model of a hub
by its commit. Nothing is read but safetensors and texts, and no code of a model's makers unless it is trusted. The
environment variable HF_HUB_OFFLINE keeps the hub's library from its network: a model is then found in its cache or not.
Standard library at the top: an engine's options are checked with it.
"""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

from shards.canonical import sha256_of
from shards.stage import Context, UserError
from shards.uri import local_path

if TYPE_CHECKING:
    from captioning.hub_engine import HubEngine

LOG = logging.getLogger(__name__)
READ = ("*.json", "*.txt", "*.model", "*.jinja", "*.safetensors")
CODE = "*.py"
COMMIT = re.compile(r"[0-9a-f]{40}")


def identity_of(options: HubEngine, ctx: Context) -> str:
    """What the model is known by before it is loaded: a folder's content, a hub's revision. Raises UserError."""
    folder = _local(options, ctx)
    return content_of(folder, options, ctx) if folder else options.revision or "main"


def fetch(options: HubEngine, ctx: Context) -> tuple[Path, str]:
    """The folder with the model's files, and its content hash or commit; a hub's are downloaded unless they are there.

    Raises UserError where there is no such model.
    """
    folder = _local(options, ctx)
    if folder is not None:
        found = content_of(folder, options, ctx)
    else:
        folder = _downloaded(options)
        found = folder.name  # the hub's cache names its snapshots by their commits
        if not COMMIT.fullmatch(options.revision):
            said = f"the branch or tag {options.revision}" if options.revision else "no revision"
            LOG.warning("%s: %s is named, which is now %s: name that, or later runs differ", options.model, said, found)
    if not list(folder.glob("*.safetensors")):
        raise UserError(f"model: {folder} has no safetensors, and no other weights are read: convert them")
    _check_code(folder, options)
    return folder, found


def content_of(folder: Path, options: HubEngine, ctx: Context) -> str:
    """Hash over names and content of the files in `folder` that are read."""
    patterns = (*READ, CODE) if options.trust_remote_code else READ
    files = sorted({path for pattern in patterns for path in folder.glob(pattern)})
    return sha256_of([(path.name, ctx.file_hash(str(path))) for path in files])


def _local(options: HubEngine, ctx: Context) -> Path | None:
    """The local folder that is named, or None for a hub id."""
    if "://" not in options.model and not options.model.startswith(("/", "./", "../", "~")):
        return None
    folder = local_path(ctx.resolve(options.model))
    if folder is None or not (folder / "config.json").is_file():
        raise UserError(f"model: {options.model} is no folder with a config.json: name one, or a hub id")
    return folder


def _downloaded(options: HubEngine) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = [*READ, CODE] if options.trust_remote_code else list(READ)
    try:
        found = snapshot_download(options.model, revision=options.revision or None, allow_patterns=patterns)
    except LocalEntryNotFoundError as error:
        raise UserError(
            f"model: {options.model} is not in the hub's cache, and the hub cannot be reached: download it where there "
            "is a network, or name a local folder (./name for one beside the pipelines file)"
        ) from error
    except (HFValidationError, HfHubHTTPError) as error:
        raise UserError(
            f"model: the hub does not give {options.model} at revision {options.revision or 'main'}; for a gated model "
            f"accept its terms there and log in with `hf auth login`; ./name is a folder ({type(error).__name__})"
        ) from error
    return Path(found)


def _check_code(folder: Path, options: HubEngine) -> None:
    """Refuse a model that runs code of its makers, unless the pipelines file says so; raises UserError."""
    from transformers import CONFIG_MAPPING

    try:
        config = json.loads((folder / "config.json").read_text())
    except ValueError:
        config = None
    if not isinstance(config, dict):
        raise UserError(f"model: {folder / 'config.json'} is not whole: download the model's files again")
    if config.get("model_type") in CONFIG_MAPPING or options.trust_remote_code:
        return
    if config.get("auto_map"):
        raise UserError(
            f"model: {options.model} runs Python code of its makers: read it, and set `trust_remote_code: true` with a "
            "`revision` to allow it, or name a model that transformers knows"
        )
    raise UserError(
        f"model: transformers knows no model of type {config.get('model_type')!r} ({options.model}): update it with "
        "`pip install -U transformers`, or name another model"
    )
