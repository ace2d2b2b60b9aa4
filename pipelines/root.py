"""The root of a pipeline before and after work: that it can be written, holds no leftovers, and keeps its key.

What is removed here are temporary files and notes of dead processes alone, while nobody else works on the root.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from pipelines.records import StageFolder
from pipelines.spec import PipelineSpec
from pipelines.user_key import read_key
from shards.atomic import TMP_PREFIX, make_folder, sweep
from shards.stage import KEPT_FOLDER

RUN_LOCK = ".run"  # below the root
WORK_FOLDER = ".work"  # below the root: notes and temporary files of units
ERRORS_FOLDER = "errors"  # below the root: traces of units that failed


def check_root(root: Path) -> None:
    """ValueError before any work when the root cannot be written.

    Tried with the file of the lock, which stays: a temporary one could be swept by a run that holds it.
    """
    try:
        make_folder(root)
        (root / RUN_LOCK).open("a").close()
    except FileExistsError as error:
        raise ValueError(f"the root {root} cannot be made: {error.filename} is a file") from error
    except OSError as error:
        raise ValueError(f"the root {root} cannot be written ({error.strerror}); choose another `root:`") from error


def clean(spec: PipelineSpec) -> None:
    """Remove what dead processes left half done."""
    shutil.rmtree(spec.root / WORK_FOLDER, ignore_errors=True)
    for path in spec.root.glob(f"{TMP_PREFIX}*"):
        path.unlink(missing_ok=True)
    for folder in [*spec.by_name, ERRORS_FOLDER, KEPT_FOLDER]:
        sweep(spec.root / folder)


def root_key(spec: PipelineSpec) -> bytes:
    """The user's key, made on the first run; ValueError where one was lost, since a new one would move all splits."""
    path = spec.key_file
    lost = path is not None and not path.exists()
    if lost and any(StageFolder(spec.root, stage.name).records() for stage in spec.stages):
        raise ValueError(
            f"the key file {path} is gone, and {spec.root} was built with it: put it back, or remove that folder "
            "to begin anew with another key"
        )
    return read_key(spec, create=True)
