"""Options of the stage, checked before anything is loaded."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eval.evaluate import Evaluate
from shards.canonical import sha256_file
from shards.stage import Context


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spaces": ("radiomic",)}, "did you mean radiomics"),
        ({"where": {"plan": ("axial",)}}, "did you mean plane"),
        ({"where": {"plane": ()}}, "no values"),
        ({"strata": ("modalty",)}, "did you mean modality"),
        ({"seeds": (1, 1)}, "different"),
        ({"samples": 1}, "samples: 1"),
        ({"steps": 0}, "at least 1"),
        ({"at_once": 0}, "at_once: 0"),
        ({"spaces": ("dinov2",), "weights": {"dinov2": "x"}, "weights_sha256": {"dinov2": ""}}, "first 8 to 64 digits"),
        ({"method": "euler"}, "method"),
        ({"weights_sha256": {"dinov2": "ab"}}, "add dinov2"),
    ],
)
def test_options_are_checked_when_the_pipelines_file_is_read(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Evaluate(**options)


def test_the_hash_of_weights_is_part_of_the_identity(tmp_path: Path) -> None:
    ctx = Context(root=tmp_path, out=tmp_path, tmp=tmp_path, folder=tmp_path)
    stage = Evaluate()
    assert stage.identity(ctx)["mobilenetv2-imagenet"].startswith("b0353104")
    (tmp_path / "mine.pth").write_bytes(b"other")
    changed = replace(stage, weights={"mobilenetv2-imagenet": "mine.pth"})
    assert changed.identity(ctx) == {"mobilenetv2-imagenet": sha256_file(tmp_path / "mine.pth")}
    assert replace(stage, spaces=("radiomics",)).identity(ctx) == {}


def test_what_says_how_a_folder_is_used_is_part_of_the_identity(tmp_path: Path) -> None:
    """Another crop, spread of colours or layer gives other figures with the same weights."""
    ctx = Context(root=tmp_path, out=tmp_path, tmp=tmp_path, folder=tmp_path)
    stage = Evaluate(spaces=("dinov2",), weights={"dinov2": "encoder"})
    names = ("config.json", "model.safetensors", "preprocessor_config.json")
    (tmp_path / "encoder").mkdir()
    for name in names:
        with pytest.raises(FileNotFoundError, match=f"encoder has no {name}; give a folder as the hub lays it out"):
            stage.identity(ctx)
        (tmp_path / "encoder" / name).write_text("{}")
    known = [dict(stage.identity(ctx))]
    for name in names:
        (tmp_path / "encoder" / name).write_text('{"changed": 1}')
        known.append(dict(stage.identity(ctx)))
        assert known[-1] != known[-2]
        (tmp_path / "encoder" / "README.md").write_text(f"Changed {name}.")
        assert dict(stage.identity(ctx)) == known[-1]


def test_importing_the_stage_imports_nothing_heavy() -> None:
    code = (
        "import sys, eval.evaluate; "
        "print(sorted({'torch', 'numpy', 'polars', 'PIL', 'diffusers', 'transformers', 'scipy'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
