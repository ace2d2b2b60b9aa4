"""Data sets that change: known keys keep their shard, encoded members are copied, a kill costs nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.index import read_index
from shards.manifest import Caption, Sample
from shards.pack import PackShards
from shards.reader import read_split
from shards.shard_plan import PLACES, Place, assign
from shards.verify import verify

Described = Callable[..., list[Sample]]
Manifest = Callable[..., Path]
Build = Callable[..., dict[str, Any]]

OPTIONS: dict[str, Any] = {"preset": "square-64", "shard_samples": 6}
STAGE = PackShards(**OPTIONS)


def inodes(root: Path) -> dict[str, int]:
    return {str(path.relative_to(root)): path.stat().st_ino for path in sorted(root.rglob("*.tar"))}


def places(root: Path) -> dict[str, tuple[str, int]]:
    """Shard of every key, without its revision."""
    shards = read_index(root / "pack")
    found = {}
    for shard in shards.shards:
        place = Place.parse(Path(shard.index).stem)
        assert place is not None
        found.update(dict.fromkeys(shards.members(shard)["key"], (place.split, place.number)))
    return found


@pytest.fixture
def sources(tmp_path: Path, pictures: Path) -> Path:
    """Pictures that a test may take away."""
    return Path(shutil.copytree(pictures, tmp_path / "sources"))


@pytest.fixture
def samples(sources: Path, described: Described) -> list[Sample]:
    return described(sources)


def test_one_new_caption_rewrites_one_shard_and_decodes_nothing(
    tmp_path: Path, samples: list[Sample], sources: Path, manifest: Manifest, build: Build
) -> None:
    build(STAGE, tmp_path, [manifest(samples)])
    before, old = inodes(tmp_path), {one.key: one.members for one in read_split(tmp_path / "pack", "train")}
    shutil.rmtree(sources)
    again = Caption(text="Said anew.", by="vlm:x@1")
    at = next(at for at, one in enumerate(samples) if one.split == "train")
    samples[at] = replace(samples[at], captions=(again, *samples[at].captions))
    done = build(STAGE, tmp_path, [manifest(samples)])
    assert len(done["ran"]) == 1
    assert not any(record.rejected for record in done["records"].values())
    after, new = inodes(tmp_path), {one.key: one.members for one in read_split(tmp_path / "pack", "train")}
    assert len(before.items() & after.items()) == len(before) - 1  # the others are the same files
    (path,) = set(after) - set(before)
    assert path.endswith(".r1.tar")
    assert len(after) == len(before)  # the old revision was swept
    changed = [key for key in old if old[key] != new[key]]
    assert changed == [samples[at].key]
    assert new[changed[0]]["jpg"] == old[changed[0]]["jpg"]
    assert new[changed[0]]["txt"] == b"Said anew."
    assert json.loads(new[changed[0]]["json"])["captions"][1]["by"] == "template@1"
    assert verify(tmp_path / "pack").good


def test_the_result_of_a_change_equals_the_result_of_a_build_from_scratch(
    tmp_path: Path, samples: list[Sample], manifest: Manifest, build: Build
) -> None:
    build(STAGE, tmp_path / "a", [manifest(samples)])
    samples = [replace(one, captions=(Caption(text=f"New {one.key}", by="vlm:x@1"),)) for one in samples]
    changed = build(STAGE, tmp_path / "a", [manifest(samples)])
    fresh = build(STAGE, tmp_path / "b", [manifest(samples)])
    names = [shard.path for shard in read_index(tmp_path / "a/pack").shards]
    assert all(name.endswith(".r1.tar") for name in names)
    assert [(tmp_path / "a/pack" / name).read_bytes() for name in names] == [
        (tmp_path / "b/pack" / name.replace(".r1", "")).read_bytes() for name in names
    ]
    assert changed["content"] == fresh["content"]  # what comes after need not run again


def test_new_samples_fill_new_shards_and_removed_ones_leave_a_smaller_one(
    tmp_path: Path, samples: list[Sample], manifest: Manifest, build: Build
) -> None:
    first = samples[:15]
    build(STAGE, tmp_path, [manifest(first)])
    kept, files = places(tmp_path), inodes(tmp_path)
    done = build(STAGE, tmp_path, [manifest(samples)])
    assert {key: place for key, place in places(tmp_path).items() if key in kept} == kept
    assert files.items() <= inodes(tmp_path).items()
    last = {split: max(number for of, number in kept.values() if of == split) for split, _ in kept.values()}
    assert all(number > last[split] for key, (split, number) in places(tmp_path).items() if key not in kept)
    assert len(done["ran"]) == len(inodes(tmp_path)) - len(files)
    gone = samples[4].key
    assert samples[4].split == "train"
    done = build(STAGE, tmp_path, [manifest([one for one in samples if one.key != gone])])
    assert done["ran"] == [Place(kept[gone][0], "medloom", kept[gone][1], 1).unit]
    assert gone not in places(tmp_path)
    assert all(gone not in path.read_bytes().decode("latin-1") for path in (tmp_path / "pack").rglob("*.tar"))
    assert verify(tmp_path / "pack").good


def test_a_sample_whose_split_changes_leaves_its_shard(
    tmp_path: Path, samples: list[Sample], sources: Path, manifest: Manifest, build: Build
) -> None:
    build(STAGE, tmp_path, [manifest(samples)])
    at = next(at for at, one in enumerate(samples) if one.split == "train")
    shutil.rmtree(sources)
    samples[at] = replace(samples[at], split="test")
    done = build(STAGE, tmp_path, [manifest(samples)])
    assert len(done["ran"]) == 2
    assert places(tmp_path)[samples[at].key] == ("test", 2)  # copied over, though its source is gone
    assert verify(tmp_path / "pack").good


def test_repack_starts_a_new_plan_and_still_copies(
    tmp_path: Path, samples: list[Sample], sources: Path, manifest: Manifest, build: Build
) -> None:
    build(STAGE, tmp_path, [manifest(samples[::2])])
    build(STAGE, tmp_path, [manifest(samples)])
    uneven = [shard.samples for shard in read_index(tmp_path / "pack").shards]
    shutil.rmtree(sources)
    build(PackShards(**OPTIONS, repack="spring"), tmp_path, [manifest(samples)])
    even = read_index(tmp_path / "pack")
    assert sorted(uneven) != sorted(shard.samples for shard in even.shards)
    assert [shard.samples for shard in even.shards] == [6, 2, 6, 6, 4]
    assert even.splits == {"test": 8, "train": 16}
    fresh = build(PackShards(**OPTIONS, repack="spring"), tmp_path, [manifest(samples)])
    assert fresh["ran"] == []
    assert verify(tmp_path / "pack").good


@pytest.mark.parametrize("option", [{"preset": "square-32"}, {"quality": 50}, {"media": "png"}])
def test_another_encoding_is_made_from_the_sources(
    tmp_path: Path, samples: list[Sample], sources: Path, manifest: Manifest, build: Build, option: dict[str, Any]
) -> None:
    build(STAGE, tmp_path, [manifest(samples)])
    done = build(PackShards(**{**OPTIONS, **option}), tmp_path, [manifest(samples)])
    assert len(done["ran"]) == 5
    assert verify(tmp_path / "pack").good
    (sources / "ihc-0.png").unlink()
    done = build(STAGE, tmp_path, [manifest(samples)])
    assert [dict(r.rejected) for r in done["records"].values() if r.rejected] == [{"missing_file": 1}]


def test_a_changed_source_is_never_copied_from_the_old_shard(
    tmp_path: Path, samples: list[Sample], sources: Path, described: Described, manifest: Manifest, build: Build
) -> None:
    build(STAGE, tmp_path, [manifest(samples)])
    old = {one.key: one.members["jpg"] for one in read_split(tmp_path / "pack", "train")}
    at = next(at for at, one in enumerate(samples) if one.split == "train")
    Path(samples[at].media.uri).write_bytes((sources / "retina-7.png").read_bytes())
    renewed = described([samples[at].media.uri])[0].media
    samples[at] = replace(samples[at], media=renewed)
    build(STAGE, tmp_path, [manifest(samples)])
    new = {one.key: one.members["jpg"] for one in read_split(tmp_path / "pack", "train")}
    assert [key for key in old if old[key] != new[key]] == [samples[at].key]


def test_a_damaged_member_is_made_again_and_not_copied(
    tmp_path: Path, samples: list[Sample], manifest: Manifest, build: Build
) -> None:
    build(STAGE, tmp_path, [manifest(samples)])
    shards = read_index(tmp_path / "pack")
    good = {one.key: one.members["jpg"] for one in read_split(shards, "test")}
    shard = shards.of("test")[0]
    offset = shards.members(shard)["offset"][0]
    path = tmp_path / "pack" / shard.path
    data = bytearray(path.read_bytes())
    data[offset + 40] ^= 1
    path.write_bytes(data)
    samples = [replace(one, captions=(Caption(text="New.", by="vlm:x@1"),)) for one in samples]
    build(STAGE, tmp_path, [manifest(samples)])
    assert {one.key: one.members["jpg"] for one in read_split(tmp_path / "pack", "test")} == good
    assert verify(tmp_path / "pack").good


def test_a_damaged_index_is_built_again(
    tmp_path: Path, samples: list[Sample], manifest: Manifest, build: Build
) -> None:
    build(STAGE, tmp_path, [manifest(samples)])
    before = (tmp_path / "pack" / "index.json").read_bytes()
    (tmp_path / "pack" / "index.json").write_bytes(before[:-30])
    build(STAGE, tmp_path, [manifest(samples)])
    assert (tmp_path / "pack" / "index.json").read_bytes() == before


# seven events a unit: rename of the tar, its temporary name, part, its temporary name, rejects, record, its temporary
# name; then index.json, its temporary name, the sweep of five tars, the sweep of units
KILL_POINTS = (1, 3, 6, 8, 22, 23, 25, 30)


@pytest.mark.long
def test_a_kill_before_any_rename_or_removal_costs_nothing(
    tmp_path: Path, samples: list[Sample], manifest: Manifest, build: Build
) -> None:
    """A first build and a change of it, killed at points from the first tar to the sweep after the commit."""
    script = Path(__file__).with_name("build_stage.py")
    first = manifest(samples, "first")
    second = manifest(
        [replace(one, captions=(Caption(text="N", by="vlm:x@1"),)) for one in samples if one.split == "train"], "second"
    )

    def run(root: Path, part: Path, kill: int) -> int:
        command = [sys.executable, str(script), str(root), str(part), str(kill), json.dumps(OPTIONS)]
        done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, check=False)
        assert done.returncode in (0, 9), done.stderr.decode()
        return done.returncode

    def state(root: Path) -> dict[str, bytes]:
        wanted = [*root.rglob("*.tar"), root / "pack" / "index.json"]
        return {str(path.relative_to(root)): path.read_bytes() for path in wanted}

    golden = tmp_path / "golden"
    build(STAGE, golden, [first])
    after_first = state(golden)
    build(STAGE, golden, [second])
    after_second = state(golden)
    assert after_first.keys() != after_second.keys()
    killed, same = 0, []
    for point in KILL_POINTS:
        root = tmp_path / f"kill-{point}"
        build(STAGE, root, [first])
        killed += run(root, second, point) == 9
        visible = read_index(root / "pack")  # a reader in between sees the old set or the new one, and it is whole
        assert verify_listed(root / "pack")
        assert visible.splits == ({"train": 16} if point > 22 else {"test": 8, "train": 16})
        build(STAGE, root, [second])
        same += [point] if state(root) == after_second else []
    print(f"byte-identical resumes/kills: {len(same)}/{killed}")
    assert killed == len(KILL_POINTS)
    assert same == [*KILL_POINTS]
    fresh = tmp_path / "fresh"
    for point in (3, 36):
        shutil.rmtree(fresh, ignore_errors=True)
        assert run(fresh, first, point) == 9
        assert not (fresh / "pack" / "index.json").exists()
        build(STAGE, fresh, [first])
        assert state(fresh) == after_first, point


def verify_listed(folder: Path) -> bool:
    problems = [problem for problem in verify(folder).problems if problem.code != "unlisted_shard"]
    assert problems == []
    return True


ROWS = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=4),
    st.tuples(st.sampled_from(["train", "test"]), st.sampled_from("xyz")),
    max_size=40,
)


@settings(max_examples=80, deadline=None)
@given(first=ROWS, second=ROWS, size=st.integers(1, 7))
def test_the_plan_is_append_only(
    first: dict[str, tuple[str, str]], second: dict[str, tuple[str, str]], size: int
) -> None:
    def table(rows: dict[str, tuple[str, str]]) -> pl.DataFrame:
        return pl.DataFrame(
            [(key, split, group) for key, (split, group) in rows.items()],
            schema={"key": pl.String, "split": pl.String, "group": pl.String},
            orient="row",
        )

    def plan(rows: dict[str, tuple[str, str]], known: pl.DataFrame) -> dict[str, tuple[str, int]]:
        placed = assign(table(rows), known, size)
        assert sorted(placed["key"]) == sorted(rows)
        return {key: (split, number) for key, split, number in placed.iter_rows()}

    old = plan(first, pl.DataFrame(schema=PLACES))
    known = pl.DataFrame([(key, *place, "unit") for key, place in old.items()], schema=PLACES, orient="row")
    new = plan({**first, **second}, known)
    assert plan(dict(reversed(list(first.items()))), pl.DataFrame(schema=PLACES)) == old  # no order of rows counts
    highest = {split: max(n for s, n in old.values() if s == split) for split, _ in old.values()}
    counts: dict[tuple[str, int], int] = {}
    for key, (split, number) in new.items():
        counts[split, number] = counts.get((split, number), 0) + 1
        moved = key not in first or {**first, **second}[key][0] != first[key][0]
        assert number > highest.get(split, -1) if moved else old[key] == (split, number)
    assert all(count <= size for count in counts.values())


def test_a_full_disk_fails_the_unit_and_rejects_nothing(
    tmp_path: Path, samples: list[Sample], manifest: Manifest, build: Build
) -> None:
    part = manifest(samples)
    build(STAGE, tmp_path / "golden", [part])
    script = Path(__file__).with_name("build_stage.py")
    # no file may grow beyond 16 KiB: the first write that meets the limit gets EFBIG, like ENOSPC on a full disk
    command = ["bash", "-c", 'ulimit -f 16 && exec "$@"', "bash", sys.executable, str(script), str(tmp_path / "root")]
    full = [*command, str(part), "0", json.dumps(OPTIONS)]
    failed = subprocess.run(full, cwd=Path(__file__).parents[2], capture_output=True, check=False, text=True)
    assert failed.returncode == 1
    assert "OSError: [Errno 27] File too large" in failed.stderr
    left = [path for path in (tmp_path / "root").rglob("*") if path.is_file() and "tmp" not in path.parent.name]
    assert [path for path in left if path.suffix == ".tar" or path.parent.name == "rejects"] == []
    build(STAGE, tmp_path / "root", [part])
    assert [path.read_bytes() for path in sorted((tmp_path / "root").rglob("*.tar"))] == [
        path.read_bytes() for path in sorted((tmp_path / "golden").rglob("*.tar"))
    ]


@pytest.mark.parametrize(("fault", "forced"), [("cut", False), ("gone", False), ("cut", True), ("overwritten", True)])
def test_a_damaged_index_of_a_shard_is_made_again_by_the_next_run(
    tmp_path: Path,
    pictures: Path,
    described: Described,
    manifest: Manifest,
    build: Build,
    fault: str,
    forced: bool,
) -> None:
    """Every sample keeps its shard, and the bytes are those of before. What has its size is only seen by `verify`."""
    part = manifest([replace(one, split="train") for one in described(pictures)])
    before = build(STAGE, tmp_path, [part])
    parts = sorted((tmp_path / "pack" / "parts").iterdir())
    assert len(parts) == 4
    data = parts[1].read_bytes()
    if fault == "gone":
        parts[1].unlink()
    else:
        parts[1].write_bytes(data[:40] + bytes(len(data) - 80) + data[-40:] if fault == "overwritten" else data[:-9])
    assert not verify(tmp_path / "pack").good
    done = build(STAGE, tmp_path, [part], forced=forced)
    assert len(done["ran"]) == (4 if forced else 1)
    assert done["content"] == before["content"]
    assert verify(tmp_path / "pack").good
