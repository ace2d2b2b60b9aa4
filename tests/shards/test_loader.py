"""The loader: same samples for every world, exact resume, damage replaced and limited."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shards.index import ShardSet
from shards.loader import FREE_DAMAGED, StreamLoader
from shards.reader import DamagedSample, RawSample, read_split
from shards.stage import UserError

MakeShards = Callable[..., ShardSet]


def keys(loader: StreamLoader, batches: int) -> list[list[str]]:
    return [[sample.key for sample in batch] for batch in islice(loader, batches)]


def merged(ranks: list[list[list[str]]]) -> list[list[str]]:
    """Global batches from those of the ranks: rank r holds the positions r, r + n, ..."""
    return [[key for group in zip(*parts, strict=True) for key in group] for parts in zip(*ranks, strict=True)]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=5),
    world=st.sampled_from([1, 2, 3, 4]),
    per_rank=st.integers(1, 4),
    window=st.integers(1, 6),
    skip=st.integers(0, 9),
)
def test_world_size_resume_and_epochs(
    make_shards: MakeShards, sizes: list[int], world: int, per_rank: int, window: int, skip: int
) -> None:
    batch = world * per_rank
    total = sum(sizes)
    made: ShardSet = make_shards({"train": sizes})

    def loader(rank: int, ranks: int, start: int = 0) -> StreamLoader:
        return StreamLoader(made, "train", 5, batch, rank=rank, world=ranks, window_shards=window, start_samples=start)

    if total < batch:
        with pytest.raises(ValueError, match="fewer than one global batch"):
            loader(0, world)
        return
    count = skip + 2 * -(-total // batch)
    alone = keys(loader(0, 1), count)
    assert merged([keys(loader(rank, world), count) for rank in range(world)]) == alone
    stream = [key for one in alone for key in one]
    everything = sorted(sample.key for sample in read_split(made, "train"))
    assert sorted(stream[:total]) == everything  # an epoch holds each sample once,
    assert sorted(stream[total : 2 * total]) == everything  # and the next one starts right after it
    assert keys(loader(0, 1, start=skip * batch), count - skip) == alone[skip:]


def test_resume_reads_nothing_that_came_before(make_shards: MakeShards) -> None:
    made = make_shards({"train": [50] * 20})
    resumed = StreamLoader(made, "train", 1, 8, start_samples=8 * 10**9, window_shards=4)
    next(iter(resumed))
    assert resumed.reader.samples_read == 8
    assert resumed.state == 8 * 10**9 + 8


def test_members_are_what_was_written(make_shards: MakeShards) -> None:
    made = make_shards({"train": [7, 9], "val": [3]})
    for batch in islice(StreamLoader(made, "train", 0, 4), 8):
        for sample in batch:
            assert list(sample.members) == ["jpg", "txt", "json"]
            assert sample.members["txt"] == sample.key.encode()
    assert [sample.key[:3] for sample in read_split(made.folder, "val")] == ["val"] * 3
    assert [sample.position for sample in read_split(made.folder, "val")] == [0, 1, 2]


def test_a_worker_that_gets_a_pickled_loader_reads_the_same(make_shards: MakeShards) -> None:
    loader = StreamLoader(make_shards({"train": [9, 9]}), "train", 0, 4)
    first = keys(loader, 2)
    copy = pickle.loads(pickle.dumps(loader))
    copy.state = 0
    assert keys(copy, 2) == first
    assert [loader.take(position).key for position in copy.positions(4)] == first[1]


def flip(made: ShardSet, key: str) -> None:
    """Invert one byte of the media member of `key`."""
    for shard in made.shards:
        rows = made.members(shard)
        for row_key, member, offset, _, _ in rows.iter_rows():
            if row_key == key and member.endswith(".jpg"):
                path = Path(made.folder) / shard.path
                data = bytearray(path.read_bytes())
                data[offset] ^= 1
                path.write_bytes(data)
                return
    raise AssertionError(key)


def test_a_damaged_sample_is_replaced_the_same_way_on_every_rank(
    make_shards: MakeShards, caplog: pytest.LogCaptureFixture
) -> None:
    made = make_shards({"train": [10, 10, 10]})
    sound = StreamLoader(made, "train", 2, 6)
    stream = [key for batch in keys(sound, 10) for key in batch]
    bad = {stream[7], stream[8]}
    for key in bad:
        flip(made, key)
    with caplog.at_level(logging.WARNING):
        ranks = [keys(StreamLoader(made, "train", 2, 6, rank=rank, world=2), 10) for rank in range(2)]
    assert all(key in caplog.text for key in bad)
    replaced = [key for batch in merged(ranks) for key in batch]
    assert len(replaced) == len(stream)
    assert bad.isdisjoint(replaced)
    assert [(at, new) for at, (new, old) in enumerate(zip(replaced, stream, strict=True)) if new != old][:2] == [
        (7, stream[9]),
        (8, stream[9]),
    ]
    assert sum(new != old for new, old in zip(replaced, stream, strict=True)) == 4  # two samples, two epochs


def test_the_last_sample_of_an_epoch_is_replaced_from_its_start(make_shards: MakeShards) -> None:
    made = make_shards({"train": [4]})
    stream = [key for batch in keys(StreamLoader(made, "train", 0, 2), 2) for key in batch]
    flip(made, stream[3])
    assert StreamLoader(made, "train", 0, 2).take(3).key == stream[0]


def test_a_replacement_keeps_its_position_for_its_draws(make_shards: MakeShards) -> None:
    made = make_shards({"train": [6]})
    loader = StreamLoader(made, "train", 0, 2)
    bad = loader.take(1).key
    flip(made, bad)
    fresh = StreamLoader(made, "train", 0, 2)
    assert fresh.take(1) == RawSample(1, loader.take(2).key, loader.take(2).members)


def test_what_does_not_decode_is_replaced_too(make_shards: MakeShards) -> None:
    loader = StreamLoader(make_shards({"train": [6]}), "train", 0, 2)
    bad = loader.take(3).key

    def decode(sample: RawSample) -> str:
        if sample.key == bad:
            raise DamagedSample(f"{bad} does not decode")
        return sample.key

    assert loader.decoded(3, decode) == loader.take(4).key


def test_too_much_damage_stops_the_run(make_shards: MakeShards) -> None:
    made = make_shards({"train": [40]})
    for sample in list(read_split(made, "train"))[: FREE_DAMAGED + 1]:
        flip(made, sample.key)
    with pytest.raises(UserError, match="medloom verify"):
        keys(StreamLoader(made, "train", 0, 4), 10)


def test_a_damaged_sample_counts_once_in_all_epochs_and_resumed_runs(make_shards: MakeShards) -> None:
    made = make_shards({"train": [40]})
    for sample in list(read_split(made, "train"))[:FREE_DAMAGED]:
        flip(made, sample.key)
    loader = StreamLoader(made, "train", 0, 4)
    undisturbed = keys(loader, 200)  # twenty epochs
    assert len(loader.damaged) == FREE_DAMAGED
    resumed = StreamLoader(made, "train", 0, 4, start_samples=400)
    assert keys(resumed, 100) == undisturbed[100:]
    assert resumed.damaged == loader.damaged


def test_a_missing_or_cut_shard_is_named(make_shards: MakeShards) -> None:
    made = make_shards({"train": [5]})
    path = Path(made.folder) / made.shards[0].path
    path.write_bytes(path.read_bytes()[:-512])
    with pytest.raises(OSError, match=r"x-000000\.tar has .* bytes and the index says"):
        next(iter(StreamLoader(made, "train", 0, 4)))
    path.unlink()
    with pytest.raises(FileNotFoundError):
        next(iter(StreamLoader(made, "train", 0, 4)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"global_batch": 7, "world": 2}, "cannot be shared by 2 ranks"),
        ({"rank": 2, "world": 2}, "is not one of 2 ranks"),
        ({"global_batch": 64}, "fewer than one global batch"),
        ({"global_batch": 0}, "cannot be shared"),
        ({"split": "test"}, "choose one of train"),
        ({"start_samples": -1}, "samples seen"),
    ],
)
def test_mistakes_are_named_before_anything_is_read(
    make_shards: MakeShards, change: dict[str, Any], message: str
) -> None:
    made = make_shards({"train": [10]})
    (Path(made.folder) / made.shards[0].path).unlink()
    options: dict[str, Any] = {"split": "train", "seed": 0, "global_batch": 4, **change}
    with pytest.raises(ValueError, match=message):
        StreamLoader(made, **options)
