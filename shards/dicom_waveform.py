"""Electrocardiograms in DICOM (PS3.3 A.34 and C.10.9): of several groups of channels, the one that shows most leads.

Channels are known by code (MDC 2:n, SCP-ECG 5.6.3-9-n of PS3.16 CID 3001) or by the code's meaning, never by a label
that somebody typed. A channel without a stated sensitivity has no scale, so its object is refused.
"""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import Any

import numpy as np

from shards.dicom_file import parse_dataset
from shards.dicom_groups import text
from shards.ecg import MOST_LEADS, STANDARD, Ecg, Values, check_rate, check_values, lead_name, millivolts, named
from shards.foreign import foreign
from shards.intake import Skip
from shards.limits import Limits
from shards.reasons import Reason

_ECG_CLASS = re.compile(  # Media Storage SOP Class UID (0002,0002): 12-lead, general, ambulatory, general 32-bit
    rb"\x02\x00\x02\x00UI..1\.2\.840\.10008\.5\.1\.4\.1\.1\.9\.1\.[1234]\0?(?![\d.])", re.DOTALL
)
_CODE = re.compile(r"(?:2:|5\.6\.3-9-)(\d+)")
_LEAD_CODES = {
    "1": "I", "2": "II", "61": "III", "62": "aVR", "63": "aVL", "64": "aVF", "3": "V1", "4": "V2", "5": "V3", "6": "V4",
    "7": "V5", "8": "V6", "9": "V7", "11": "V3R", "12": "V4R", "13": "V5R", "14": "V6R",
}  # fmt: skip
_KNOWN = {  # of HEADER_COLUMNS; the rest of a header stays in the file
    "patient_id": "PatientID",
    "study_uid": "StudyInstanceUID",
    "sop_uid": "SOPInstanceUID",
    "patient_age": "PatientAge",
    "patient_sex": "PatientSex",
}
_BYTES = {(8, "SB"): 1, (8, "UB"): 1, (16, "SS"): 2, (16, "US"): 2, (32, "SL"): 4, (32, "UL"): 4}


def is_ecg(head: bytes) -> bool:
    """Whether the first bytes are those of a DICOM file that holds an electrocardiogram."""
    return head[128:132] == b"DICM" and _ECG_CLASS.search(head, 132) is not None


def read_ecg(data: bytes, limits: Limits) -> Ecg:
    """The recording in a DICOM file; raises Skip."""
    dataset = parse_dataset(io.BytesIO(data), "", limits)
    with foreign():
        groups = list(dataset.get("WaveformSequence") or ())
        if not groups:
            raise Skip(Reason.NO_PIXELS, "no waveforms")
        rank = {place: _rank(group) for place, group in enumerate(groups)}
        place = max(rank, key=lambda place: (rank[place], -place))
        found = _read(dataset, place, limits)
        known = {name: text(dataset, tag) for name, tag in _KNOWN.items()}
    said = (f"waveform group {place + 1} of {len(groups)}",) if len(groups) > 1 else ()
    return replace(found, notes=(*said, *found.notes), known=known)


def _rank(group: Any) -> tuple[int, float]:
    """Standard leads, then seconds."""
    names = {_lead(channel) for channel in group.get("ChannelDefinitionSequence") or ()}
    rate = float(group.get("SamplingFrequency") or 0)
    return len(names & set(STANDARD)), int(group.get("NumberOfWaveformSamples") or 0) / rate if rate > 0 else 0.0


def _lead(channel: Any) -> str | None:
    source = (channel.get("ChannelSourceSequence") or [None])[0]
    if source is None:
        return None
    code = _CODE.fullmatch(str(source.get("CodeValue") or ""))
    return (_LEAD_CODES.get(code[1]) if code else None) or lead_name(str(source.get("CodeMeaning") or ""))


def _read(dataset: Any, place: int, limits: Limits) -> Ecg:
    from pydicom.waveforms.numpy_handler import multiplex_array

    group = dataset.WaveformSequence[place]
    channels = list(group.get("ChannelDefinitionSequence") or ())
    count, samples = int(group.NumberOfWaveformChannels), int(group.NumberOfWaveformSamples)
    if not 0 < count <= MOST_LEADS or samples < 1 or len(channels) != count:
        raise Skip(Reason.CORRUPT, f"{samples} samples of {count} channels, {len(channels)} described")
    width = _BYTES.get((int(group.WaveformBitsAllocated), str(group.WaveformSampleInterpretation)))
    if width is None:
        raise Skip(Reason.UNSUPPORTED_SIGNAL, "samples that are no plain whole numbers")
    limits.check_total(count * samples * 8)
    if len(group.WaveformData) < count * samples * width:
        raise Skip(Reason.TRUNCATED, f"{len(group.WaveformData) // (count * width)} of {samples} samples")
    steps = multiplex_array(dataset, place, as_raw=True)
    padding = _padding(group, steps.dtype)
    found: list[tuple[str | None, Values]] = []
    others = 0
    for channel, column in zip(channels, steps.T, strict=True):
        units = (channel.get("ChannelSensitivityUnitsSequence") or [None])[0]
        if channel.get("ChannelSensitivity") is None or units is None:
            raise Skip(Reason.UNSUPPORTED_SIGNAL, "a channel without a sensitivity: it has no scale")
        unit_mv = millivolts(str(units.get("CodeValue") or ""))
        if unit_mv is None:
            others += 1
            continue
        scale = float(channel.ChannelSensitivity) * float(channel.get("ChannelSensitivityCorrectionFactor") or 1)
        if scale == 0 or not np.isfinite(scale):
            raise Skip(Reason.UNSUPPORTED_SIGNAL, "a sensitivity of 0")
        values = (column * scale + float(channel.get("ChannelBaseline") or 0)) * unit_mv
        if padding is not None:
            values[column == padding] = np.nan
        found.append((_lead(channel), values))
    if not found:
        raise Skip(Reason.UNSUPPORTED_SIGNAL, "no channel is a voltage")
    notes = (f"{others} channels that are no voltage left out",) if others else ()
    return Ecg(check_values(named(found)), check_rate(float(group.SamplingFrequency)), notes)


def _padding(group: Any, dtype: Any) -> Any:
    """Waveform Padding Value (5400,100A), which is stored as a sample is; None where there is none."""
    raw = group.get("WaveformPaddingValue")
    if raw is None:
        return None
    return np.frombuffer(raw[: dtype.itemsize], dtype)[0] if isinstance(raw, bytes) else dtype.type(raw)
