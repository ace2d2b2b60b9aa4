"""Several captions a sample, from the stages that write them to the batches of training: drawn by their weights."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image

from captioning.engine import Answer, Ask
from captioning.fill import FillCaptions
from captioning.template import TemplateEngine
from shards.canonical import sha256_file
from shards.index import ShardSet, read_index
from shards.manifest import Caption, Media, Sample, content_hash, frame, read_part, write_part
from shards.pack import PackShards
from shards.stage import Context, Kind, Output, Part, Unit
from training.batches import PictureReader
from training.dataset import ShardData
from training.settings import LoopSettings
from training.world import World

SAMPLES = 24
DRAWS = 100 * SAMPLES
WEIGHTS = {"source": 1.0, "template": 0.5, "model": 2.5}


@dataclass(frozen=True)
class Teller:
    """An engine that says one thing of every picture."""

    stop_after: int | None = None
    by: str = "vlm:teller@1"

    def identity(self, ctx: Context) -> dict[str, str]:
        return {"captioner": self.by}

    @contextmanager
    def open(self, ctx: Context) -> Iterator[Teller]:
        yield self

    def caption(self, asks: Sequence[Ask]) -> Iterator[Answer]:
        return (Answer(text=f"model {ask.sample.key}") for ask in asks)


@pytest.fixture(scope="module")
def captioned(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    """Pictures of which a source, the template and a model spoke, packed."""
    root = tmp_path_factory.mktemp("drawn")
    ctx = Context(root=root, out=root / "pack", tmp=root / "tmp", folder=root)
    ctx.tmp.mkdir()
    rows = []
    for number in range(SAMPLES):
        path = root / f"{number}.png"
        Image.new("L", (32, 32), 10 * number).save(path)
        rows.append(
            Sample(
                key=f"here-{number:02}",
                media=Media(uri=str(path), kind="image", sha256=sha256_file(path), width_px=32, height_px=32, frames=1),
                modality="CT",
                specialty="radiology",
                group=f"image:{number}",
                label_scope="image",
                source="here",
                license="CC0-1.0",
                captions=(Caption(text=f"source here-{number:02}", by="source"),),
                split="train",
            )
        )
    part = root / "part.parquet"
    write_part(frame(rows), part)
    for stage in (
        FillCaptions(engine=TemplateEngine(), beside=True, weight=WEIGHTS["template"]),
        FillCaptions(engine=Teller(), beside=True, weight=WEIGHTS["model"]),  # type: ignore[arg-type]
    ):
        with stage.open(ctx) as filler:
            result = filler.process(Unit(id="part", payload={"part": str(part)}))
        assert result.rows is not None
        write_part(result.rows, part)
    pack(PackShards(preset="square-32", shard_samples=10), part, ctx)
    return read_index(root / "pack")


def pack(stage: PackShards, path: Path, ctx: Context) -> None:
    rows = read_part(path)
    given = Part(id="part", path=path, content=content_hash(rows), rows=rows.height)
    made = []
    units = stage.plan([Output(stage="fill", kind=Kind.MANIFEST, path=ctx.root, content="", parts=(given,))], ctx)
    with stage.open(ctx) as worker:
        for unit in units:
            result = worker.process(unit)
            assert result.rows is not None
            index = ctx.out / "parts" / f"{unit.id}.parquet"
            content = write_part(result.rows, index)
            made.append(
                Part(id=unit.id, path=index, content=content, rows=result.rows.height, files=tuple(result.files))
            )
    stage.commit(made, ctx)


def drawn(shards: ShardSet, seed: int, draws: int, workers: int = 1) -> list[tuple[str, str]]:
    """Key and writer of the first `draws` samples in the order of training."""
    data = ShardData(
        shards,
        PictureReader(32),
        LoopSettings(batch=8, seed=seed, samples=draws, lr=1e-3),
        World(device=torch.device("cpu")),
        accumulate=1,
        workers=workers,
    )
    found: list[tuple[str, str]] = []
    for step in data.batches(0):
        for batch in step:
            found += [(key, writer(key, text)) for key, text in zip(batch.keys, batch.captions, strict=True)]
        if len(found) >= draws:
            return found[:draws]
    raise AssertionError


def writer(key: str, text: str) -> str:
    """Whose words these are; that of another sample is nobody's."""
    return next((who for who in ("source", "model") if text == f"{who} {key}"), "template" if "CT" in text else text)


def test_captions_are_drawn_by_their_weights(captioned: ShardSet) -> None:
    found = drawn(captioned, 0, DRAWS)
    shares = {who: count / DRAWS for who, count in Counter(who for _, who in found).items()}
    total = sum(WEIGHTS.values())
    assert shares == {who: pytest.approx(weight / total, abs=0.04) for who, weight in WEIGHTS.items()}  # 4 sigma
    spoke = defaultdict(set)
    for key, who in found:
        spoke[key].add(who)
    assert len(spoke) == SAMPLES
    assert all(who == set(WEIGHTS) for who in spoke.values())


def test_the_draw_depends_on_seed_and_position_alone(captioned: ShardSet) -> None:
    assert drawn(captioned, 0, 240) == drawn(captioned, 0, 240, workers=3)
    assert drawn(captioned, 0, 240) != drawn(captioned, 1, 240)
