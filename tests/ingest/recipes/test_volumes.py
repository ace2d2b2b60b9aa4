"""CT and MR volumes: RSNA's haemorrhage slices, CT-RATE, LIDC-IDRI and BraTS in their published layouts.

A label of a scan may never be said of a slice; only RSNA labels single slices, and there it may.
"""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from captioning.truth import judge
from shards.media import MediaReader

SETS = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "layouts" / "volumes.py")))
WINDOWS = {
    "brain": (40, 80),
    "subdural": (75, 215),
    "bone": (400, 1800),
    "lung": (-600, 1500),
    "mediastinum": (50, 350),
}
WORDED = {"brain": "brain window", "subdural": "subdural window", "bone": "bone window"}


def name_of(number: int) -> str:
    return f"ID_{number:09x}"


def file_of(sample: Any) -> str:
    return Path(sample.media.uri).name.partition(".")[0]


def text_of(sample: Any) -> str:
    return str(sample.captions[0].text)


def attributes(sample: Any) -> dict[str, Any]:
    return dict(json.loads(sample.attributes))


# ---- RSNA intracranial haemorrhage: labels of slices ----


def test_rsna_says_what_a_slice_shows_and_in_which_window(make: Any, tmp_path: Path, lies: Any) -> None:
    one, two = name_of(1), name_of(2)
    lines = [*SETS.rsna_lines(one, ("subdural", "any")), *SETS.rsna_lines(two, ())]
    SETS.rsna(tmp_path / "set", {one: {}, two: {"PatientID": "ID_00000000"}}, lines)
    made = make("rsna_ich")
    assert (made.offered, made.rejects, len(made.samples)) == (2, [], 6)
    assert lies(made) == []
    for sample in made.samples:
        text, window = text_of(sample), attributes(sample)["window"]
        assert f"shown in a {WORDED[window]}" in text
        assert re.search(r"axial (?:head CT image|CT image of the head)", text)
        if file_of(sample) == one:
            assert re.search(r"(?<!no )intracranial hemorrhage", text, re.I), text
            assert not re.search(r"no .*subdural", text), text
        else:
            assert re.search(r"no (?:intracranial|epidural).*subdural hemorrhage", text, re.I), text
        assert sample.label_scope == "slice"
        assert sample.template
    assert len({sample.group for sample in made.samples}) == 1, "one patient of two slices is one group"
    assert all(sample.group.startswith("patient:") for sample in made.samples)


def test_rsna_pixels_are_the_hounsfield_units_in_each_window(make: Any, tmp_path: Path) -> None:
    one = name_of(1)
    SETS.rsna(tmp_path / "set", {one: {}}, SETS.rsna_lines(one, ("any", "epidural")))
    values = SETS.hounsfield(SETS.HEAD).clip(-1024)
    for sample in make("rsna_ich").samples:
        expected = SETS.windowed(values, *WINDOWS[attributes(sample)["window"]])
        shown = MediaReader().read(sample.media).pixels[0]
        assert shown.shape == (sample.media.height_px, sample.media.width_px) == (512, 512)
        assert np.abs(shown - expected).max() <= 1


def test_rsna_lines_that_repeat_disagree_or_lack(make: Any, tmp_path: Path) -> None:
    names = [name_of(number) for number in range(1, 6)]
    repeated, disagree, without, wrapped, partial = names
    lines = [line for name in (repeated, disagree, wrapped) for line in SETS.rsna_lines(name, ("any", "epidural"))]
    lines += [(f"{repeated}_any", "1"), (f"{disagree}_epidural", "0"), (f"{partial}_subdural", "1")]
    twelve = (SETS.hounsfield(SETS.HEAD).astype(int) % 4096).astype("<u2").tobytes()
    odd = {"BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0, "RescaleIntercept": "0", "PixelData": twelve}
    SETS.rsna(tmp_path / "set", {**{name: {} for name in names}, wrapped: odd}, lines)
    made = make("rsna_ich")
    assert made.reasons == {
        f"stage_2_train/{disagree}.dcm": "bad_row",
        f"stage_2_train/{without}.dcm": "no_metadata",
        f"stage_2_train/{wrapped}.dcm": "unsupported_pixels",  # its air would be the brightest thing in the picture
    }
    assert {file_of(sample) for sample in made.samples} == {repeated, partial}
    told = next(text_of(sample) for sample in made.samples if file_of(sample) == partial)
    assert "subdural hemorrhage" in told
    assert not re.search(r"\bno\b|\bwithout\b", told), "five kinds have no line, so nothing is said of them"


@pytest.mark.parametrize(
    "lie",
    [
        "No subdural hemorrhage in an axial head CT image, shown in a brain window.",
        "An axial head CT image showing an epidural hemorrhage.",
        "An axial head CT image showing possible epidural hemorrhage.",
        "An axial head CT image showing no intracranial hemorrhage.",
        "An axial head CT image, from a scan with no epidural hemorrhage.",  # other slices may show one
        "An axial head CT image showing subarachnoid hemorrhage.",  # its line says nothing
        "A normal axial head CT image.",
        "Subdural hemorrhage in a coronal head CT image.",
        "Subdural hemorrhage in an axial head CT image, shown in a bone window.",
        "Subdural hemorrhage in an axial head CT image of a woman.",
    ],
)
def test_what_would_be_false_of_a_slice_of_rsna_is_known_to_be(make: Any, tmp_path: Path, lie: str) -> None:
    one = name_of(1)
    lines = [line for line in SETS.rsna_lines(one, ("any", "subdural")) if not line[0].endswith("_subarachnoid")]
    SETS.rsna(tmp_path / "set", {one: {}}, [*lines, *SETS.rsna_lines(name_of(2), ())])
    (sample,) = make("rsna_ich", windows=["brain"]).samples
    vocabulary = tuple(f"{kind} hemorrhage" for kind in (*SETS.KINDS[:-1], "intracranial"))
    assert judge(text_of(sample), sample, vocabulary) == []
    assert judge(lie, sample, vocabulary)


# ---- CT-RATE: labels and reports of scans ----


def test_ct_rate_says_findings_of_the_scan_and_never_of_a_slice(make: Any, tmp_path: Path, lies: Any) -> None:
    nodule = {"Lung nodule": "1", "Medical material": "1"}
    reported = {"impression": "Millimetric nodule in the right lung. Stable since 2019.", "labels": nodule}
    SETS.ct_rate(
        tmp_path / "set",
        {
            "train_1_a_1": {"labels": nodule, "sex": "F", "age": "065Y"},
            "train_2_a_1": reported,
            "valid_1_a_2": {"labels": {}},
        },
    )
    made = make("ct_rate", every=16)
    assert set(made.counts) <= {"blank"}
    assert lies(made, SETS.CT_LABELS) == []
    texts = {name: {text_of(s) for s in made.samples if file_of(s) == name} for name in map(file_of, made.samples)}
    for text in texts["train_1_a_1"]:
        assert "from a scan with medical material and a lung nodule" in text, text
        assert re.search(r"65-year-old woman|woman aged 65", text), text
        assert re.search(r"shown in a (?:lung|mediastinal) window", text), text
    assert texts["train_2_a_1"] == {"From a chest CT scan with this report: Millimetric nodule in the right lung."}
    for text in texts["valid_1_a_2"]:
        assert re.match(r"An? (?:axial|coronal|sagittal) (?:chest CT|CT)", text), text
        assert not re.search(r"\bno\b|scan with|nodule", text), text
    splits = {(file_of(sample).split("_")[0], sample.official_split) for sample in made.samples}
    assert splits == {("train", "train"), ("valid", "val")}
    assert {sample.label_scope for sample in made.samples if sample.labels} == {"series"}
    assert len({sample.patient for sample in made.samples}) == 3, "train_1 and valid_1 are two people"


def test_ct_rate_pixels_are_the_slice_that_was_stored_the_right_way_up(make: Any, tmp_path: Path) -> None:
    SETS.ct_rate(tmp_path / "set", {"train_1_a_1": {}})
    made = make("ct_rate", planes=["axial"], every=1)
    reader = MediaReader()
    stills = [sample for sample in made.samples if sample.media.frames == 1]
    assert len(stills) == 12 * 2
    for sample in stills[::5]:
        values = SETS.hounsfield(SETS.BODY) - 2 * sample.media.view.slice
        expected = SETS.windowed(values, *WINDOWS[attributes(sample)["window"]])
        assert np.abs(reader.read(sample.media).pixels[0] - expected).max() <= 1
    clips = [sample for sample in made.samples if sample.media.frames > 1]
    assert [(sample.media.frames, attributes(sample)["plane"]) for sample in clips] == [(6, "axial")] * 2
    frames = reader.read(clips[0].media).pixels
    assert frames.shape == (6, 128, 128)
    for place, index in enumerate(range(0, 12, 2)):
        expected = SETS.windowed(SETS.hounsfield(SETS.BODY) - 2 * index, *WINDOWS[attributes(clips[0])["window"]])
        assert np.abs(frames[place] - expected).max() <= 1


def test_ct_rate_files_that_lost_spacing_and_rescale_are_refused(make: Any, tmp_path: Path) -> None:
    SETS.ct_rate(tmp_path / "set", {"train_1_a_1": {}, "train_2_a_1": {"header": "lost"}})
    made = make("ct_rate", every=4)
    lost = "dataset/train_fixed/train_2/train_2_a/train_2_a_1.nii.gz"
    assert {item: reason for item, reason in made.reasons.items() if reason != "blank"} == {lost: "header_contradicts"}


@pytest.mark.parametrize(
    "lie",
    [
        "Axial chest CT image showing a lung nodule.",
        "A lung nodule seen in an axial chest CT image, shown in a lung window.",
        "Axial chest CT image from a scan with no pleural effusion.",
        "Normal axial chest CT image.",
        "Axial chest CT image from a scan with emphysema.",
        "Axial chest CT image, from a scan with a lung nodule, shown in a bone window.",
    ],
)
def test_what_would_be_false_of_a_slice_of_ct_rate_is_known_to_be(make: Any, tmp_path: Path, lie: str) -> None:
    SETS.ct_rate(tmp_path / "set", {"train_1_a_1": {"labels": {"Lung nodule": "1"}}})
    samples = make("ct_rate", planes=["axial"], every=12, windows=["lung"], clips=[]).samples
    assert judge(text_of(samples[0]), samples[0], SETS.CT_LABELS) == []
    assert judge(lie, samples[0], SETS.CT_LABELS)


# ---- LIDC-IDRI and BraTS: thin ----


def test_lidc_says_what_the_headers_say(make: Any, tmp_path: Path, lies: Any) -> None:
    SETS.lidc(tmp_path / "set", 2)
    made = make("lidc_idri")
    assert (made.offered, made.rejects, len(made.samples)) == (4, [], 8)
    assert lies(made, ("lung nodule",)) == []
    assert {text_of(sample) for sample in made.samples} <= {
        f"An axial {picture}, shown in a {window} window."
        for picture in ("CT image of the chest", "chest CT image")
        for window in ("lung", "mediastinal")
    }
    assert len({sample.group for sample in made.samples}) == 2
    for sample in made.samples[:2]:
        expected = SETS.windowed(SETS.hounsfield(SETS.BODY), *WINDOWS[attributes(sample)["window"]])
        assert np.abs(MediaReader().read(sample.media).pixels[0] - expected).max() <= 1


def test_brats_says_glioma_of_the_patient_alone(make: Any, tmp_path: Path, lies: Any) -> None:
    SETS.brats(tmp_path / "set", ["BraTS2021_00000", "BraTS2021_00002"])
    made = make("brats", every=12)
    assert set(made.counts) <= {"blank"}
    assert not any("_seg" in sample.media.uri for sample in made.samples)
    assert lies(made) == []
    sequences = {"flair": "FLAIR", "t1": "T1-weighted", "t1ce": "contrast-enhanced.* T1-weighted", "t2": "T2-weighted"}
    for sample in made.samples:
        text, kind = text_of(sample), file_of(sample).rpartition("_")[2]
        assert re.search(sequences[kind], text), text
        assert ("contrast" in text) == (kind == "t1ce"), text
        assert "from a patient with glioma" in text or "from a patient with a glioma" in text, text
        assert not re.search(r"showing|seen|scan with", text), text
    assert {file_of(sample).rpartition("_")[2] for sample in made.samples} == set(sequences)
    assert len({sample.group for sample in made.samples}) == 2
    axial = next(s for s in made.samples if s.media.view.slice is not None and attributes(s)["plane"] == "axial")
    shown = MediaReader().read(axial.media).pixels[0]
    stored = SETS.brain()[:, :, axial.media.view.slice].T[::-1, ::-1]
    low, high = axial.media.view.low, axial.media.view.high
    assert np.abs(shown - np.clip((stored - low) / (high - low), 0, 1) * 255).max() <= 1
