"""A recording as a log-mel picture: time from left to right, low frequencies at the bottom, loud is white.

Sound is resampled to 8 kHz (a heart and a lung are heard below 2 kHz, a cough below 4), cut by a Hann window of 64 ms,
and its power gathered in as many mel bands as the picture has rows: it is computed at the size that is asked for and
never resampled. Mel scale and area-normalised triangles are those of M. Slaney, Auditory Toolbox, Interval Technical
Report 1998-010 (`mfcc.m`): linear below 1 kHz, then 27 steps from 1 to 6.4 kHz. 0 dB is the loudest cell.
"""

from __future__ import annotations

from math import gcd

import numpy as np
import numpy.typing as npt

from shards.audio import Sound
from shards.frames import Frames, chosen_frames
from shards.intake import Skip
from shards.locator import Locator
from shards.reasons import Reason

Floats = npt.NDArray[np.float64]

NOMINAL_PX = (512, 512)
RATE_HZ = 8000
WINDOW = 512  # samples: 64 ms
LONGEST_HOP = 128  # samples: a quarter of the window, so that no click falls between two windows
RANGE_DB = 80.0
SHORTEST_S, LONGEST_S = 0.1, 60.0
_SINC_ZEROS = 32  # zero crossings of the resampler's kernel on each side
_PASSED = 0.95  # of the lower Nyquist frequency
_KAISER_BETA = 9.0  # about 90 dB
_BLOCK = 4096  # outputs, or columns times windows, worked out at a time
_HZ_PER_MEL = 200 / 3
_BREAK_HZ, _BREAK_MEL = 1000.0, 15.0
_LOG_STEP = np.log(6.4) / 27


def to_mel(hz: Floats | float) -> Floats:
    """Slaney's mel of a frequency."""
    hz = np.asarray(hz, np.float64)
    above = _BREAK_MEL + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hz < _BREAK_HZ, hz / _HZ_PER_MEL, above)


def to_hz(mel: Floats | float) -> Floats:
    """Inverse of `to_mel`."""
    mel = np.asarray(mel, np.float64)
    above = _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _BREAK_MEL) - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, mel * _HZ_PER_MEL, above)


def check_length(view: Locator, frames: int, rate_hz: int) -> range:
    """The frames that a locator selects; raises Skip where they are too few or too many for one picture."""
    chosen = chosen_frames(view, frames)
    seconds = len(chosen) / rate_hz
    if seconds < SHORTEST_S:
        raise Skip(Reason.UNSUPPORTED_SIGNAL, f"{seconds:.3g} s of sound, at least {SHORTEST_S:g}")
    if seconds > LONGEST_S:
        raise Skip(Reason.TOO_LARGE, f"{seconds:.4g} s in one picture, at most {LONGEST_S:g}: cut it (AudioPieces)")
    return chosen


def draw_mel(sound: Sound, view: Locator, target_px: tuple[int, int] | None = None) -> Frames:
    """The picture as one frame [1, H, W] of (width, height) `target_px`; raises Skip(BLANK) for silence."""
    width_px, height_px = target_px or NOMINAL_PX
    chosen = check_length(view, len(sound.samples), sound.rate_hz)
    steps = list(sound.notes)
    if len(chosen) < len(sound.samples):
        first, last = chosen.start / sound.rate_hz, chosen.stop / sound.rate_hz
        steps.append(f"{first:g} to {last:g} s of {len(sound.samples) / sound.rate_hz:g} s")
    part = sound.samples[chosen.start : chosen.stop].astype(np.float64)
    if not np.any(part):
        raise Skip(Reason.BLANK, "silence")
    if sound.rate_hz != RATE_HZ:
        part = resampled(part, sound.rate_hz, RATE_HZ)
        steps.append(f"resampled from {sound.rate_hz} to {RATE_HZ} Hz")
        if sound.rate_hz < RATE_HZ:
            steps.append(f"nothing above {sound.rate_hz / 2:g} Hz was recorded")
    power = band_power(part, width_px, height_px)
    loudest = power.max()
    if loudest <= 0:
        raise Skip(Reason.BLANK, "no sound below 4 kHz")
    level_db = 10 * np.log10(np.maximum(power / loudest, 1e-30))
    shown = np.floor(np.clip(1 + level_db / RANGE_DB, 0, 1) * 255 + 0.5).astype(np.uint8)
    steps += [
        f"drawn at {width_px}x{height_px}: {len(chosen) / sound.rate_hz:.6g} s from left to right",
        f"{height_px} mel bands (Slaney) of 0 to {RATE_HZ // 2} Hz from bottom to top, Hann window of 64 ms",
        f"linear from {-RANGE_DB:g} dB (black) to 0 dB (white), which is the loudest cell",
    ]
    return Frames(pixels=np.ascontiguousarray(shown[::-1])[None], steps=tuple(steps), drawn=target_px is not None)


def band_power(samples: Floats, columns: int, bands: int) -> Floats:
    """Mean power [bands, columns], lowest band first, of evenly spaced windows; a column averages those inside it."""
    each = -(-len(samples) // (columns * LONGEST_HOP)) or 1  # windows a column
    centres = np.floor((np.arange(columns * each) + 0.5) * len(samples) / (columns * each)).astype(np.int64)
    padded = np.pad(samples, WINDOW // 2, mode="reflect")
    length = _fft_length(bands)
    weights = filters(bands, length)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    out = np.empty((bands, columns))
    step = max(1, _BLOCK // each)
    for first in range(0, columns, step):
        chosen = centres[first * each : (first + step) * each]
        windows = padded[chosen[:, None] + np.arange(WINDOW)] * hann
        power = np.abs(np.fft.rfft(windows, length, axis=1)) ** 2
        mean = power.reshape(-1, each, power.shape[1]).mean(axis=1)
        out[:, first : first + step] = weights @ mean.T
    return out


def _fft_length(bands: int) -> int:
    """Enough zeros behind the window that the narrowest band has two bins on each of its slopes."""
    narrowest_hz = float(to_hz(to_mel(RATE_HZ / 2) / (bands + 1)))
    length = WINDOW
    while RATE_HZ / length > narrowest_hz / 2:
        length *= 2
    return length


def filters(bands: int, length: int) -> Floats:
    """Triangles of equal area [bands, length // 2 + 1], evenly spaced in mel from 0 to the Nyquist frequency."""
    edges = to_hz(np.linspace(0, float(to_mel(RATE_HZ / 2)), bands + 2))
    hz = np.fft.rfftfreq(length, 1 / RATE_HZ)
    low, peak, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangle = np.minimum((hz - low) / (peak - low), (high - hz) / (high - peak))
    return np.asarray(np.maximum(triangle, 0) * 2 / (high - low))


def resampled(samples: Floats, from_hz: int, to_rate_hz: int) -> Floats:
    """The samples at another rate, by a Kaiser-windowed sinc; outputs of one phase share their weights."""
    common = gcd(from_hz, to_rate_hz)
    up, down = to_rate_hz // common, from_hz // common
    cutoff = _PASSED * min(1.0, to_rate_hz / from_hz) / 2  # cycles a sample
    reach = int(np.ceil(_SINC_ZEROS / (2 * cutoff)))
    offsets = np.arange(-reach + 1, reach + 1)
    out = np.empty(-(-len(samples) * up // down))
    inputs = np.lib.stride_tricks.sliding_window_view(np.pad(samples, (reach - 1, reach + 1)), 2 * reach)
    for phase in range(min(up, len(out))):
        whole, rest = divmod(phase * down, up)
        distance = offsets - rest / up
        window = np.i0(_KAISER_BETA * np.sqrt(np.maximum(0, 1 - (distance / reach) ** 2))) / np.i0(_KAISER_BETA)
        weights = 2 * cutoff * np.sinc(2 * cutoff * distance) * window
        wanted = out[phase::up]
        for first in range(0, len(wanted), _BLOCK):
            count = min(_BLOCK, len(wanted) - first)
            rows = inputs[whole + first * down : whole + (first + count - 1) * down + 1 : down]
            wanted[first : first + count] = rows @ weights
    return out
