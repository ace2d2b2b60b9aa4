"""Which modality a caption speaks of: never a guess."""

from __future__ import annotations

import time

import pytest

from ingest.scrapers.modality_text import OTHER, modalities_in, modality_of
from shards.vocabulary import MODALITIES

SAID = {
    "CT": [
        "Axial CT shows a mass in the left lung.",
        "Contrast-enhanced computed tomography of the abdomen.",
        "HRCT of the chest with ground-glass opacities.",
        "CT pulmonary angiography shows an embolus.",
        "CT coronary angiography.",
        "X-ray computed tomography of the temporal bone",
        "Follow-up CT after six months, the mass has gone.",
        "Non-contrast CT. The ventricles are not enlarged.",
        "CT of the head in a patient with a normal heart.",
        "Intraoperative CT shows the screws.",
    ],
    "MR": [
        "Sagittal T2-weighted MRI of the spine.",
        "FLAIR shows a lesion.",
        "Magnetic resonance imaging of the knee",
        "MRCP with a stone.",
        "MR angiography of the circle of Willis.",
        "DWI with restricted diffusion.",
    ],
    "CR": [
        "Chest X-ray, PA.",
        "Anteroposterior radiograph of the pelvis.",
        "Chest Xray with effusion",
        "Plain film of the hand",
    ],
    "MG": ["Mammogram of the left breast.", "Craniocaudal mammography"],
    "US": [
        "Transthoracic echocardiography, apical view.",
        "Ultrasound of the thyroid.",
        "Endoscopic ultrasound shows a mass of the pancreas.",
        "Color Doppler of the carotid artery",
    ],
    "XA": ["Coronary angiography shows a stenosis.", "Digital subtraction angiography of the aneurysm"],
    "NM": ["Bone scan with uptake in the femur.", "Thyroid scintigraphy"],
    "PT": ["FDG-PET with an avid node.", "Positron emission tomography"],
    "ECG": ["12-lead ECG with ST elevation.", "Electrocardiogram on admission."],
    "OP": ["Color fundus photograph of the right eye.", "Fundus photography: cotton wool spots"],
    "OPT": ["OCT of the macula with fluid.", "Optical coherence tomography"],
    "DMS": ["Dermoscopy of a naevus.", "Dermatoscopic view"],
    "ES": ["Colonoscopy shows a polyp.", "Endoscopic view of the antrum.", "Bronchoscopy with a foreign body."],
    "SM": [
        "Haematoxylin and eosin, \u00d740: tumour cells.",
        "Photomicrograph (H&E, original magnification \u00d7200).",
        "Histological section with granulomas.",
        "Immunohistochemical staining for CD20 is positive",
        "CT-guided biopsy, H&E",  # the CT led the needle
    ],
    "GM": ["Peripheral blood smear with blasts.", "Transmission electron micrograph of a mitochondrion"],
    "XC": ["Clinical photograph of the hand."],
}  # fmt: skip
UNSAID = [
    "",
    "A 40-year-old man with a mass.",
    "Axial view of the mass.",
    # two
    "MRI was normal; X-ray shown",
    "(A) CT. (B) MRI.",
    "CT and MRI of the brain",
    "PET/CT of the whole body",
    "PET-CT with uptake",
    "SPECT/CT of the parathyroid",
    "Radiograph; a later CT showed a fracture",
    "Ultrasound and mammogram",
    "Endoscopic ultrasound and gastroscopy",
    # only to say that it was not done, or was done elsewhere
    "no CT was performed",
    "No CT or further imaging",
    "CT was not performed.",
    "The patient refused MRI.",
    "MRI was normal.",
    "CT had been done elsewhere.",
    "The mass was confirmed by CT.",
    "The lesion before the MRI",
    "An ultrasound-guided biopsy of the mass.",
    "Needle placed under CT guidance",
    "ECG-gated acquisition",
    # drawings, and pictures of another kind
    "ROC curve of the CT model",
    "Flow chart of patients with MRI",
    "Kaplan-Meier plot by PET response",
    "Bars show the number of ultrasound examinations",
    "Architecture of the network for chest X-ray",
    "Gross specimen; CT showed it in the liver",
    "Intraoperative view of the tumour that MRI showed",
    "Photograph of the leg, ultrasound showed a clot",
    "Table of CT findings",
    "Number of MRI examinations by year",
    "Survival by PET response, p < 0.001",
    "Grad-CAM of a chest X-ray",
    "Placement of the ultrasound probe",
    "X-ray diffraction of the crystal",
    "X-ray film of the blot",
    "NMR spectrum",
    "Micro-CT of the femur of a mouse",
    "OCT angiography",
    "Fluorescein angiography of the retina",
    "Laparoscopic view",
    "Sample in OCT compound",
    "Scanner (Acme, New Haven, CT, USA)",
    "Ct values of the PCR",
    # short forms that are other words
    "Severe MR with a flail leaflet",
    "The US and Europe",
    "pet owners",
    "He ate it",
    # only what led to it
    "Histopathology confirmed adenocarcinoma",
    "Endoscopic resection of the polyp",
    "Biopsy of the lesion",
    "Angiography",
    "Gastric fundus with a polyp",
]


@pytest.mark.parametrize(("text", "code"), [(text, code) for code, texts in SAID.items() for text in texts])
def test_one_modality_is_named(text: str, code: str) -> None:
    assert code in MODALITIES
    assert modality_of(text) == code


@pytest.mark.parametrize("text", UNSAID)
def test_nothing_is_guessed(text: str) -> None:
    assert modality_of(text) is None


def test_one_denial_of_several_mentions_is_not_the_picture() -> None:
    assert modality_of("Axial CT shows a mass. No CT was done later.") == "CT"
    assert modality_of("Axial CT shows a mass; no MRI was done.") is None


def test_all_that_is_spoken_of() -> None:
    assert modalities_in("No CT was done. MRI shows a mass, see the diagram") == {"CT", "MR", OTHER}
    assert modalities_in("PET/CT") == {"PT", "CT"}
    assert modalities_in("A mass.") == frozenset()


def test_every_code_is_of_the_vocabulary() -> None:
    assert set(SAID) <= set(MODALITIES)


def test_what_is_no_caption_takes_no_time() -> None:
    begun = time.process_time()
    assert modality_of("CT " * 2_000_000) is None
    assert modality_of("CT " * 6000) == "CT"
    assert time.process_time() - begun < 5
