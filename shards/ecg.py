"""A recorded electrocardiogram, whatever file it came from: leads in millivolts at one rate, and what was left out.

A header's text may hold a name, so a lead is called by a name of the list below or by its number, and by nothing
else that a file says (DESIGN invariant 10). What was not recorded is not a number (NaN), never zero.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from shards.frames import chosen_frames
from shards.intake import Skip
from shards.locator import Locator
from shards.reasons import Reason

Values = npt.NDArray[np.float64]  # [N] in mV, NaN where nothing was recorded

STANDARD = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
_FURTHER = ("V7", "V8", "V9", "V3R", "V4R", "V5R", "V6R", "VX", "VY", "VZ", "X", "Y", "Z", "MLI", "MLII", "MLIII")
_MONITOR = ("MCL1", "MCL6", "CM1", "CM2", "CM5", "CC5", "ECG", "ECG1", "ECG2", "ECG3")
_KNOWN = {name.upper(): name for name in (*STANDARD, *_FURTHER, *_MONITOR)}
_MILLIVOLTS = {"uv": 1e-3, "\u00b5v": 1e-3, "\u03bcv": 1e-3, "mv": 1.0, "v": 1e3}  # both signs for micro
RATES_HZ = (1.0, 1e6)
MOST_LEADS = 128
LARGEST_MV = 1e6
HEADER_COLUMNS = ("patient_id", "study_uid", "sop_uid", "patient_age", "patient_sex")


@dataclass(frozen=True, eq=False)
class Ecg:
    """One recording."""

    leads: dict[str, Values]  # in the order of the file, all of one length
    rate_hz: float
    notes: tuple[str, ...] = ()  # what was left out or changed, in words
    known: Mapping[str, str | None] = field(default_factory=lambda: dict.fromkeys(HEADER_COLUMNS))  # raw, for hashing

    @property
    def samples(self) -> int:
        """Samples of each lead."""
        return len(next(iter(self.leads.values())))

    @property
    def duration_s(self) -> float:
        """Length of the recording."""
        return self.samples / self.rate_hz

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        return sum(values.nbytes for values in self.leads.values())

    def part(self, view: Locator) -> Ecg:
        """The samples that a locator selects (frames of a recording are its samples); raises Skip(BAD_ROW)."""
        chosen = chosen_frames(view, self.samples)
        if len(chosen) == self.samples:
            return self
        said = f"samples {chosen.start} to {chosen.stop - 1} of {self.samples}"
        cut = {name: values[chosen.start : chosen.stop] for name, values in self.leads.items()}
        return replace(self, leads=cut, notes=(*self.notes, said))


def lead_name(text: str) -> str | None:
    """The lead that some text names, or None: `AVR`, `Lead aVR` and `Lead I (Einthoven)` name one."""
    word = re.sub(r"^\s*lead\s+|\s*\(.*\)\s*$|\s+", "", text, flags=re.IGNORECASE)
    return _KNOWN.get(word.upper())


def millivolts(unit: str) -> float | None:
    """What one `unit` is in mV; None where it is no voltage."""
    return _MILLIVOLTS.get(unit.strip().lower())


def named(found: Iterable[tuple[str | None, Values]]) -> dict[str, Values]:
    """Leads by name; one without a name, or whose name was used before, is called by its place."""
    leads: dict[str, Values] = {}
    for place, (name, values) in enumerate(found, start=1):
        leads[name if name is not None and name not in leads else f"lead {place}"] = values
    return leads


def check_rate(rate_hz: float) -> float:
    """The rate; Skip(CORRUPT) where it is none."""
    if not RATES_HZ[0] <= rate_hz <= RATES_HZ[1]:
        raise Skip(Reason.CORRUPT, f"a sampling rate of {rate_hz:g} Hz")
    return rate_hz


def check_values(leads: dict[str, Values]) -> dict[str, Values]:
    """Leads of which something was recorded; raises Skip where there is none, or a voltage that no heart has."""
    recorded = {name: values for name, values in leads.items() if np.isfinite(values).any()}
    if not recorded:
        raise Skip(Reason.BLANK, "no lead was recorded")
    if max(float(np.nanmax(np.abs(values))) for values in recorded.values()) > LARGEST_MV:
        raise Skip(Reason.CORRUPT, f"amplitudes above {LARGEST_MV / 1e3:g} V")
    return recorded
