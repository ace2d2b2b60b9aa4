"""HAM10000, the ISIC archive and DeepLesion in their published layouts."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shards.media import MediaReader
from shards.uri import package_folder


@pytest.fixture
def photograph(tmp_path: Path) -> Any:
    """photograph(path): a colour picture of skimage as a JPEG below set/; no skin photograph is in any package."""

    def write(path: str) -> None:
        where = tmp_path / "set" / path
        where.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(package_folder("skimage") / "data/ihc.png") as image:
            image.convert("RGB").resize((60, 45)).save(where)

    return write


def write_table(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


HAM = [
    "HAM_0000118,ISIC_0027419,bkl,histo,80.0,male,scalp",
    "HAM_0000118,ISIC_0025030,bkl,histo,80.0,male,scalp",
    "HAM_0002730,ISIC_0026769,mel,follow_up,,unknown,unknown",
    "HAM_0001466,ISIC_0031633,xxx,consensus,45.0,female,back",
]


@pytest.mark.parametrize("form", ["kaggle", "dataverse"])
def test_ham10000_in_both_of_its_forms(form: str, tmp_path: Path, photograph: Any, make: Any, lies: Any) -> None:
    header, more = "lesion_id,image_id,dx,dx_type,age,sex,localization", ""
    if form == "dataverse":
        header, more = f"{header},dataset", ",vidir_modern"
    name = "HAM10000_metadata.csv" if form == "kaggle" else "HAM10000_metadata"
    write_table(tmp_path / "set" / name, [header, *(row + more for row in HAM)])
    for row in HAM:
        photograph(f"images/{row.split(',')[1]}.jpg")
    options = {} if form == "kaggle" else {"table": {"table": name, "separator": ","}}
    made = make("ham10000", **options)
    assert made.reasons == {"images/ISIC_0031633.jpg": "bad_row"}
    first = made.said("ISIC_0027419.jpg")
    assert "benign keratosis-like lesion" in first
    assert "dermoscopic image" in first
    assert "scalp" in first
    assert "80" in first
    assert "unknown" not in made.said("ISIC_0026769.jpg")
    assert "melanoma" in made.said("ISIC_0026769.jpg")
    lesions = {sample.media.uri.rpartition("/")[2]: sample.group for sample in made.samples}
    assert lesions["ISIC_0027419.jpg"] == lesions["ISIC_0025030.jpg"] != lesions["ISIC_0026769.jpg"]
    assert not lies(made, ("melanoma", "benign keratosis-like lesion", "basal cell carcinoma", "dermatofibroma"))


def test_isic_pictures_have_licences_of_their_own_and_meet_ham10000(
    tmp_path: Path, photograph: Any, make: Any, lies: Any
) -> None:
    header = (
        "isic_id,attribution,copyright_license,age_approx,anatom_site_general,diagnosis_1,sex,image_type,lesion_id,"
        "patient_id"
    )
    rows = [
        "ISIC_0027419,ViDIR,CC-BY-NC,80,head/neck,Benign,male,dermoscopic,IL_1,",
        "ISIC_0000001,somebody,CC-0,,,Malignant,,clinical: close-up,IL_2,IP_1",
        "ISIC_0000002,somebody,,50,,Benign,female,dermoscopic,IL_3,",
        "ISIC_0000003,ViDIR,CC-BY-NC,80,head/neck,Benign,male,dermoscopic,IL_1,",
        "ISIC_0000004,somebody,CC-0,,,Benign,,RCM: tile,IL_4,",
        "ISIC_0000005,somebody,CC-0,,,Benign,,dermoscopic,IL_5,IP_1",
    ]
    write_table(tmp_path / "set/metadata.csv", [header, *rows])
    for row in rows:
        photograph(f"{row.split(',')[0]}.jpg")
    made = make("isic_archive")
    assert made.reasons == {"ISIC_0000002.jpg": "bad_row", "ISIC_0000004.jpg": "unknown_modality"}  # no licence; RCM
    groups = {sample.media.uri[-5]: sample.group for sample in made.samples}
    assert groups["9"] == groups["3"] != groups["1"] == groups["5"]
    assert {sample.media.uri[-5]: sample.modality for sample in made.samples}["1"] == "XC"
    licences = {sample.media.uri.rpartition("/")[2]: sample.license for sample in made.samples}
    assert licences["ISIC_0027419.jpg"] == "CC-BY-NC-4.0"
    assert licences["ISIC_0000001.jpg"] == "CC0-1.0"
    assert "malignant" in made.said("ISIC_0000001.jpg").lower()
    assert not lies(made)
    write_table(tmp_path / "set/HAM10000_metadata.csv", ["lesion_id,image_id,dx,dx_type,age,sex,localization", HAM[0]])
    shutil.copytree(tmp_path / "set", tmp_path / "set/images")
    twin = make("ham10000").samples[0]
    assert twin.source_id in {sample.source_id for sample in made.samples}


DEEP = (
    "File_name,Patient_index,Study_index,Series_ID,Key_slice_index,Measurement_coordinates,Bounding_boxes,"
    "Lesion_diameters_Pixel_,Normalized_lesion_location,Coarse_lesion_type,Possibly_noisy,Slice_range,Spacing_mm_px_,"
    "Image_size,DICOM_windows,Patient_gender,Patient_age,Train_Val_Test"
)


def test_deeplesion_shows_the_key_slice_in_the_window_of_its_row(tmp_path: Path, make: Any, lies: Any) -> None:
    hounsfield = np.linspace(-1000, 1000, 64 * 48).reshape(48, 64).round()
    folder = tmp_path / "set/Images_png/000001_01_01"
    folder.mkdir(parents=True)
    for number in (108, 109, 110):  # the neighbours lie in the folder, too
        Image.fromarray((hounsfield + 32768).astype(np.uint16)).save(folder / f"{number:03d}.png")

    def row(name: str, kind: int, split: int, windows: str = '"-175, 275"') -> str:
        return (
            f'{name},1,1,1,109,"233.5, 95.0","226.2, 90.2, 241.0, 111.4","17.2, 9.1","0.44, 0.28, 0.47",{kind},0,'
            f'"103, 115","0.488, 0.488, 5","512, 512",{windows},F,62,{split}'
        )

    rows = [row("000001_01_01_109.png", 3, 3), row("000001_01_01_110.png", -1, 1), row("000001_01_01_108.png", 9, 1)]
    write_table(tmp_path / "set/DL_info.csv", [DEEP, *rows])
    made = make("deeplesion")
    assert made.reasons == {"Images_png/000001_01_01/108.png": "bad_row"}
    key = made.said("109.png")
    assert "mediastinal lesion" in key
    assert "axial" in key
    assert "62" in key
    assert "a lesion" in made.said("110.png").lower()
    assert [sample.official_split for sample in sorted(made.samples, key=lambda s: s.media.uri)] == ["test", "train"]
    shown = MediaReader().read(next(s for s in made.samples if s.media.uri.endswith("109.png")).media).pixels[0]
    expected = np.clip((hounsfield + 175) / 450, 0, 1) * 255
    assert np.abs(shown - expected).max() <= 1
    assert not lies(made, ("liver lesion", "bone lesion", "mass", "nodule"))
