"""What converters learn of a file: the allow-list and nothing else."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import UID

from shards.dicom_header import DicomFacts, read_header
from shards.intake import Skip
from shards.limits import Limits
from shards.reasons import Reason

TEST_FILES = "package://pydicom/data/test_files/"
DEFLATED = UID("1.2.840.10008.1.2.1.99")


def saved(path: Path, syntax: UID | None = None, **attributes: object) -> str:
    """CT_small with some attributes changed."""
    dataset = pydicom.dcmread(Path(pydicom.__file__).parent / "data/test_files/CT_small.dcm")
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    if syntax is not None:
        dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path, enforce_file_format=True)
    return str(path)


def test_facts_hold_the_allow_list_and_no_name(tmp_path: Path) -> None:
    changed = {
        "PatientName": "Zmith^Jane",
        "InstitutionName": "Zmith Hospital",
        "OperatorsName": "Zmith",
        "SeriesDescription": "Zmith brain",
        "PatientAge": "093Y",
        "BodyPartExamined": "HEAD",
        "Laterality": "",
        "ImageLaterality": "L",
        "BurnedInAnnotation": "NO",
    }
    uri = saved(tmp_path / "x", **changed)
    facts = read_header(uri)
    kept = dataclasses.asdict(facts)
    assert [kept[name] for name in ("modality", "body_part", "laterality", "patient_age")] == [
        "CT",
        "head",
        "L",
        "093Y",
    ]
    assert [kept[name] for name in ("rows_px", "columns_px", "frames", "patient_id")] == [128, 128, 1, "1CT1"]
    assert kept["pixel_spacing_mm"] == (0.661468, 0.661468)
    assert kept["orientation"] == (1, 0, 0, 0, 1, 0)
    assert kept["position_mm"] == pytest.approx((-158.135803, -179.035797, -75.699997))
    assert kept["burned_in_annotation"] == "NO"
    assert kept["image_type"] == "ORIGINAL\\PRIMARY\\AXIAL"
    assert not kept["has_window"]
    assert {name for name, value in kept.items() if "Zmith" in str(value)} == {"free_text"}
    assert read_header(saved(tmp_path / "y", DEFLATED, **changed)) == facts


def test_what_somebody_typed_is_no_body_part_and_no_view(tmp_path: Path) -> None:
    typed = read_header(saved(tmp_path / "x", BodyPartExamined="ZMITH JANE", ViewPosition="ZMITH"))
    assert (typed.body_part, typed.view_position) == (None, None)
    known = read_header(saved(tmp_path / "x", BodyPartExamined="LSPINE", ViewPosition="LL"))
    assert (known.body_part, known.view_position) == ("lumbar spine", "left lateral")


def test_facts_of_other_kinds() -> None:
    cine = read_header(f"{TEST_FILES}examples_ybr_color.dcm")
    assert (cine.modality, cine.frames, cine.photometric) == ("US", 30, "YBR_FULL_422")
    assert cine.fps == pytest.approx(30, abs=0.01)
    assert read_header(f"{TEST_FILES}MR_small_bigendian.dcm").echo_ms == 240
    for name, reason in (
        ("liver_1frame.dcm", Reason.NOT_AN_IMAGE),
        ("reportsi.dcm", Reason.NOT_AN_IMAGE),
        ("UN_sequence.dcm", Reason.NO_PIXELS),
        ("README.txt", Reason.NOT_RECOGNISED),
    ):
        with pytest.raises(Skip) as skip:
            read_header(TEST_FILES + name)
        assert skip.value.reason == reason
    with pytest.raises(Skip) as skip:
        read_header(f"{TEST_FILES}CT_small.dcm", Limits(max_pixels=100))
    assert skip.value.reason == Reason.TOO_LARGE
    with pytest.raises(Skip) as skip:
        read_header("/no/such/file")
    assert skip.value.reason == Reason.MISSING_FILE


def test_every_field_says_what_it_is() -> None:
    assert "patient_name" not in {field.name for field in dataclasses.fields(DicomFacts)}
    assert len(dataclasses.fields(DicomFacts)) < 40
