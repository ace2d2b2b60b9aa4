"""Real pictures in real shards, a small text encoder, and the tiny recipe trained on them once for all tests."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from shards.index import Shard, ShardSet, read_index, write_index
from shards.manifest import write_part
from shards.stage import Context, Kind, Output, Part
from shards.tar import write_shard
from shards.uri import local_path

PX = 32
SOURCES = {"retina.jpg": "Colour fundus photograph of the retina.", "ihc.png": "Microscopy of stained colon tissue."}


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Two people's tests share two cores."""
    torch.set_num_threads(1)


def crops(count: int) -> list[tuple[Image.Image, str]]:
    """Square pieces of two real pictures, with what they show."""
    found = []
    pictures = {name: Image.open(local_path(f"package://skimage/data/{name}")).convert("RGB") for name in SOURCES}
    for number in range(count):
        name = list(SOURCES)[number % 2]
        side = 200 + 10 * (number % 9)
        left, top = (17 * number) % 250, (29 * number) % 250
        piece = pictures[name].crop((left, top, left + side, top + side)).resize((PX, PX))
        found.append((piece, SOURCES[name]))
    return found


def png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


@dataclass
class ShardMaker:
    """Writes shard sets of real pictures."""

    base: Path

    def __call__(
        self,
        name: str,
        train: int = 40,
        val: int = 8,
        *,
        shard_samples: int = 16,
        change: Callable[[int, dict[str, bytes]], dict[str, bytes]] = lambda number, members: members,
    ) -> Output:
        """`change` may alter the members of a sample before they are written."""
        root = self.base / name
        shards = []
        for split, first, count in (("train", 0, train), ("val", train, val)):
            pictures = crops(first + count)[first:]
            for number, start in enumerate(range(0, count, shard_samples)):
                members = []
                for at, (picture, text) in enumerate(pictures[start : start + shard_samples], start):
                    record = {
                        "captions": [
                            {"by": "source", "text": text, "weight": 1.0},
                            {"by": "template@1", "text": f"Picture {at}. {text}", "weight": 0.5},
                        ]
                    }
                    sample = {"png": png(picture), "txt": text.encode(), "json": json.dumps(record).encode()}
                    members.append((f"{split}-{at:05d}", change(first + at, sample)))
                unit = f"{split}-pictures-{number:06d}"
                file, rows = write_shard(root / split / f"pictures-{number:06d}.tar", members, folder=root)
                content = write_part(rows, root / f"parts/{unit}.parquet")
                shards.append(
                    Shard(
                        path=file.path,
                        split=split,
                        samples=len(members),
                        bytes=file.size_bytes,
                        sha256=file.sha256,
                        index=f"parts/{unit}.parquet",
                        rows=content,
                    )
                )
        units = tuple(Path(shard.index).stem for shard in shards)
        content = write_index(
            ShardSet(folder=str(root), name="pictures", media="png", shards=tuple(shards), units=units)
        )
        return Output(stage=name, kind=Kind.SHARDS, path=root, content=content)


@pytest.fixture(scope="session")
def make_shards(tmp_path_factory: pytest.TempPathFactory) -> ShardMaker:
    return ShardMaker(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="session")
def pictures(make_shards: ShardMaker) -> Output:
    """40 training and 8 held-out pictures of 32 px, two captions each."""
    return make_shards("pictures")


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of random weights with a word-piece vocabulary, in the layout of Hugging Face."""
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("bert")
    words = sorted({word for text in SOURCES.values() for word in text.lower().rstrip(".").split()})
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "picture", *words, *"0123456789"]
    vocabulary += [f"##{digit}" for digit in range(10)]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=40,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def context(root: Path, name: str, **more: Any) -> Context:
    out = root / name
    out.mkdir(parents=True, exist_ok=True)
    (root / "tmp" / name).mkdir(parents=True, exist_ok=True)
    return Context(root=root, out=out, tmp=root / "tmp" / name, folder=root, **more)


@dataclass
class Runner:
    """Runs a stage as the pipeline's runner does, in this process."""

    root: Path

    def job(self, stage: Any, inputs: Sequence[Output], name: str, **more: Any) -> Output:
        result = stage.run(inputs, context(self.root, name, **more))
        return Output(stage=name, kind=stage.contract.gives, path=self.root / name, content=result.content)

    def build(self, stage: Any, inputs: Sequence[Output], name: str) -> Output:
        ctx = context(self.root, name)
        parts = []
        with stage.open(ctx) as worker:
            for unit in stage.plan(inputs, ctx):
                result = worker.process(unit)
                assert result.accepted + len(result.rejects) == result.offered
                content = write_part(result.rows, ctx.out / f"parts/{unit.id}.parquet")
                parts.append(
                    Part(
                        id=unit.id,
                        path=ctx.out / f"parts/{unit.id}.parquet",
                        content=content,
                        rows=result.rows.height,
                        files=tuple(result.files),
                    )
                )
        content = stage.commit(parts, ctx)
        return Output(stage=name, kind=stage.contract.gives, path=ctx.out, content=content, parts=tuple(parts))


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    return Runner(tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="session")
def vae(runner: Runner, pictures: Output) -> Output:
    """A tiny autoencoder that has seen the pictures."""
    from training.train_vae import TrainVae

    return runner.job(TrainVae(recipe="msdm-tiny"), [pictures], "vae")


@pytest.fixture(scope="session")
def latents(runner: Runner, pictures: Output, vae: Output, bert: Path) -> Output:
    """The pictures and captions encoded."""
    from training.encode import Encode

    return runner.build(Encode(recipe="msdm-tiny", text_encoder=str(bert), max_tokens=16), [pictures, vae], "latents")


@pytest.fixture(scope="session")
def model(runner: Runner, latents: Output, vae: Output) -> Output:
    """A tiny text-to-image model."""
    from training.train import Train

    return runner.job(Train(recipe="msdm-tiny", samples=64), [latents, vae], "model")


@pytest.fixture
def gray() -> np.ndarray:
    """A real grey picture [64, 64], float64 in 0..1."""
    picture = Image.open(local_path("package://skimage/data/cell.png")).convert("L").resize((64, 64))
    return np.asarray(picture, dtype=np.float64) / 255


def shard_set(output: Output) -> ShardSet:
    return read_index(output.path)
