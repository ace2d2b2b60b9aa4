"""The pack stage while the world around it errs: files that come back, other decoders, a stage that is forced."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shards import codecs
from shards.index import read_index
from shards.manifest import Caption, Sample
from shards.pack import PackShards
from shards.reader import read_split
from shards.stage import Context, Kind, Output, Part
from shards.verify import verify

Described = Callable[..., list[Sample]]
Manifest = Callable[..., Path]
Build = Callable[..., dict[str, Any]]

STAGE = PackShards(preset="square-64", shard_samples=6)


@pytest.fixture
def sources(tmp_path: Path, pictures: Path) -> Path:
    """Pictures that a test may take away."""
    return Path(shutil.copytree(pictures, tmp_path / "sources"))


@pytest.fixture
def samples(sources: Path, described: Described) -> list[Sample]:
    return [replace(one, split="train") for one in described(sources)]


def members(root: Path) -> dict[str, dict[str, bytes]]:
    return {one.key: one.members for one in read_split(root / "pack", "train")}


def reasons(done: dict[str, Any]) -> list[dict[str, int]]:
    return [dict(record.rejected) for record in done["records"].values() if record.rejected]


def test_sources_that_were_away_for_a_while_cost_nothing(
    tmp_path: Path, samples: list[Sample], sources: Path, manifest: Manifest, build: Build
) -> None:
    part = manifest(samples)
    golden = build(STAGE, tmp_path / "golden", [part])
    sources.rename(tmp_path / "away")
    for _ in range(2):
        with pytest.raises(ValueError, match="no sample was left to pack"):
            build(STAGE, tmp_path, [part])
    (tmp_path / "away").rename(sources)
    mended = build(STAGE, tmp_path, [part])
    assert mended["content"] == golden["content"]
    assert reasons(mended) == []
    assert verify(tmp_path / "pack").good
    assert build(STAGE, tmp_path, [part])["ran"] == []


@pytest.mark.parametrize("fault", ["missing", "changed"])
def test_one_file_that_comes_back_runs_its_shard_and_no_other(
    tmp_path: Path, samples: list[Sample], manifest: Manifest, build: Build, fault: str
) -> None:
    part = manifest(samples)
    golden = build(STAGE, tmp_path / "golden", [part])
    file = Path(samples[4].media.uri)
    kept = file.read_bytes()
    if fault == "missing":
        file.unlink()
    else:
        file.write_bytes(Path(samples[5].media.uri).read_bytes())
    first = build(STAGE, tmp_path, [part])
    assert reasons(first) == [{"missing_file": 1} if fault == "missing" else {"media_changed": 1}]
    assert build(STAGE, tmp_path, [part])["ran"] == []  # it was looked at, and is as it was
    file.write_bytes(kept)
    mended = build(STAGE, tmp_path, [part])
    assert [unit.endswith(".r1") for unit in mended["ran"]] == [True]
    assert members(tmp_path) == members(tmp_path / "golden")
    assert mended["content"] == golden["content"]
    assert build(STAGE, tmp_path, [part])["ran"] == []


def test_a_file_that_cannot_be_read_is_tried_on_every_run(
    tmp_path: Path, samples: list[Sample], manifest: Manifest, build: Build
) -> None:
    part = manifest(samples)
    golden = build(STAGE, tmp_path / "golden", [part])
    file = Path(samples[4].media.uri)
    kept = file.read_bytes()
    file.unlink()
    file.symlink_to(file)  # opening it is an error that may pass (ELOOP)
    assert reasons(build(STAGE, tmp_path, [part])) == [{"unreadable": 1}]
    for revision in (".r1", ".r2"):
        done = build(STAGE, tmp_path, [part])
        assert [unit.endswith(revision) for unit in done["ran"]] == [True]
    file.unlink()
    file.write_bytes(kept)
    assert build(STAGE, tmp_path, [part])["content"] == golden["content"]
    assert build(STAGE, tmp_path, [part])["ran"] == []


def said_anew(samples: list[Sample]) -> list[Sample]:
    """The samples with another caption of the first one."""
    return [replace(samples[0], captions=(Caption(text="Said anew.", by="vlm:x@1"),)), *samples[1:]]


def test_a_member_of_another_decoder_is_made_again_and_other_shards_stay(
    tmp_path: Path, samples: list[Sample], manifest: Manifest, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(STAGE, tmp_path, [manifest(samples)])
    before = members(tmp_path)
    assert {json.loads(one["json"])["decoded_by"] for one in before.values()} == {codecs.decoders("image")}
    monkeypatch.setattr(codecs, "decoders", lambda kind: "pillow 99.0")
    assert build(STAGE, tmp_path, [manifest(samples)])["ran"] == []  # a new wheel alone rebuilds nothing
    done = build(STAGE, tmp_path, [manifest(said_anew(samples))])
    assert len(done["ran"]) == 1
    by = {key: json.loads(one["json"])["decoded_by"] for key, one in members(tmp_path).items()}
    assert sorted(by.values()).count("pillow 99.0") == 6
    # the next change of the same shard copies; one of another shard does not take over what the old decoder made
    for path in (Path(one.media.uri) for one in samples):
        path.unlink()
    assert by[samples[0].key] == "pillow 99.0"
    assert reasons(build(STAGE, tmp_path, [manifest(samples)])) == []
    other = next(at for at, one in enumerate(samples) if by[one.key] != "pillow 99.0")
    samples[other] = replace(samples[other], captions=(Caption(text="x", by="vlm:x@1"),))
    with_loss = build(STAGE, tmp_path, [manifest(samples)])
    assert reasons(with_loss) == [{"missing_file": 6}]


def test_another_version_of_the_stage_copies_nothing(
    tmp_path: Path,
    samples: list[Sample],
    sources: Path,
    manifest: Manifest,
    build: Build,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    build(STAGE, tmp_path, [manifest(samples)])
    assert read_index(tmp_path / "pack").encoding["version"] == PackShards.contract.version
    shutil.rmtree(sources)
    monkeypatch.setattr(PackShards, "contract", replace(PackShards.contract, version=99))
    assert reasons(build(STAGE, tmp_path, [manifest(said_anew(samples))])) == [{"missing_file": 6}]


def test_a_forced_stage_copies_nothing(
    tmp_path: Path, samples: list[Sample], sources: Path, manifest: Manifest, build: Build
) -> None:
    golden = build(STAGE, tmp_path, [manifest(samples)])
    forced = build(STAGE, tmp_path, [manifest(samples)], forced=True)
    assert len(forced["ran"]) == 4
    assert forced["content"] == golden["content"]
    shutil.rmtree(sources)
    with pytest.raises(ValueError, match="no sample was left to pack"):
        build(STAGE, tmp_path, [manifest(samples)], forced=True)


def test_a_unit_reads_its_own_rows_and_a_dry_plan_writes_nothing(
    tmp_path: Path, samples: list[Sample], manifest: Manifest
) -> None:
    parts = [manifest(samples[at::8], f"part-{at}") for at in range(8)]
    given = [Part(id=path.stem, path=path, content="", rows=3) for path in parts]
    output = Output(stage="source", kind=Kind.MANIFEST, path=tmp_path, content="", parts=tuple(given))
    (tmp_path / "tmp").mkdir()
    ctx = Context(root=tmp_path, out=tmp_path / "pack", tmp=tmp_path / "tmp", folder=tmp_path)
    dry = STAGE.plan([output], replace(ctx, dry=True))
    assert not list(ctx.tmp.iterdir())
    units = STAGE.plan([output], ctx)
    assert [unit.id for unit in units] == [unit.id for unit in dry]
    for path in parts:
        path.unlink()
    with STAGE.open(ctx) as worker:
        results = [worker.process(unit) for unit in units]
    assert [(result.offered, result.accepted) for result in results] == [(6, 6)] * 4
    keys = [key for result in results if result.rows is not None for key in result.rows["key"].unique()]
    assert sorted(keys) == sorted(one.key for one in samples)
    payloads = json.dumps([dict(unit.payload) for unit in units])
    assert not any(one.key in payloads for one in samples)  # what a unit carries does not grow with its rows
