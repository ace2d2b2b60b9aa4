"""WFDB records: a text header (.hea) and the signal files beside it, as PhysioNet's sets have them.

Read by an own reader: the `wfdb` package brings matplotlib, pandas and an HTTP client for five formats of whole
numbers, and opens what a header names. Here a header names plain files beside itself and nothing else. Sources:
WFDB Applications Guide, header(5) for the text and signal(5) for the formats. A record is refused rather than guessed
where its signals have several rates, a skew, no gain (10 mm/mV would be a lie) or a checksum that does not fit.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from shards.ecg import MOST_LEADS, Ecg, Values, check_rate, check_values, lead_name, millivolts, named
from shards.intake import Skip
from shards.limits import MIB, Limits
from shards.reasons import Reason

MOST_HEADER_BYTES = MIB
DEFAULT_RATE_HZ = 250.0  # header(5), DEFFREQ
_RECORD = re.compile(
    r"(?P<name>[A-Za-z0-9_-]+)(?P<segments>/\d+)?\s+(?P<signals>\d+)"
    r"(?:\s+(?P<rate>[\d.eE+-]+)(?:/[\d.eE+-]+(?:\([\d.eE+-]+\))?)?(?:\s+(?P<samples>\d+))?)?(?:\s.*)?"
)
_SIGNAL = re.compile(
    r"(?P<file>\S+)\s+(?P<format>\d+)(?:x(?P<each>\d+))?(?::(?P<skew>\d+))?(?:\+(?P<skipped>\d+))?"
    r"(?:\s+(?P<gain>[-\d.eE+]+)(?:\((?P<baseline>[-+]?\d+)\))?(?:/(?P<units>\S+))?"
    r"(?:\s+(?P<bits>\d+)(?:\s+(?P<zero>[-+]?\d+)(?:\s+(?P<first>[-+]?\d+)(?:\s+(?P<checksum>[-+]?\d+)"
    r"(?:\s+(?P<block>\d+)(?:\s+(?P<words>.*))?)?)?)?)?)?)?\s*"
)
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_BITS = {16: 16, 61: 16, 160: 16, 24: 24, 32: 32, 80: 8, 212: 12}  # a sample; signal(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One line of a header."""

    file: str
    format: int
    skipped_bytes: int
    gain: float  # steps of the converter a unit
    baseline: int  # step that is 0
    unit_mv: float | None  # None: no voltage
    checksum: int  # 16-bit sum of the samples; 0 where none is stated
    lead: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a header states."""

    rate_hz: float
    samples: int | None  # of each signal
    signals: tuple[Signal, ...]

    @property
    def files(self) -> list[str]:
        """Names of the signal files, in order, each once."""
        return list(dict.fromkeys(signal.file for signal in self.signals))


def read_header(data: bytes) -> Header:
    """The header in some bytes; raises Skip where it is damaged or names what is not read here."""
    if len(data) > MOST_HEADER_BYTES:
        raise Skip(Reason.TOO_LARGE, f"a header of {len(data)} bytes, at most {MOST_HEADER_BYTES}")
    lines = [line.strip() for line in data.decode("latin-1").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    record = _RECORD.fullmatch(lines[0]) if lines else None
    if record is None:
        raise Skip(Reason.CORRUPT, "the header has no record line")
    if record["segments"]:
        raise Skip(Reason.UNSUPPORTED_SIGNAL, "a record of several segments")
    count = _number(record["signals"])
    if not 0 < count <= MOST_LEADS:
        raise Skip(Reason.CORRUPT if count < 1 else Reason.TOO_LARGE, f"{count:.0f} signals, at most {MOST_LEADS}")
    if len(lines) - 1 < count:
        raise Skip(Reason.TRUNCATED, f"{len(lines) - 1} of {count:.0f} signal lines")
    rate_hz = check_rate(_number(record["rate"])) if record["rate"] else DEFAULT_RATE_HZ
    samples = int(record["samples"] or 0) or None
    signals = tuple(_signal(line) for line in lines[1 : int(count) + 1])
    return Header(rate_hz=rate_hz, samples=samples, signals=signals)


def _signal(line: str) -> Signal:
    found = _SIGNAL.fullmatch(line)
    if found is None:
        raise Skip(Reason.CORRUPT, "a signal line cannot be read")
    if not _FILE_NAME.fullmatch(found["file"]):
        raise Skip(Reason.PATH_ESCAPES, "the header names a signal file that is no plain name beside it")
    form = int(found["format"])
    if form not in _BITS:
        raise Skip(Reason.UNSUPPORTED_SIGNAL, f"signal format {form}; {sorted(_BITS)} are read")
    if int(found["each"] or 1) != 1:
        raise Skip(Reason.UNSUPPORTED_SIGNAL, "signals of several rates")
    if int(found["skew"] or 0):
        raise Skip(Reason.UNSUPPORTED_SIGNAL, "signals with a skew")
    gain = _number(found["gain"] or "0")
    if gain == 0:
        raise Skip(Reason.UNSUPPORTED_SIGNAL, "a gain of 0: the signal has no scale")
    zero = int(found["zero"] or 0)
    return Signal(
        file=found["file"],
        format=form,
        skipped_bytes=int(found["skipped"] or 0),
        gain=gain,
        baseline=int(found["baseline"]) if found["baseline"] else zero,
        unit_mv=millivolts(found["units"] or "mV"),
        checksum=int(found["checksum"] or 0),
        lead=lead_name(found["words"] or ""),
    )


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise Skip(Reason.CORRUPT, "a number of the header cannot be read") from None
    if not np.isfinite(value):
        raise Skip(Reason.CORRUPT, "a number of the header is not finite")
    return value


def read_signals(header: Header, files: Mapping[str, bytes], limits: Limits) -> Ecg:
    """The record of a header and the bytes of its files; raises Skip."""
    found: list[tuple[str | None, Values]] = []
    others = 0
    for name, signals in groupby(header.signals, key=lambda signal: signal.file):
        group = list(signals)
        if len(group) != sum(signal.file == name for signal in header.signals):
            raise Skip(Reason.CORRUPT, "the signals of one file do not stand together")
        steps = _steps(group, files[name], header.samples, limits)
        for signal, column in zip(group, steps.T, strict=True):
            if signal.checksum and (int(column.sum(dtype=np.int64)) - signal.checksum) % 65536:
                raise Skip(Reason.CORRUPT, "the samples do not fit the checksum of the header")
            if signal.unit_mv is None:
                others += 1
                continue
            values = (column.astype(np.float64) - signal.baseline) / signal.gain * signal.unit_mv
            values[column == -(1 << (_BITS[signal.format] - 1))] = np.nan  # signal(5): the lowest value is no sample
            found.append((signal.lead, values))
    if not found:
        raise Skip(Reason.UNSUPPORTED_SIGNAL, "no signal is a voltage")
    if len({len(values) for _, values in found}) > 1:
        raise Skip(Reason.UNSUPPORTED_SIGNAL, "signals of several lengths")
    notes = (f"{others} signals that are no voltage left out",) if others else ()
    return Ecg(check_values(named(found)), header.rate_hz, notes)


def _steps(signals: Sequence[Signal], data: bytes, samples: int | None, limits: Limits) -> npt.NDArray[np.int32]:
    """Steps of the converter [N, signals] of one file."""
    form, skipped = signals[0].format, signals[0].skipped_bytes
    if any((signal.format, signal.skipped_bytes) != (form, skipped) for signal in signals):
        raise Skip(Reason.UNSUPPORTED_SIGNAL, "one file in several formats")
    bits, count = _BITS[form], len(signals)
    there = max(0, len(data) - skipped) * 8 // (bits * count)
    if samples is not None and samples > there:
        raise Skip(Reason.TRUNCATED, f"{there} of {samples} samples")
    samples = there if samples is None else samples
    if samples < 1:
        raise Skip(Reason.TRUNCATED, "no samples")
    limits.check_total(samples * count * 8)
    total = samples * count
    raw = np.frombuffer(data, np.uint8, count=-(-total * bits // 8), offset=skipped)
    return _DECODERS[form](raw)[:total].reshape(samples, count)


def _packed_12(raw: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """Format 212: two samples in three bytes; the low nibble of the second byte tops the first sample."""
    triples = np.pad(raw, (0, -len(raw) % 3)).reshape(-1, 3).astype(np.int32)
    pairs = np.stack([triples[:, 0] | (triples[:, 1] & 0x0F) << 8, triples[:, 2] | (triples[:, 1] >> 4) << 8], axis=1)
    return np.where(pairs >= 1 << 11, pairs - (1 << 12), pairs).astype(np.int32).reshape(-1)


def _packed_24(raw: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    triples = raw.reshape(-1, 3).astype(np.int32)
    steps = triples[:, 0] | triples[:, 1] << 8 | triples[:, 2] << 16
    return np.where(steps >= 1 << 23, steps - (1 << 24), steps).astype(np.int32)


def _plain(dtype: str, offset: int = 0) -> Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.int32]]:
    return lambda raw: (raw.view(dtype).astype(np.int32) - offset).astype(np.int32)


_DECODERS: dict[int, Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.int32]]] = {
    16: _plain("<i2"),
    61: _plain(">i2"),
    160: _plain("<u2", 32768),
    24: _packed_24,
    32: _plain("<i4"),
    80: _plain("u1", 128),
    212: _packed_12,
}


def record_sha256(header: bytes, files: Mapping[str, bytes]) -> str:
    """One hash of a record: of the hashes of its header and then of its files, in the order of the header."""
    digest = hashlib.sha256()
    for data in (header, *files.values()):
        digest.update(hashlib.sha256(data).digest())
    return digest.hexdigest()
