"""Electrocardiograms: values against pydicom and wfdb, drawn to the millimetre, and hostile headers as rejects."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom.waveforms.numpy_handler import multiplex_array

from shards.dicom_waveform import read_ecg
from shards.ecg import STANDARD, Ecg, lead_name
from shards.ecg_sheet import draw_sheet
from shards.intake import Skip
from shards.limits import Limits
from shards.locator import Locator
from shards.manifest import Media
from shards.media import MediaReader
from shards.uri import local_path

URI = "package://pydicom/data/test_files/waveform_ecg.dcm"
SIZES = [(256, 256), (512, 512), (1024, 704)]
Pixels = npt.NDArray[np.uint8]


def write_record(
    folder: Path, steps: npt.NDArray[Any], *, form: int = 16, names: Sequence[str] = STANDARD, rate: float = 500,
    gain: str = "1000.0(0)/mV", name: str = "r", **changes: str,
) -> Path:  # fmt: skip
    """A record of `steps` [N, leads] as PTB-XL's are written; `changes` replace words of the header."""
    flat = steps.reshape(-1).astype(np.int64)
    if form == 212:
        flat = np.pad(flat, (0, len(flat) % 2)) & 0xFFF
        first, second = flat[::2], flat[1::2]
        data = np.stack([first & 0xFF, first >> 8 | (second >> 8) << 4, second & 0xFF], axis=1).astype(np.uint8)
    elif form == 24:
        data = np.ascontiguousarray(flat.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3])
    else:
        dtype, offset = {16: ("<i2", 0), 61: (">i2", 0), 160: ("<u2", 32768), 32: ("<i4", 0), 80: ("u1", 128)}[form]
        data = (flat + offset).astype(dtype)
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.dat").write_bytes(data.tobytes())
    lines = [f"{name} {steps.shape[1]} {rate:g} {len(steps)}"]
    for lead, column in zip(names, steps.T, strict=True):
        checksum = (int(column.sum()) + 32768) % 65536 - 32768
        lines.append(f"{name}.dat {form} {gain} 16 0 {column[0]} {checksum} 0 {lead}")
    text = "\n".join(lines) + "\n"
    for old, new in changes.items():
        text = text.replace({"dat": f"{name}.dat ", "count": f" {len(steps)}\n"}[old], new)
    (folder / f"{name}.hea").write_text(text)
    return folder / f"{name}.hea"


def refused(path: Path | str, locator: str = "") -> tuple[str, str]:
    with pytest.raises(Skip) as skip:
        MediaReader().read(Media(uri=str(path), kind="ecg", locator=locator))
    return skip.value.reason.value, skip.value.detail


def square(rate: float = 500, leads: int = 12) -> npt.NDArray[np.int64]:
    """10 s of 1 mV for the first half of each second, at 1000 steps a mV."""
    wave = np.where(np.arange(int(10 * rate)) % rate < rate / 2, 1000, 0)
    return np.repeat(wave[:, None], leads, axis=1)


def ink(pixels: Pixels) -> npt.NDArray[np.bool_]:
    return pixels[0].max(axis=2) < 100


@pytest.mark.parametrize("form", [16, 61, 160, 24, 32, 80, 212])
def test_every_format_gives_the_voltages_that_were_written(tmp_path: Path, form: int) -> None:
    most = {80: 127, 212: 2047}.get(form, 30000)
    steps = np.random.default_rng(form).integers(-most, most, (333, 3))
    path = write_record(tmp_path, steps, form=form, names=["I", "II", "V1"], gain="100(7)/uV")
    from shards.recordings import open_recording
    from shards.sniff import sniff

    with path.open("rb") as stream:
        sha256, recording = open_recording(str(path), stream, sniff(path.read_bytes()[:1024]), Limits())
    ecg = recording.content
    assert isinstance(ecg, Ecg)
    assert list(ecg.leads) == ["I", "II", "V1"]
    assert ecg.rate_hz == 500
    np.testing.assert_allclose(np.stack(list(ecg.leads.values()), axis=1), (steps - 7) / 100 / 1000, rtol=1e-12)
    parts = [path.read_bytes(), path.with_suffix(".dat").read_bytes()]
    assert sha256 == hashlib.sha256(b"".join(hashlib.sha256(one).digest() for one in parts)).hexdigest()


@pytest.mark.oracle
@pytest.mark.parametrize("form", [16, 61, 160, 24, 32, 80, 212])
def test_voltages_are_those_of_the_wfdb_package(tmp_path: Path, form: int) -> None:
    wfdb = pytest.importorskip("wfdb")
    steps = np.random.default_rng(form).integers(-100, 100, (250, 3))
    steps[7, 1] = {80: -128, 212: -2048, 24: -(1 << 23), 32: -(1 << 31)}.get(form, -32768)
    path = write_record(tmp_path, steps, form=form, names=["I", "II", "V1"], gain="50(3)/mV")
    theirs = wfdb.rdrecord(str(path.with_suffix(""))).p_signal
    ours = MediaReader()._open(str(path)).content.content.leads
    np.testing.assert_allclose(np.stack(list(ours.values()), axis=1), theirs, rtol=1e-12)


def test_dicom_waveforms_are_pydicoms_values() -> None:
    path = local_path(URI)
    assert path is not None
    ecg = read_ecg(path.read_bytes(), Limits())
    theirs = multiplex_array(pydicom.dcmread(path), 0, as_raw=False) / 1000  # microvolts
    assert list(ecg.leads) == list(STANDARD)
    assert (ecg.rate_hz, ecg.duration_s) == (1000, 10)
    np.testing.assert_allclose(np.stack(list(ecg.leads.values()), axis=1), theirs)
    np.testing.assert_allclose(ecg.leads["III"], ecg.leads["II"] - ecg.leads["I"], atol=0.003)  # Einthoven


@pytest.mark.parametrize("size", SIZES)
def test_a_millivolt_is_10_mm_high_and_a_second_25_mm_wide(tmp_path: Path, size: tuple[int, int]) -> None:
    scale = size[0] // 256  # pixels a mm
    path = write_record(tmp_path, square())
    frames = MediaReader().read(Media(uri=str(path), kind="ecg"), size)
    assert frames.pixels.shape == (1, size[1], size[0], 3)
    dark = ink(frames.pixels)
    left = 6 * scale
    rhythm = dark[size[1] * 3 // 4 :]  # the rows of lead II
    low, high = left + int(0.75 * 25 * scale), left + int(0.25 * 25 * scale)
    ridge = {x: np.flatnonzero(rhythm[:, x]).mean() for x in (low, high)}
    assert ridge[low] - ridge[high] == 10 * scale
    middle = int(ridge[low] - 5 * scale)
    strength = 255.0 - frames.pixels[0, size[1] * 3 // 4 + middle].max(axis=1)
    pulse_mm = (-5.5, -0.5)  # 0.2 s are 5 mm
    for mm in (*pulse_mm, *(12.5 * half_second for half_second in range(1, 20))):  # the pen's vertical lines
        expected = left + 0.5 + mm * scale
        near = slice(max(0, int(expected) - 2), int(expected) + 3)
        line = np.maximum(strength[near] - 16, 0)
        assert abs((line * (np.arange(near.start, near.stop) + 0.5)).sum() / line.sum() - expected) < 0.2, mm
    assert any(f"{scale} px a mm" in step for step in frames.steps)


@pytest.mark.parametrize("size", SIZES)
def test_real_voltages_lie_at_their_pixels(size: tuple[int, int]) -> None:
    """Every tenth of a second of the rhythm strip: the darkest ink lies where pydicom's value says."""
    scale = size[0] // 256
    dataset = pydicom.dcmread(str(local_path(URI)))
    lead_ii = multiplex_array(dataset, 0, as_raw=False)[:, 1] / 1000
    frames = MediaReader().read(Media(uri=URI, kind="ecg"), size)
    dark = frames.pixels[0].max(axis=2) < 140  # the grid is bright in red, so what is left is ink
    flat = np.zeros(10000)
    flat[0] = 1e-3
    empty = draw_sheet(Ecg(dict.fromkeys(STANDARD, flat), 1000.0), size)
    base = np.flatnonzero(ink(empty.pixels)[:, -3 * scale])[-1] + 0.5
    half_pen = max(1, 0.35 * scale) / 2
    for x in range(6 * scale + 30, size[0] - 1):  # behind the name
        first, last = ((edge - 6 * scale - 0.5) / (25 * scale) * 1000 for edge in (x - half_pen, x + 1 + half_pen))
        near = base - lead_ii[int(first) - 1 : int(last) + 2] * 10 * scale
        rows = np.flatnonzero(dark[int(base) - 14 * scale : int(base) + 10 * scale, x]) + int(base) - 14 * scale + 0.5
        assert near.min() - half_pen - 0.5 <= rows.min() <= rows.max() <= near.max() + half_pen + 0.5, x
        assert abs((rows.min() + rows.max()) / 2 - (near.min() + near.max()) / 2) < 1.5 + np.ptp(near) / 2, x


@pytest.mark.parametrize("size", [*SIZES, (448, 448), (300, 200), (64, 64), (8, 8)])
def test_lines_of_5_mm_are_whole_pixels_apart_at_every_size(size: tuple[int, int]) -> None:
    ecg = read_ecg(Path(str(local_path(URI))).read_bytes(), Limits())
    frames = draw_sheet(ecg, size)
    assert frames.drawn
    assert frames.pixels.shape[1:3] == size[::-1]
    assert (frames.pixels == draw_sheet(ecg, size).pixels).all()
    row = max(frames.pixels[0, :5].astype(int), key=lambda line: line[:, 1].sum())  # between two lines
    strong = np.flatnonzero(row[:, 1] == row[:, 1].min())
    if size[0] >= 256:
        assert len(set(np.diff(strong))) == 1
        assert np.diff(strong)[0] == 5 * size[0] // 256, size


def test_what_is_missing_flat_clipped_or_cut_is_said(tmp_path: Path) -> None:
    steps = square(leads=7)
    steps[:, 1] = 5
    steps[100:200, 0] = -32768  # not recorded
    steps[:, 2] += 3000
    steps[50, 6] = 32000
    names = ["I", "II", "III", "aVR", "aVL", "aVF", "DOE JOHN"]
    path = write_record(tmp_path, np.tile(steps, (2, 1)), names=names)
    steps_said = MediaReader().read(Media(uri=str(path), kind="ecg"), (512, 512)).steps
    assert "gaps where nothing was recorded: I" in steps_said
    assert "flat: II" in steps_said
    assert "median in mV taken off: III 3.5" in steps_said
    assert "not recorded, their place is empty: V1, V2, V3, V4, V5, V6" in steps_said
    assert "not drawn: lead 7" in steps_said
    assert "the first 10 s of 20 s" in steps_said
    assert not any("DOE" in step for step in steps_said)
    part = Locator(frame_start=1000, frame_stop=2000).text()
    steps_said = MediaReader().read(Media(uri=str(path), kind="ecg", locator=part), (512, 512)).steps
    assert "samples 1000 to 1999 of 10000" in steps_said
    assert "2 s recorded: what is beyond is empty paper" in steps_said


def test_a_voltage_beyond_its_row_is_held_at_the_edge(tmp_path: Path) -> None:
    steps = square()
    steps[2000:2100, 1] = 30000
    frames = MediaReader().read(Media(uri=str(write_record(tmp_path, steps)), kind="ecg"), (512, 512))
    assert "held at the edge of their row, 5.4 mV: II" in frames.steps


def test_few_leads_have_a_row_each_and_no_name_of_the_header(tmp_path: Path) -> None:
    path = write_record(tmp_path, square(leads=2), names=["MLII", "Smith, Anna 1950"])
    frames = MediaReader().read(Media(uri=str(path), kind="ecg"))
    assert "one lead a row: MLII, lead 2" in frames.steps


def test_a_gap_is_no_line(tmp_path: Path) -> None:
    steps = square()
    steps[:] = 100
    steps[::50] = 110
    steps[2500:3000] = -32768
    dark = ink(MediaReader().read(Media(uri=str(write_record(tmp_path, steps)), kind="ecg"), (512, 512)).pixels)
    rhythm = dark[400:]
    assert not rhythm[:, 12 + 252 : 12 + 298].any()
    assert rhythm[:, 12 + 302 : 12 + 340].any(axis=0).all()


@pytest.mark.parametrize(
    ("words", "name"),
    [("AVR", "aVR"), ("Lead I (Einthoven)", "I"), ("v6", "V6"), ("ECG", "ECG"), ("Mr Smith", None), ("", None)],
)
def test_only_names_of_leads_are_names(words: str, name: str | None) -> None:
    assert lead_name(words) == name


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dat": "../r.dat "}, "path_escapes"),
        ({"dat": "/etc/passwd "}, "path_escapes"),
        ({"dat": "http://127.0.0.1/r.dat "}, "path_escapes"),
        ({"dat": "-.dat "}, "path_escapes"),
        ({"dat": "other.dat "}, "missing_file"),
        ({"count": " 1000000000\n"}, "truncated"),
        ({"count": " 99999999999999999999\n"}, "truncated"),
        ({"gain": "0"}, "unsupported_signal"),
        ({"gain": "nan"}, "not_recognised"),
        ({"gain": "1e-300(0)/mV"}, "corrupt"),
        ({"gain": "100/mmHg"}, "unsupported_signal"),
        ({"rate": 0}, "corrupt"),
        ({"form": "16x4"}, "unsupported_signal"),
        ({"form": "16:3"}, "unsupported_signal"),
        ({"form": "310"}, "unsupported_signal"),
        ({"segments": "/3"}, "unsupported_signal"),
        ({"signals": "13"}, "truncated"),
        ({"signals": "9999999"}, "too_large"),
        ({"checksum": "17"}, "corrupt"),
        ({"cut": "1"}, "truncated"),
        ({"cut": "all"}, "truncated"),
    ],
)
def test_hostile_headers_are_rejects(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    options = {name: changes[name] for name in changes if name in ("dat", "count", "gain", "rate")}
    path = write_record(tmp_path, square() + 1, **options)
    text, data = path.read_text(), path.with_suffix(".dat")
    text = text.replace("r.dat 16 ", f"r.dat {changes.get('form', 16)} ")
    text = text.replace("r 12 ", f"r{changes.get('segments', '')} {changes.get('signals', 12)} ", 1)
    if "checksum" in changes:
        text = "\n".join(line.replace(line.split()[6], "17") if "dat" in line else line for line in text.split("\n"))
    path.write_text(text)
    if "cut" in changes:
        data.write_bytes(data.read_bytes()[: {"1": -1, "all": 0}[changes["cut"]]])
    found = refused(path)
    if reason == "not_recognised":
        assert found[0] in ("not_recognised", "corrupt")
    else:
        assert found[0] == reason, found


def test_a_link_that_leaves_the_folder_is_not_followed(tmp_path: Path) -> None:
    path = write_record(tmp_path / "in", square())
    outside = tmp_path / "secret.dat"
    path.with_suffix(".dat").rename(outside)
    path.with_suffix(".dat").symlink_to(outside)
    assert refused(path)[0] == "path_escapes"


def test_flat_paper_is_blank_and_a_changed_file_is_noticed(tmp_path: Path) -> None:
    assert refused(write_record(tmp_path / "a", square() * 0 + 3)) == ("blank", "every lead is flat")
    assert refused(write_record(tmp_path / "b", square() * 0 - 32768)) == ("blank", "no lead was recorded")
    path = write_record(tmp_path / "c", square(), gain="1000/mV")
    facts = MediaReader().facts(str(path))
    assert (facts.kind, facts.width_px, facts.height_px, facts.frames) == ("ecg", 1024, 704, 1)
    text = path.read_text()
    other = square()
    other[[10, 300]] = other[[300, 10]]  # the same sum
    write_record(tmp_path / "c", other)
    path.write_text(text)
    with pytest.raises(Skip, match="media_changed"):
        MediaReader().read(Media(uri=str(path), kind="ecg", sha256=facts.sha256))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"NumberOfWaveformSamples": 10**9}, "too_large"),
        ({"NumberOfWaveformSamples": 20_000}, "truncated"),
        ({"NumberOfWaveformChannels": 11}, "corrupt"),
        ({"SamplingFrequency": "0"}, "corrupt"),
        ({"WaveformSampleInterpretation": "MB"}, "unsupported_signal"),
    ],
)
def test_hostile_waveforms_are_rejects(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    dataset = pydicom.dcmread(str(local_path(URI)))
    del dataset.WaveformSequence[1]
    for name, value in change.items():
        setattr(dataset.WaveformSequence[0], name, value)
    dataset.save_as(tmp_path / "x.dcm")
    assert refused(tmp_path / "x.dcm")[0] == reason


def test_a_channel_without_a_sensitivity_has_no_scale(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(str(local_path(URI)))
    for group in dataset.WaveformSequence:
        del group.ChannelDefinitionSequence[3].ChannelSensitivity
    dataset.save_as(tmp_path / "x.dcm")
    assert refused(tmp_path / "x.dcm")[0] == "unsupported_signal"
