"""A run that is stopped or killed and started again ends where an undisturbed one ends, to the bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from shards.canonical import sha256_file
from shards.stage import Cancelled, Output
from training.checkpoint import read_manifest
from training.log import read_log
from training.train import Train

SAMPLES = 480
SETTINGS: dict[str, Any] = {
    "recipe": "msdm-tiny",
    "samples": SAMPLES,
    "decay": "cosine",
    "dropout": 0.1,
    "checkpoint_every_samples": 48,
    "log_every_samples": 16,
    "validate_every_samples": 160,
}
SCRIPT = """
import json, sys
import torch
torch.set_num_threads(1)
from pathlib import Path
from shards.stage import Context, Kind, Output
from training.train import Train

given = json.loads(sys.argv[1])
root = Path(given["root"])
inputs = [Output(stage=s, kind=Kind(k), path=Path(p), content=c) for s, k, p, c in given["inputs"]]
ctx = Context(root=root, out=root / "model", tmp=root / "tmp", folder=root)
Train(**given["settings"]).run(inputs, ctx)
"""


def start(root: Path, inputs: list[Output]) -> subprocess.Popen[bytes]:
    listed = [(each.stage, each.kind.value, str(each.path), each.content) for each in inputs]
    given = json.dumps({"root": str(root), "inputs": listed, "settings": SETTINGS})
    return subprocess.Popen([sys.executable, "-c", SCRIPT, given], stderr=subprocess.PIPE)


def losses(folder: Path) -> list[dict[str, float]]:
    return [{name: value for name, value in line.items() if name != "samples_per_s"} for line in read_log(folder)]


@pytest.mark.slow
@pytest.mark.long
def test_after_sigterm_and_kill_the_same_command_ends_as_if_nothing_had_happened(
    runner: Any, latents: Output, vae: Output, tmp_path: Path
) -> None:
    inputs = [latents, vae]
    whole = runner.job(Train(**SETTINGS), inputs, "undisturbed")
    folder = tmp_path / "model"

    def stop(done: int, total: int, what: str) -> None:
        if done >= 112:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Cancelled):
        type(runner)(tmp_path).job(Train(**SETTINGS), inputs, "model", on_progress=stop)
    (newest, *_) = sorted((folder / "checkpoints").iterdir(), reverse=True)
    stopped_at = read_manifest(newest)["samples_seen"]
    assert stopped_at > 96  # saved where it stopped, not at the last multiple
    assert not (folder / "model").exists()

    process = start(tmp_path, inputs)
    until = time.monotonic() + 60
    while read_log(folder)[-1]["samples"] < stopped_at + 80 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    process.kill()
    told = process.communicate()[1].decode()
    assert process.returncode == -signal.SIGKILL, told
    assert not (folder / "model").exists()

    again = type(runner)(tmp_path).job(Train(**SETTINGS), inputs, "model")
    assert losses(folder) == losses(whole.path)
    assert again.content == whole.content
    assert len(losses(folder)) == SAMPLES // 16 + 3
    for name in ("net", "average", "optimiser"):
        path = f"checkpoints/{SAMPLES:012d}/{name}.safetensors"
        assert sha256_file(folder / path) == sha256_file(whole.path / path)
    assert not list(folder.rglob(".tmp-*"))


def test_a_finished_run_does_nothing_again(runner: Any, latents: Output, vae: Output, model: Output) -> None:
    before = read_log(model.path)
    again = runner.job(Train(recipe="msdm-tiny", samples=64), [latents, vae], "model")
    assert again.content == model.content
    assert read_log(model.path) == before


def test_cancelling_saves_and_goes_on(runner: Any, latents: Output, vae: Output, model: Output) -> None:
    asked = iter([False] * 3 + [True] * 100)
    stage = Train(recipe="msdm-tiny", samples=64)
    with pytest.raises(Cancelled):
        runner.job(stage, [latents, vae], "cancelled", is_cancelled=lambda: next(asked))
    assert [path.name for path in (runner.root / "cancelled" / "checkpoints").iterdir()] == [f"{32:012d}"]
    assert runner.job(stage, [latents, vae], "cancelled").content == model.content


def test_an_unfinished_run_is_not_continued_with_other_settings(runner: Any, latents: Output, vae: Output) -> None:
    asked = iter([False] + [True] * 100)
    stage = Train(recipe="msdm-tiny", samples=64)
    with pytest.raises(Cancelled):
        runner.job(stage, [latents, vae], "other", is_cancelled=lambda: next(asked))
    stage = Train(recipe="msdm-tiny", samples=64, lr=0.5, caption_dropout=0.5)
    with pytest.raises(ValueError, match=r"diffusion\.caption_dropout: 0\.1 there, 0\.5 here.*loop\.lr"):
        runner.job(stage, [latents, vae], "other")
