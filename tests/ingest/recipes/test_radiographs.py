"""Chest radiographs: CheXpert, NIH ChestX-ray14, PadChest and MIMIC-CXR-JPG in their published layouts.

Findings are of a study, so no view may be said to show them; blank is never absent; No Finding is never normal.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shards.media import MediaReader

CHEXPERT = [
    "Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", "No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly",
    "Lung Opacity", "Lung Lesion", "Edema", "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax",
    "Pleural Effusion", "Pleural Other", "Fracture", "Support Devices",
]  # fmt: skip
NIH = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
PADCHEST = [
    "", "ImageID", "ImageDir", "StudyDate_DICOM", "StudyID", "PatientID", "PatientBirth", "PatientSex_DICOM",
    "ViewPosition_DICOM", "Projection", "MethodProjection", "Pediatric", "Modality_DICOM", "Manufacturer_DICOM",
    "PhotometricInterpretation_DICOM", "PixelRepresentation_DICOM", "PixelAspectRatio_DICOM",
    "SpatialResolution_DICOM", "BitsStored_DICOM", "WindowCenter_DICOM", "WindowWidth_DICOM", "Rows_DICOM",
    "Columns_DICOM", "XRayTubeCurrent_DICOM", "Exposure_DICOM", "ExposureInuAs_DICOM", "ExposureTime",
    "RelativeXRayExposure_DICOM", "ReportID", "Report", "MethodLabel", "Labels", "Localizations",
    "LabelsLocalizationsBySentence", "labelCUIS", "LocalizationsCUIS",
]  # fmt: skip


def table(path: Path, header: Sequence[str], rows: Sequence[Mapping[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", newline="") if path.suffix == ".gz" else path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, header)
        writer.writeheader()
        writer.writerows(rows)


def aged(text: str, who: str, years: int) -> bool:
    """Whether a caption names a person of that age, in one of its phrasings."""
    return f"{years}-year-old {who}" in text or f"{who} aged {years}" in text


@pytest.fixture
def chexpert(tmp_path: Path, picture: Any, make: Any) -> Any:
    """chexpert(rows): each row's cells over those of a usual frontal view."""

    def run(rows: Sequence[Mapping[str, str]]) -> Any:
        whole = []
        for number, cells in enumerate(rows):
            path = f"CheXpert-v1.0-small/train/patient{number // 2:05d}/study1/view{number}_frontal.jpg"
            whole.append(
                {"Path": path, "Sex": "Female", "Age": "71", "Frontal/Lateral": "Frontal", "AP/PA": "AP", **cells}
            )
            picture(whole[-1]["Path"])
        table(tmp_path / "set/CheXpert-v1.0-small/train.csv", CHEXPERT, whole)
        return make("chexpert")

    return run


def test_chexpert(chexpert: Any, lies: Any) -> None:
    made = chexpert(
        [
            {"Edema": "1.0", "Pneumonia": "-1.0", "Fracture": "0.0"},
            {"Frontal/Lateral": "Lateral", "AP/PA": "", "Edema": "1.0", "Sex": "Unknown", "Age": "0"},
            {"No Finding": "1.0", "Support Devices": "1.0", "Age": "90"},
            {},
            {"No Finding": "0.0"},
            {"No Finding": "-1.0"},
        ]
    )
    assert not made.rejects
    first, lateral, none, blank, *others = (made.said(f"view{number}_frontal.jpg") for number in range(6))
    for caption in (first, lateral):
        assert "from a study with" in caption
    assert "edema and possible pneumonia but no fracture" in first
    assert aged(first, "woman", 71)
    assert "AP" in first
    assert "lateral" in lateral.lower()
    assert "woman" not in lateral
    assert "0-year" not in lateral
    assert "support devices and none of the 12 labelled findings" in none
    assert "over 89" in none
    assert blank.startswith(("An AP", "AP"))
    assert all("study" not in said for said in (blank, *others))  # nothing is known, and nothing is said
    groups = [sample.group for sample in made.samples]
    assert len(set(groups)) == 3
    assert all(group.startswith("patient:") for group in groups)
    assert not lies(made, tuple(CHEXPERT[5:]))


def test_nih_chestxray14(tmp_path: Path, picture: Any, make: Any, lies: Any) -> None:
    rows = [
        "00000001_000.png,Cardiomegaly|Emphysema,0,1,58,M,PA,2682,2749,0.143,0.143",
        "00000001_001.png,No Finding,1,1,58,M,AP,2894,2729,0.14300000000000002,0.14300000000000002",
        "00000002_000.png,Effusion|Pleural_Thickening,0,2,95,F,PA,2500,2048,0.168,0.168",
        "00000003_000.png,Hernia,0,3,414,F,PA,2500,2048,0.168,0.168",
        "00000004_000.png,Mass,0,4,60,F,PA,2500,2048,0.168,0.168",
    ]
    (tmp_path / "set").mkdir()
    (tmp_path / "set/Data_Entry_2017_v2020.csv").write_text("\n".join([NIH, *rows]) + "\n")
    picture("images/00000001_000.png")
    picture("images/00000001_001.png", "RGBA")
    for name in ("00000002_000", "00000003_000"):
        picture(f"images/{name}.png")
    assert {sample.official_split for sample in make("nih_chestxray14").samples} == {None}
    (tmp_path / "set/test_list.txt").write_text("00000001_000.png\n00000001_001.png\n")
    (tmp_path / "set/train_val_list.txt").write_text("00000002_000.png\n")
    made = make("nih_chestxray14", probe=True)
    splits = {sample.media.uri.rpartition("/")[2]: sample.official_split for sample in made.samples}
    assert splits == {"00000001_000.png": "test", "00000001_001.png": "test", "00000002_000.png": "train",
                      "00000003_000.png": None}  # fmt: skip
    assert made.reasons == {"images/00000004_000.png": "missing_file"}
    assert "a study with cardiomegaly and emphysema" in made.said("00000001_000.png")
    assert aged(made.said("00000001_000.png"), "man", 58)
    assert "a study with none of the 14 labelled findings" in made.said("00000001_001.png")
    assert "pleural effusion and pleural thickening" in made.said("00000002_000.png")
    assert "over 89" in made.said("00000002_000.png")
    assert "414" not in made.said("00000003_000.png")
    assert not lies(made, ("Infiltration", "Effusion", "Atelectasis", "Nodule", "Mass", "Hernia", "Emphysema"))
    pixels = MediaReader().read(made.samples[0].media).pixels
    assert pixels.shape[:2] == (1, 196)


def test_padchest(tmp_path: Path, picture: Any, make: Any, lies: Any, radiograph: np.ndarray[Any, Any]) -> None:
    usual = {
        "ImageDir": "0", "StudyDate_DICOM": "20140915", "StudyID": "s1", "PatientID": "p1", "PatientBirth": "1930.0",
        "PatientSex_DICOM": "F", "Projection": "PA", "Modality_DICOM": "CR", "BitsStored_DICOM": "12",
        "WindowCenter_DICOM": "2048", "WindowWidth_DICOM": "4096", "Report": " sin hallazg patolog .",
        "MethodLabel": "Physician",
    }  # fmt: skip
    cases = {
        "a": {"Labels": "[' pneumonia', 'cardiomegaly', 'exclude', '']"},
        "b": {"Labels": "['normal']", "Projection": "L"},
        "c": {"Labels": "['unchanged']", "PatientSex_DICOM": "nan"},
        "d": {"Labels": "", "Projection": "EXCLUDE"},
        "e": {"Labels": "[pneumonia"},
    }
    rows = [{**usual, "ImageID": f"{name}.png", **cells} for name, cells in cases.items()]
    table(tmp_path / "set/PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz", PADCHEST, rows)
    for name in cases:
        picture(f"0/{name}.png", "16")
    made = make("padchest")
    assert made.reasons == {"0/d.png": "excluded_by_name", "0/e.png": "bad_row"}
    assert "a study with pneumonia and cardiomegaly" in made.said("0/a.png")
    assert aged(made.said("0/a.png"), "woman", 84)
    assert "lateral" in made.said("0/b.png").lower()
    assert "findings labelled normal" in made.said("0/b.png")
    assert "unchanged" not in made.said("0/c.png")
    assert "study" not in made.said("0/c.png")
    assert all("hallazg" not in sample.captions[0].text for sample in made.samples)
    assert not lies(made, ("pneumonia", "cardiomegaly", "normal"))
    shown = MediaReader().read(next(s for s in made.samples if s.media.uri.endswith("0/a.png")).media).pixels[0]
    expected = radiograph.astype(float) / radiograph.max() * 255
    assert np.abs(shown.astype(float) - expected).max() < 2  # 12 bits in 16, shown over their own range


REPORT = """\
                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  ___ year old woman with cough

 COMPARISON:  Chest radiograph ___

 FINDINGS:

 There is a small left pleural effusion.  The effusion has increased since the
 prior study of ___.

 IMPRESSION:

 Small left pleural effusion.
"""


def test_mimic_cxr_jpg(tmp_path: Path, picture: Any, make: Any, lies: Any) -> None:
    header = (
        "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,StudyDate,StudyTime"
    )
    lines = [
        "02aa-1,10000032,50414267,CHEST (PA AND LAT),PA,3056,2544,21800506,213014.531",
        "02aa-2,10000032,50414267,CHEST (PA AND LAT),LATERAL,3056,2544,21800506,213014.531",
        "02aa-3,10000764,57375967,CHEST,AP,3056,2544,21800506,213014.531",
    ]
    base = tmp_path / "set"
    base.mkdir()
    labels = ["Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Enlarged Cardiomediastinum", "Fracture",
              "Lung Lesion", "Lung Opacity", "No Finding", "Pleural Effusion", "Pleural Other", "Pneumonia",
              "Pneumothorax", "Support Devices"]  # fmt: skip
    with gzip.open(base / "mimic-cxr-2.0.0-metadata.csv.gz", "wt") as handle:
        handle.write("\n".join([header, *lines]) + "\n")
    ids = ["subject_id", "study_id"]
    studies = [
        {"subject_id": "10000032", "study_id": "50414267", "Pleural Effusion": "1.0"},
        {"subject_id": "10000764", "study_id": "57375967", "Pneumonia": "-1.0", "Edema": "0.0", "No Finding": "0.0"},
    ]
    table(base / "mimic-cxr-2.0.0-chexpert.csv.gz", [*ids, *labels], studies)
    split = [
        {"dicom_id": f"02aa-{n}", "study_id": "1", "subject_id": "1", "split": name}
        for n, name in ((1, "train"), (2, "train"), (3, "validate"))
    ]
    table(base / "mimic-cxr-2.0.0-split.csv.gz", ["dicom_id", "study_id", "subject_id", "split"], split)
    for name, subject, study in (("02aa-1", "10000032", "50414267"), ("02aa-2", "10000032", "50414267"),
                                 ("02aa-3", "10000764", "57375967")):  # fmt: skip
        picture(f"files/p10/p{subject}/s{study}/{name}.jpg")
    reports = tmp_path / "reports/files/p10/p10000032"
    reports.mkdir(parents=True)
    (reports / "s50414267.txt").write_text(REPORT)
    made = make("mimic_cxr_jpg", reports=str(tmp_path / "reports"))
    assert not made.rejects
    for name in ("02aa-1.jpg", "02aa-2.jpg"):
        said = "There is a small left pleural effusion. Small left pleural effusion."
        assert made.said(name) == f"From a chest X-ray study with this report: {said}"
    worded = made.said("02aa-3.jpg")
    assert "from a study with possible pneumonia but no edema" in worded
    assert "labelled findings" not in worded
    assert [sample.official_split for sample in sorted(made.samples, key=lambda s: s.media.uri)] == [
        "train", "train", "validate"
    ]  # fmt: skip
    assert {sample.terms.third_party_processing.answer for sample in made.samples} == {"no"}
    assert len({sample.patient for sample in made.samples}) == 2
    assert not lies(made, tuple(labels))
