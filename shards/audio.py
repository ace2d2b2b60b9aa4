"""Sound files as samples of one channel: WAV, FLAC and MP3 through PyAV, checked against what their headers claim.

FFmpeg decodes a cut WAV or FLAC without an error, as it does with videos, so the length that a header states is
compared with what is there (RIFF/WAVE: Microsoft and IBM 1991, chunk `data`; FLAC: RFC 9639 section 8.2). Channels are
averaged; frames of a file are its samples.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shards.foreign import foreign
from shards.intake import Skip
from shards.limits import Limits
from shards.reasons import Reason

RATES_HZ = range(100, 768_001)
MOST_CHANNELS = 64
_STREAMED = (0, 0xFFFFFFFF)  # sizes that writers leave behind which do not know the length


@dataclass(frozen=True, eq=False)
class Sound:
    """A decoded recording."""

    samples: npt.NDArray[np.float32]  # [N], -1 to 1, one channel
    rate_hz: int
    notes: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        return self.samples.nbytes


def read_sound(data: bytes, form: str, limits: Limits) -> Sound:
    """Decode a whole file; `form` is FFmpeg's name of the demuxer. Raises Skip."""
    claimed = _check_wave(data) if form == "wav" else _flac_samples(data) if form == "flac" else 0
    pieces, rate_hz, channels = _decoded(data, form, limits)
    samples = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    if not samples.size or samples.size < claimed:
        raise Skip(Reason.TRUNCATED, f"{samples.size} of {claimed or 'some'} samples")
    notes = [f"mean of {channels} channels"] if channels > 1 else []
    odd = ~np.isfinite(samples)
    if odd.any():
        if odd.mean() > 0.5:
            raise Skip(Reason.CORRUPT, "most samples are not finite")
        notes.append(f"{odd.sum()} samples that are not finite are silence")
        samples[odd] = 0
    return Sound(samples, rate_hz, tuple(notes))


def _decoded(data: bytes, form: str, limits: Limits) -> tuple[list[npt.NDArray[np.float32]], int, int]:
    """Samples of one channel in pieces, their rate, and the channels that were averaged."""
    import av

    pieces: list[npt.NDArray[np.float32]] = []
    found = 0
    with foreign():
        container = av.open(io.BytesIO(data), format=form, metadata_errors="replace", io_open=_refuse)
        try:
            if not container.streams.audio:
                raise Skip(Reason.NO_PIXELS, "no audio stream")
            track = container.streams.audio[0]
            track.codec_context.thread_count = 1
            rate_hz, channels = int(track.codec_context.sample_rate), int(track.codec_context.channels)
            if rate_hz not in RATES_HZ or not 0 < channels <= MOST_CHANNELS:
                raise Skip(Reason.CORRUPT, f"{channels} channels at {rate_hz} Hz")
            for frame in container.decode(track):
                if (frame.sample_rate, len(frame.layout.channels)) != (rate_hz, channels):
                    raise Skip(Reason.UNSUPPORTED_SIGNAL, "rate or channels change within the file")
                found += frame.samples
                limits.check_total(found * 8)
                pieces.append(_one_channel(frame, channels))
        finally:
            container.close()
    return pieces, rate_hz, channels


def _one_channel(frame: Any, channels: int) -> npt.NDArray[np.float32]:
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, channels).T
    if values.dtype == np.uint8:
        scaled = (values.astype(np.float64) - 128) / 128
    elif np.issubdtype(values.dtype, np.integer):
        scaled = values / float(1 << (8 * values.dtype.itemsize - 1))
    else:
        scaled = values.astype(np.float64)
    return np.asarray(scaled.mean(axis=0), np.float32)


def _refuse(url: str, flags: int, options: Any) -> Any:
    raise Skip(Reason.NOT_RECOGNISED, "the recording refers to another file")


def _check_wave(data: bytes) -> int:
    """Samples that a WAV states, 0 where it states none; raises Skip where fewer bytes are there."""
    at, block = 12, 0
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = at + 8
        if name == b"fmt " and body + 14 <= len(data):
            block = int.from_bytes(data[body + 12 : body + 14], "little")
            coded = int.from_bytes(data[body : body + 2], "little") not in (1, 3, 0xFFFE)  # neither PCM nor float
            if not coded and block == 0:
                raise Skip(Reason.CORRUPT, "frames of no bytes")
            block = 0 if coded else block
        if name == b"data":
            if size in _STREAMED:
                return 0
            if body + size > len(data):
                raise Skip(Reason.TRUNCATED, f"{len(data) - body} of {size} bytes of samples")
            return size // block if block else 0
        at = body + size + size % 2
    raise Skip(Reason.TRUNCATED, "no samples")


def _flac_samples(data: bytes) -> int:
    """Samples a channel of STREAMINFO, which comes first; 0 where unknown."""
    if len(data) < 26:
        raise Skip(Reason.TRUNCATED, "no STREAMINFO")
    return (data[21] & 0x0F) << 32 | int.from_bytes(data[22:26], "big")
