"""ICBHI in its published layout, from the files to a shard: cycles, and recordings cut into pieces."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ingest.columns import AttributeColumn, LabelColumn
from ingest.converters.audio_pieces import AudioPieces
from ingest.rights import Rights
from ingest.table_file import JoinTable
from shards.locator import Locator
from shards.stage import Unit

PACKING = runpy.run_path(str(Path(__file__).with_name("packing.py")))
pack = PACKING["pack"]


def wave(samples: npt.NDArray[Any], rate: int) -> bytes:
    data = (samples * 32767).round().astype("<i2").tobytes()
    sizes = [len(data) + 36, 16, rate, rate * 2, len(data)]
    riff, form, hz, second, size = (value.to_bytes(4, "little") for value in sizes)
    return b"RIFF" + riff + b"WAVEfmt " + form + b"\1\0\1\0" + hz + second + b"\2\0\x10\0data" + size + data


@pytest.fixture
def icbhi(tmp_path: Path) -> Path:
    """ICBHI 2017 as Kaggle has it; the sounds are generated: a cycle is a tone of 300 or 700 Hz."""
    folder = tmp_path / "icbhi" / "audio_and_txt_files"
    folder.mkdir(parents=True)
    rate = 44100
    t = np.arange(6 * rate) / rate
    sound = 0.3 * np.where(t < 3, np.sin(2 * np.pi * 300 * t), np.sin(2 * np.pi * 700 * t))
    for name in (
        "101_1b1_Al_sc_Meditron",
        "101_1b1_Pr_sc_Meditron",
        "102_1b1_Ar_sc_Meditron",
        "103_2b2_Ar_mc_LittC2SE",
    ):
        (folder / f"{name}.wav").write_bytes(wave(sound, rate))
    lines = ["0.036\t2.9\t0\t0", "3.1\t5.95\t1\t1"]
    (folder / "101_1b1_Al_sc_Meditron.txt").write_text("\n".join(lines) + "\n")
    lines = ["0.5\t2.5\t0\t1", "2.5\t9.0\t0\t0", "4\t3\t0\t0", "x\t1\t0\t0", "1\t2\t0", "0.1\t1.0\t2\t0"]
    (folder / "101_1b1_Pr_sc_Meditron.txt").write_text("\r\n".join(lines) + "\r\n", encoding="utf-8-sig")
    (folder / "102_1b1_Ar_sc_Meditron.txt").write_text("")
    (tmp_path / "icbhi" / "patient_diagnosis.csv").write_text("101,URTI\n102,Healthy\n103,Asthma\n")
    return tmp_path / "icbhi"


def icbhi_stage(root: Path, **options: Any) -> AudioPieces:
    usual: dict[str, Any] = {
        "cycles": ".txt",
        "parts": {"stem": r"^(?P<pid>\d+)_(?P<recording>[^_]+)_(?P<chest>[^_]+)_(?P<mode>[^_]+)_(?P<device>.+)$"},
        "patient": "pid",
        "label_scope": "image",
        "labels": (
            LabelColumn(column="crackles", states={"1": "present", "0": "absent"}),
            LabelColumn(column="wheezes", states={"1": "present", "0": "absent"}),
            LabelColumn(
                column="diagnosis", name="asthma", states={"Asthma": "present", "URTI": "unstated"}, scope="patient"
            ),
        ),
        "join": (JoinTable(table="patient_diagnosis.csv", header=("number", "diagnosis"), on={"pid": "number"}),),
        "attribute_columns": {
            "chest_location": AttributeColumn(column="chest", values={"Al": "left anterior", "Pr": "right posterior"}),
            "duration_s": "duration_s",
        },
        "probe": True,
    }
    return AudioPieces(
        source="icbhi", rights=Rights(license="CC0-1.0"), path=str(root), modality="AUDIO", specialty="pulmonology",
        include=("*.wav",), **{**usual, **options},
    )  # fmt: skip


def test_each_line_of_a_cycle_text_is_a_sample_with_its_own_labels(icbhi: Path, convert: Any, tmp_path: Path) -> None:
    found = convert(icbhi_stage(icbhi))
    folder = "audio_and_txt_files/"
    assert found.reasons == {
        **{f"{folder}101_1b1_Pr_sc_Meditron.wav line {n}": "bad_row" for n in (2, 3, 4, 5, 6)},
        f"{folder}102_1b1_Ar_sc_Meditron.wav": "no_metadata",
        f"{folder}103_2b2_Ar_mc_LittC2SE.wav": "no_metadata",
    }
    assert (found.offered, len(found.samples)) == (10, 3)
    quiet, loud, other = sorted(found.samples, key=lambda one: (one.attributes, one.media.view.frame_start))
    view = Locator(frame_start=round(3.1 * 44100), frame_stop=round(5.95 * 44100))
    assert {one.media.locator for one in found.samples} >= {view.text()}
    loud = next(one for one in found.samples if one.media.view == view)
    assert {(label.name, label.state, label.scope) for label in loud.labels} == {
        ("crackles", "present", "image"),
        ("wheezes", "present", "image"),
    }
    assert json.loads(loud.attributes) == {"chest_location": "left anterior", "duration_s": 2.85}
    assert len({one.group for one in found.samples}) == 1, "one patient"
    assert quiet != other
    packed = pack(tmp_path, found.samples, "square-128")
    picture, record = packed[loud.key]
    assert picture.shape == (128, 128)
    assert "3.1 to 5.95 s of 6 s" in record["steps"]
    from shards.mel import to_hz, to_mel

    rows = to_hz(np.linspace(0, float(to_mel(4000.0)), 130))[1:-1]
    assert abs(127 - picture[:, 64].argmax() - np.abs(rows - 700).argmin()) <= 1


def test_texts_and_recordings_count_for_a_unit(icbhi: Path, convert: Any) -> None:
    before = convert(icbhi_stage(icbhi)).units
    (icbhi / "audio_and_txt_files/101_1b1_Al_sc_Meditron.txt").write_text("0\t1\t1\t0\n")
    after = convert(icbhi_stage(icbhi))
    assert [unit.inputs for unit in before] != [unit.inputs for unit in after.units]
    assert isinstance(before[0], Unit)


def test_a_long_recording_is_cut_and_a_short_one_stays_whole(icbhi: Path, convert: Any) -> None:
    options: dict[str, Any] = {"cycles": "", "labels": (), "patient": None, "join": (), "attribute_columns": {}}
    whole = convert(icbhi_stage(icbhi, **options))
    assert [one.media.locator for one in whole.samples] == [""] * 4
    cut = convert(icbhi_stage(icbhi, **options, piece_s=2.5))
    assert len(cut.samples) == 12
    spans = sorted({(one.media.view.frame_start, one.media.view.frame_stop) for one in cut.samples})
    assert spans == [(0, 88200), (88200, 176400), (176400, 264600)]
    assert len({one.group for one in cut.samples}) == 4, "the pieces of a file stay together"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cycles": "txt"}, "such as .txt"),
        ({"cycle_columns": ("a", "b")}, "must name `start` and `end`"),
        ({"piece_s": 3.0}, "remove one of the two"),
        ({"cycles": "", "piece_s": 100.0}, "0.1 to 60"),
    ],
)
def test_wrong_options_say_what_to_write(icbhi: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        icbhi_stage(icbhi, **options)
