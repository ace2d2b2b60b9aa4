"""Sound as log-mel pictures: where a tone and a chirp lie, what is resampled and cut, and hostile files as rejects."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from shards.audio import Sound, read_sound
from shards.intake import Skip
from shards.limits import Limits
from shards.locator import Locator
from shards.manifest import Media
from shards.media import MediaReader
from shards.mel import draw_mel, filters, resampled, to_hz, to_mel

Floats = npt.NDArray[np.float64]


def wave(samples: Floats, rate: int, *, bits: int = 16, claims: int | None = None, channels: int = 1) -> bytes:
    """A WAV as the standard has it; `claims`: bytes that the header states."""
    if bits == 32:
        data, tag = samples.astype("<f4").tobytes(), 3
    elif bits == 8:
        data, tag = (samples * 127 + 128).round().astype("u1").tobytes(), 1
    else:
        data, tag = (samples * 32767).round().astype("<i2").tobytes(), 1
    block = bits // 8 * channels
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits)
    size = len(data) if claims is None else claims
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"LIST\x04\0\0\0Anna" + b"data" + struct.pack("<I", size) + data
    return b"RIFF" + struct.pack("<I", min(len(body), 2**32 - 1)) + body


def tone(hz: float, rate: int, seconds: float = 3.0) -> Floats:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)


def centres(bands: int) -> Floats:
    """Middle frequency of each row, bottom first."""
    return to_hz(np.linspace(0, float(to_mel(4000.0)), bands + 2))[1:-1]


def read(path: Path, size: tuple[int, int] | None = None, **where: Any) -> Any:
    return MediaReader().read(Media(uri=str(path), kind="audio", locator=Locator(**where).text()), size)


def refused(path: Path, **where: Any) -> tuple[str, str]:
    with pytest.raises(Skip) as skip:
        read(path, **where)
    return skip.value.reason.value, skip.value.detail


def test_the_mel_scale_is_slaneys() -> None:
    assert float(to_mel(1000.0)) == 15
    assert float(to_mel(6400.0)) == pytest.approx(42)
    np.testing.assert_allclose(to_hz(to_mel(np.array([0.0, 300, 999, 1001, 3900]))), [0, 300, 999, 1001, 3900])
    area = filters(40, 4096).sum(axis=1) * 8000 / 4096
    np.testing.assert_allclose(area, 1, rtol=0.02)


@pytest.mark.parametrize("rate", [4000, 8000, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("size", [(256, 256), (384, 512)])
def test_440_hz_lie_in_their_row_whatever_the_rate(tmp_path: Path, rate: int, size: tuple[int, int]) -> None:
    (tmp_path / "a.wav").write_bytes(wave(tone(440, rate), rate))
    frames = read(tmp_path / "a.wav", size)
    assert frames.pixels.shape == (1, size[1], size[0])
    inner = frames.pixels[0][:, size[0] // 8 : -size[0] // 8]
    expected = size[1] - 1 - np.abs(centres(size[1]) - 440).argmin()
    assert set(inner.argmax(axis=0)) <= {expected - 1, expected, expected + 1}
    assert inner.max() == 255
    far = np.r_[0 : expected - size[1] // 8, expected + size[1] // 8 : size[1]]
    assert inner[far].max() < 60, "nothing within 60 dB elsewhere"
    assert (f"resampled from {rate} to 8000 Hz" in frames.steps) == (rate != 8000)
    assert ("nothing above 2000 Hz was recorded" in frames.steps) == (rate == 4000)


def test_the_ridge_of_a_chirp_rises_from_left_to_right(tmp_path: Path) -> None:
    rate, seconds, low, high = 16000, 8.0, 100.0, 3500.0
    t = np.arange(int(rate * seconds)) / rate
    (tmp_path / "a.wav").write_bytes(
        wave(0.5 * np.sin(2 * np.pi * (low * t + (high - low) / seconds / 2 * t**2)), rate)
    )
    frames = read(tmp_path / "a.wav", (400, 300))
    ridge = 299 - frames.pixels[0].argmax(axis=0)
    for column in range(5, 395):
        now = low + (high - low) * (column + 0.5) / 400
        assert abs(ridge[column] - np.abs(centres(300) - now).argmin()) <= 3, column
    assert "drawn at 400x300: 8 s from left to right" in frames.steps


def test_a_click_lies_in_its_column_and_none_is_lost(tmp_path: Path) -> None:
    """A minute in 64 columns: each column averages all windows inside it, so 2 ms are still seen."""
    samples = np.zeros(8000 * 60)
    samples[8000 * 20 : 8000 * 20 + 16] = 0.9
    (tmp_path / "a.wav").write_bytes(wave(samples, 8000))
    shown = read(tmp_path / "a.wav", (64, 64)).pixels[0]
    assert shown.max(axis=0).argmax() == 64 // 3
    assert np.flatnonzero(shown.max(axis=0) > 0).tolist() == [21]


@pytest.mark.parametrize(("from_hz", "hz"), [(44100, 1000.0), (4000, 500.0), (11025, 3000.0), (8001, 700.0)])
def test_resampling_keeps_a_tone(from_hz: int, hz: float) -> None:
    out = resampled(tone(hz, from_hz, 1.0), from_hz, 8000)
    inner = slice(800, -800)
    np.testing.assert_allclose(out[inner], tone(hz, 8000, 1.0)[: len(out)][inner], atol=2e-3)


def test_what_lies_above_the_new_band_is_gone(tmp_path: Path) -> None:
    assert np.abs(resampled(tone(6000, 44100, 1.0), 44100, 8000)[800:-800]).max() < 1e-3


def test_a_part_is_drawn_and_the_rest_does_not_sound(tmp_path: Path) -> None:
    both = np.concatenate([tone(300, 8000), tone(2000, 8000)])
    (tmp_path / "a.wav").write_bytes(wave(both, 8000))
    frames = read(tmp_path / "a.wav", (64, 128), frame_start=24000, frame_stop=48000)
    assert "3 to 6 s of 6 s" in frames.steps
    assert abs(127 - frames.pixels[0].argmax(axis=0) - np.abs(centres(128) - 2000).argmin()).max() <= 1
    assert refused(tmp_path / "a.wav", frame_start=24000, frame_stop=48001)[0] == "bad_row"
    assert refused(tmp_path / "a.wav", frame_start=24000, frame_stop=24100)[0] == "unsupported_signal"


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_values_are_those_that_were_written(bits: int) -> None:
    samples = tone(100, 8000, 0.5)
    sound = read_sound(wave(samples, 8000, bits=bits), "wav", Limits())
    np.testing.assert_allclose(sound.samples, samples, atol={8: 0.01, 16: 1e-4, 32: 1e-7}[bits])
    stereo = np.stack([samples, -samples], axis=1).reshape(-1)
    stereo[::2] *= 0.5
    two = read_sound(wave(stereo, 8000, channels=2, bits=32), "wav", Limits())
    np.testing.assert_allclose(two.samples, -samples / 4, atol=1e-6)
    assert two.notes == ("mean of 2 channels",)


@pytest.mark.parametrize(("form", "codec"), [("flac", "flac"), ("mp3", "libmp3lame")])
def test_flac_and_mp3_are_read(tmp_path: Path, form: str, codec: str) -> None:
    stream = io.BytesIO()
    with av.open(stream, "w", format=form) as container:
        track = container.add_stream(codec, rate=44100, layout="mono")
        for first in range(0, 88200, 1152):
            part = (tone(440, 44100, 2.0)[first : first + 1152] * 32767).astype(np.int16)[None]
            form_of = "s16" if form == "flac" else "s16p"
            frame = av.AudioFrame.from_ndarray(part, format=form_of, layout="mono")
            frame.sample_rate = 44100
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
    data = stream.getvalue()
    (tmp_path / "a").write_bytes(data)
    facts = MediaReader().facts(str(tmp_path / "a"))
    assert (facts.kind, facts.width_px, facts.height_px, facts.frames, facts.fps) == ("audio", 512, 512, 1, None)
    shown = read(tmp_path / "a", (128, 128)).pixels[0]
    assert abs(127 - shown[:, 20:100].argmax(axis=0) - np.abs(centres(128) - 440).argmin()).max() <= 1
    if form == "flac":
        (tmp_path / "a").write_bytes(data[: len(data) // 2])
        assert refused(tmp_path / "a")[0] in ("truncated", "corrupt")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (wave(tone(440, 8000), 8000)[:-1], "truncated"),
        (wave(tone(440, 8000), 8000, claims=4_000_000_000), "truncated"),
        (wave(tone(440, 8000), 8000)[:40], "truncated"),
        (wave(np.zeros(0), 8000), "truncated"),
        (wave(tone(440, 8000), 8000, channels=0), "corrupt"),
        (wave(tone(440, 8000), 0), "corrupt"),
        (wave(tone(440, 8000), 2_000_000_000), "corrupt"),
        (wave(np.zeros(24000), 8000), "blank"),
        (wave(np.full(24000, np.nan), 8000, bits=32), "corrupt"),
        (wave(tone(440, 8000, 0.05), 8000), "unsupported_signal"),
        (wave(tone(440, 8000, 61), 8000), "too_large"),
        (b"fLaC" + bytes(100), "corrupt"),
        (b"ID3\x03\0\0\0\0\0\x7f" + bytes(500), "corrupt"),
    ],
)
def test_hostile_sounds_are_rejects(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "a").write_bytes(data)
    assert refused(tmp_path / "a")[0] == reason


def test_a_stray_value_that_is_not_finite_is_silence() -> None:
    samples = tone(440, 8000)
    samples[7] = np.inf
    sound = read_sound(wave(samples, 8000, bits=32), "wav", Limits())
    assert sound.notes == ("1 samples that are not finite are silence",)
    assert draw_mel(sound, Locator()).pixels.shape == (1, 512, 512)


def test_the_same_sound_gives_the_same_bytes() -> None:
    sound = Sound(tone(440, 44100).astype(np.float32), 44100)
    assert (draw_mel(sound, Locator(), (96, 80)).pixels == draw_mel(sound, Locator(), (96, 80)).pixels).all()
