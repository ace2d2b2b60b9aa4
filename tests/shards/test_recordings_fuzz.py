"""Mutated records, sounds, waveforms and slides: each is read, or refused for a reason that is in the list."""

from __future__ import annotations

import runpy
import shutil
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from shards.intake import Skip
from shards.limits import MIB, Limits
from shards.locator import Locator
from shards.manifest import Media
from shards.media import MediaReader
from shards.uri import local_path

HERE = Path(__file__).parent
LIMITS = Limits(max_pixels=4_000_000, max_total_bytes=64 * MIB)
TILE = Locator(level=0, left=0, top=0, width=300, height=300).text()


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("originals")
    ecg, audio, slide = (runpy.run_path(str(HERE / f"test_{name}.py")) for name in ("ecg", "audio", "slide"))
    header = ecg["write_record"](folder, ecg["square"](100))
    wave = folder / "a.wav"
    wave.write_bytes(audio["wave"](audio["tone"](440, 8000, 0.5), 8000))
    picture = slide["slide_picture"]()[256:768, 512:1024]
    waveform = folder / "w.dcm"
    shutil.copy(str(local_path(ecg["URI"])), waveform)
    return {
        "hea": header,
        "wav": wave,
        "dcm": waveform,
        "tif": slide["write_slide"](folder / "a.tif", picture, "pages", compression="jpeg"),
        "svs": slide["write_slide"](folder / "a.svs", picture, "svs", compression="lzw"),
    }


@pytest.mark.parametrize(("kind", "count"), [("hea", 150), ("wav", 60), ("dcm", 40), ("tif", 60), ("svs", 60)])
def test_mutated_files_are_read_or_refused(originals: dict[str, Path], kind: str, count: int, tmp_path: Path) -> None:
    original = originals[kind]
    data = original.read_bytes()
    if kind == "hea":
        shutil.copy(original.with_suffix(".dat"), tmp_path / "r.dat")
    draws = np.random.default_rng(list(kind.encode()))
    outcomes: Counter[str] = Counter()
    for number in range(count):
        changed = bytearray(data)
        reach = len(data) if number % 2 else min(len(data), 2000)  # headers matter most
        for at in draws.integers(0, reach, 1 + number % 6):
            changed[at] = int(draws.integers(256))
        if kind in ("tif", "svs") and number % 3 == 0:  # their directories lie behind
            at = len(data) - 1 - int(draws.integers(min(len(data), 4000)))
            changed[at] = int(draws.integers(256))
        if number % 10 == 9:
            changed = changed[: int(draws.integers(len(changed)))]
        path = tmp_path / f"r.{kind}"
        path.write_bytes(changed)
        locator = TILE if kind in ("tif", "svs") else ""
        started = time.perf_counter()
        try:
            frames = MediaReader(LIMITS).read(Media(uri=str(path), kind="ecg", locator=locator), (64, 64))
            outcomes["read"] += 1
            assert frames.pixels.shape[1] in (64, 300)
        except Skip as skip:
            outcomes[skip.reason.value] += 1
        assert time.perf_counter() - started < 20, bytes(changed[:400])
    assert sum(outcomes.values()) == count
    assert len(outcomes) > 1, outcomes
    assert not {"unexpected_error"} & set(outcomes)
