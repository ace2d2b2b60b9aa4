"""Inflating: what gzip itself gives, within bounds of memory and time that a file cannot move."""

from __future__ import annotations

import gzip
import time
import zlib

import numpy as np
import pytest

from shards.inflate import GZIP, MAX_MEMBERS, RAW, inflate

PLAIN = np.random.default_rng(0).integers(0, 40, 3_000_000, dtype=np.uint8).tobytes()


@pytest.mark.parametrize("members", [1, 3, 1000])
@pytest.mark.parametrize("zeros", [0, 700])
def test_members_and_padding_are_joined(members: int, zeros: int) -> None:
    size = len(PLAIN) // members
    parts = [gzip.compress(PLAIN[at * size : (at + 1) * size], 1) + bytes(zeros) for at in range(members)]
    assert inflate(b"".join(parts), GZIP, len(PLAIN)) == (PLAIN[: members * size], False)


@pytest.mark.parametrize("most", [0, 1, 255, 256, 1 << 20, len(PLAIN) - 1])
def test_the_bound_holds_and_is_told(most: int) -> None:
    halves = gzip.compress(PLAIN[:1_000_000], 1) + gzip.compress(PLAIN[1_000_000:], 1)
    assert inflate(halves, GZIP, most) == (PLAIN[:most], True)
    raw = zlib.compressobj(1, wbits=RAW)
    assert inflate(raw.compress(PLAIN) + raw.flush() + b"what follows", RAW, len(PLAIN)) == (PLAIN, False)


def test_a_bomb_gives_what_was_asked_for() -> None:
    bomb = gzip.compress(bytes(200_000_000), 9)
    assert inflate(bomb, GZIP, 1000) == (bytes(1000), True)


def test_a_cut_stream_gives_what_it_holds_and_a_damaged_one_is_an_error() -> None:
    packed = gzip.compress(PLAIN, 1)
    held, more = inflate(packed[: len(packed) // 2], GZIP, len(PLAIN))
    assert not more
    assert len(held) > 1_000_000
    assert PLAIN.startswith(held)
    for bad in (packed[:-8] + bytes(8), packed + b"garbage"):
        with pytest.raises(zlib.error):
            inflate(bad, GZIP, len(PLAIN))


def test_many_small_members_take_linear_time() -> None:
    small = gzip.compress(b"x", 1)
    started = time.process_time()
    assert inflate(small * MAX_MEMBERS, GZIP, 1 << 30) == (b"x" * MAX_MEMBERS, False)
    assert time.process_time() - started < 20  # minutes when each member copied the rest
    with pytest.raises(zlib.error, match="members"):
        inflate(small * (MAX_MEMBERS + 1), GZIP, 1 << 30)


def test_padding_of_many_zeros_takes_linear_time() -> None:
    data = gzip.compress(b"x", 1) + bytes(50_000_000) + gzip.compress(b"y", 1)
    started = time.process_time()
    assert inflate(data, GZIP, 10) == (b"xy", False)
    assert time.process_time() - started < 5
