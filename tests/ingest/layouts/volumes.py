"""Small sets in the published layouts of CT-RATE, RSNA's haemorrhage challenge, LIDC-IDRI and BraTS.

Trees and headers are those of LAYOUTS entries 16 and 17 (by loaders and code of the owners); those of LIDC-IDRI and
BraTS, and the names of CT-RATE's label tables, are from memory. Pixels are real where a package has any: the head of
pydicom's J2K_pixelrep_mismatch.dcm and the slice of its CT_small.dcm. No package holds a volume of CT, so CT-RATE is
one real slice, repeated; nor one of a patient's MR, so BraTS is the ICBM 152 template of nilearn on a coarser grid.
"""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pydicom

from shards.uri import package_folder

HEAD, BODY = "J2K_pixelrep_mismatch.dcm", "CT_small.dcm"
BODY_MM = 0.661468  # Pixel Spacing of BODY
KINDS = ("epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural", "any")
CT_LABELS = (
    "Medical material", "Arterial wall calcification", "Cardiomegaly", "Pericardial effusion",
    "Coronary artery wall calcification", "Hiatal hernia", "Lymphadenopathy", "Emphysema", "Atelectasis",
    "Lung nodule", "Lung opacity", "Pulmonary fibrotic sequela", "Pleural effusion", "Mosaic attenuation pattern",
    "Peribronchial thickening", "Consolidation", "Bronchiectasis", "Interlobular septal thickening",
)  # fmt: skip
REPORT_COLUMNS = ("VolumeName", "ClinicalInformation_EN", "Technique_EN", "Findings_EN", "Impressions_EN")
METADATA_COLUMNS = (
    *("VolumeName", "Manufacturer", "PatientSex", "PatientAge", "RescaleIntercept", "RescaleSlope"),
    *("XYSpacing", "ZSpacing", "NumberofSlices"),
)


@cache
def hounsfield(name: str) -> npt.NDArray[np.int16]:
    """The HU of one of pydicom's CT slices, as stored: [row, column]."""
    dataset = pydicom.dcmread(package_folder("pydicom") / "data/test_files" / name)
    values = dataset.pixel_array.astype(np.float64) * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    return values.astype(np.int16)


def windowed(values: npt.NDArray[Any], centre: float, width: float) -> npt.NDArray[np.float64]:
    """HU in a window, 0 to 255 (PS3.3 C.11.2.1.2.1, LINEAR)."""
    return np.clip((values.astype(np.float64) - (centre - 0.5)) / (width - 1) + 0.5, 0, 1) * 255


def rsna(root: Path, slices: Mapping[str, Mapping[str, Any]], lines: Iterable[tuple[str, str]]) -> None:
    """stage_2_train.csv with `lines`, and stage_2_train/<name>.dcm with elements set anew for each of `slices`."""
    folder = root / "stage_2_train"
    folder.mkdir(parents=True)
    with (root / "stage_2_train.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows([("ID", "Label"), *lines])
    usual = (hounsfield(HEAD).clip(-1024) + 1024).astype("<i2").tobytes()
    for number, (name, elements) in enumerate(slices.items()):
        dataset = _ct(HEAD)
        dataset.PatientID = f"ID_{number:08x}"
        dataset.RescaleIntercept = "-1024"
        dataset.PixelData = usual
        with warnings.catch_warnings():  # that the ids of the set are no UIDs
            warnings.simplefilter("ignore")
            dataset.SOPInstanceUID = name
            dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"ID_{number:07x}a", f"ID_{number:07x}b"
            for keyword, value in elements.items():
                setattr(dataset, keyword, value)
            dataset.save_as(folder / f"{name}.dcm", enforce_file_format=True)


def rsna_lines(name: str, present: Iterable[str]) -> list[tuple[str, str]]:
    """The six lines of a slice."""
    found = set(present)
    return [(f"{name}_{kind}", "1" if kind in found else "0") for kind in KINDS]


def ct_rate(root: Path, volumes: Mapping[str, Mapping[str, Any]]) -> None:
    """The tree of CT-RATE below root/dataset.

    Each volume may say `findings`, `impression`, `labels` (column -> cell), `sex`, `age`, and `header`: "fixed", or
    "lost" as in train/ and valid/, where spacing and rescale are not in the file.
    """
    rows: dict[str, list[list[dict[str, str]]]] = {"train": [[], [], []], "valid": [[], [], []]}
    for name, said in volumes.items():
        split, patient, scan, _ = name.split("_")
        folder = root / f"dataset/{split}_fixed/{split}_{patient}/{split}_{patient}_{scan}"
        folder.mkdir(parents=True, exist_ok=True)
        lost = said.get("header") == "lost"
        save_ct(folder / f"{name}.nii.gz", 1024 if lost else 0, (1.0, 1.0, 1.0) if lost else (BODY_MM, BODY_MM, 1.5))
        report, metadata, labels = rows[split]
        file = {"VolumeName": f"{name}.nii.gz"}
        texts = {"Technique_EN": "CT chest", "Findings_EN": said.get("findings", "Not given.")}
        report.append(
            {
                **file,
                "ClinicalInformation_EN": "Not given.",
                **texts,
                "Impressions_EN": said.get("impression", "Not given."),
            }
        )
        scanner = {"Manufacturer": "Siemens", "RescaleIntercept": "-1024.0", "RescaleSlope": "1.0"}
        spacing = {"XYSpacing": f"[{BODY_MM}, {BODY_MM}]", "ZSpacing": "1.5", "NumberofSlices": "12"}
        metadata.append(
            {**file, **scanner, **spacing, "PatientSex": said.get("sex", ""), "PatientAge": said.get("age", "")}
        )
        labels.append({**file, **dict.fromkeys(CT_LABELS, "0"), **said.get("labels", {})})
    for split, (report, metadata, labels) in rows.items():
        long = {"train": "train", "valid": "validation"}[split]
        _write(root / f"dataset/radiology_text_reports/{long}_reports.csv", REPORT_COLUMNS, report)
        _write(root / f"dataset/metadata/{long}_metadata.csv", METADATA_COLUMNS, metadata)
        _write(
            root / f"dataset/multi_abnormality_labels/{split}_predicted_labels.csv", ("VolumeName", *CT_LABELS), labels
        )


def save_ct(path: Path, shift: int, spacing_mm: Sequence[float], slices: int = 12) -> None:
    """BODY `slices` times, from inferior to superior, a little darker each time so that slices can be told apart."""
    rows = np.stack([hounsfield(BODY).T - np.int16(2 * z) for z in range(slices)], axis=-1)
    affine = np.diag([-spacing_mm[0], -spacing_mm[1], spacing_mm[2], 1.0])  # columns run left, rows posterior
    nibabel.save(nibabel.Nifti1Image(rows + np.int16(shift), affine), path)


def lidc(root: Path, patients: int) -> None:
    """LIDC-IDRI-0001/<study>/<series>/1-001.dcm and so on, two slices each, and an XML of marks beside them."""
    for number in range(1, patients + 1):
        folder = root / f"LIDC-IDRI-{number:04d}/01-01-2000-NA-NA-{number:05d}/3000566.000000-NA-{number:05d}"
        folder.mkdir(parents=True)
        (folder / "069.xml").write_text("<LidcReadMessage/>")
        for slice_number in (1, 2):
            dataset = _ct(BODY)
            dataset.PatientID = f"LIDC-IDRI-{number:04d}"
            dataset.SOPInstanceUID = f"1.3.6.1.4.1.14519.{number}.{slice_number}"
            dataset.BodyPartExamined = "CHEST"
            dataset.PatientSex, dataset.PatientAge = "", ""
            dataset.save_as(folder / f"1-{slice_number:03d}.dcm", enforce_file_format=True)


@cache
def brain() -> npt.NDArray[np.int16]:
    """nilearn's template of the adult brain, each fourth voxel of it, RAS."""
    path = package_folder("nilearn") / "datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
    image: Any = nibabel.load(path)
    return np.asarray(image.dataobj)[::4, ::4, ::4].astype(np.int16)


def brats(root: Path, patients: Sequence[str]) -> None:
    """BraTS2021_00000/BraTS2021_00000_{flair,t1,t1ce,t2,seg}.nii.gz, voxels from left to right and back to front."""
    affine = np.array([[-4.0, 0, 0, 0], [0, -4.0, 0, 239], [0, 0, 4.0, 0], [0, 0, 0, 1]])
    for patient in patients:
        folder = root / patient
        folder.mkdir(parents=True)
        for kind in ("flair", "t1", "t1ce", "t2", "seg"):
            values = (brain() > 60).astype(np.int16) if kind == "seg" else brain()
            nibabel.save(nibabel.Nifti1Image(values[::-1, ::-1], affine), folder / f"{patient}_{kind}.nii.gz")


def _ct(name: str) -> Any:
    """A CT slice without what names a person, a place or a date, uncompressed."""
    source = pydicom.dcmread(package_folder("pydicom") / "data/test_files" / name)
    kept = (
        *("SOPClassUID", "Modality", "ImageType", "ImagePositionPatient", "ImageOrientationPatient", "SamplesPerPixel"),
        *("PhotometricInterpretation", "Rows", "Columns", "PixelSpacing", "WindowCenter", "WindowWidth"),
    )
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    for keyword in kept:
        if keyword in source:
            setattr(dataset, keyword, source[keyword].value)
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.RescaleIntercept, dataset.RescaleSlope = "0", "1"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = source.StudyInstanceUID, source.SeriesInstanceUID
    dataset.PixelData = hounsfield(name).astype("<i2").tobytes()
    return dataset


def _write(path: Path, header: Sequence[str], rows: Sequence[Mapping[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, header)
        writer.writeheader()
        writer.writerows(rows)
