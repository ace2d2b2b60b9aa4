"""HAM10000, the ISIC archive and DeepLesion: one diagnosis a picture, by person and by site."""

from __future__ import annotations

import itertools
import os
import runpy
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shards.uri import package_folder

G = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("grammar.py"))))
LAYOUT = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "test_skin_and_lesions.py")))
SEXES = {"male": "male", "female": "female", "unknown": "", "": ""}
AGES = {"80.0": "80", "0.0": "", "": "", "85.0": "85", "90.0": "over 89", "5.0": "5"}


@pytest.fixture
def photographs(tmp_path: Path) -> Any:
    """photographs(paths): one colour picture under many names; no photograph of skin is in any package."""

    def write(paths: Iterable[str]) -> None:
        with Image.open(package_folder("skimage") / "data/ihc.png") as image:
            image.convert("RGB").resize((40, 30)).save(tmp_path / "one.jpg")
        for path in paths:
            (tmp_path / "set" / path).parent.mkdir(parents=True, exist_ok=True)
            os.link(tmp_path / "one.jpg", tmp_path / "set" / path)

    return write


def allowed(found: str, picture: str, people: Sequence[str], before: str = ",") -> set[str]:
    """`found` in `picture`, and `picture` showing `found`, of a person; `before` parts a person from what is shown."""
    said = set()
    for who in people or [""]:
        of = f" of {G.an(who)}" if who else ""
        said.add(G.sentence(f"{found} in {picture}{of}"))
        said.add(G.sentence(f"{picture} showing {found}" + (f"{before}{of}" if of else "")))
    return said


DX = {
    "akiec": "actinic keratosis or intraepithelial carcinoma",
    "bcc": "basal cell carcinoma",
    "bkl": "a benign keratosis-like lesion",
    "df": "a dermatofibroma",
    "mel": "melanoma",
    "nv": "a melanocytic nevus",
    "vasc": "a vascular lesion",
}
SITES = {"scalp": "scalp", "lower extremity": "lower extremity", "acral": "hand or foot", "genital": "genital area",
         "unknown": "", "": ""}  # fmt: skip


def test_ham10000(tmp_path: Path, photographs: Any, make: Any, captions: Any, lies: Any) -> None:
    people = itertools.cycle(itertools.product(SEXES, AGES))
    every = [(dx, site, *next(people)) for dx, site in itertools.product(DX, SITES)]
    every += [("mel", "scalp", *who) for who in itertools.product(SEXES, AGES)]
    names = ("dx", "site", "sex", "age")
    rows = {f"ISIC_{number:07d}": dict(zip(names, row, strict=True)) for number, row in enumerate(every)}
    photographs(f"images/{name}.jpg" for name in rows)
    lines = ["lesion_id,image_id,dx,dx_type,age,sex,localization"]
    lines += [f"HAM_1,{name},{row['dx']},histo,{row['age']},{row['sex']},{row['site']}" for name, row in rows.items()]
    LAYOUT.write_table(tmp_path / "set/HAM10000_metadata.csv", lines)
    made = make("ham10000")
    assert not made.rejects
    said = captions(made, rows)
    true = {}
    for name, row in rows.items():
        site = f" of the {SITES[row['site']]}" if SITES[row["site"]] else ""
        who = G.people(SEXES[row["sex"]], AGES[row["age"]])
        true[name] = allowed(DX[row["dx"]], f"a dermoscopic image{site}", who)
    assert G.check(said, true) == []
    assert lies(made, ("melanoma", "benign", "malignant", "dermatofibroma", "basal cell carcinoma")) == []
    assert said["ISIC_0000000"] in {
        "Actinic keratosis or intraepithelial carcinoma in a dermoscopic image of the scalp of a man aged 80.",
        "Actinic keratosis or intraepithelial carcinoma in a dermoscopic image of the scalp of an 80-year-old man.",
        "A dermoscopic image of the scalp showing actinic keratosis or intraepithelial carcinoma, of a man aged 80.",
        "A dermoscopic image of the scalp showing actinic keratosis or intraepithelial carcinoma, of an 80-year-old "
        "man.",
    }
    forbidden = (
        G.Lie("Melanoma, of another lesion", r"melanoma", lambda row: row["dx"] != "mel"),
        G.Lie("No melanoma", r"\bno\b|without|possible|normal", lambda row: True),
        G.Lie(
            "A benign keratosis, which bkl need not be", r"benign keratosis(?!-like)", lambda row: row["dx"] == "bkl"
        ),
        G.Lie("Of the unknown", r"unknown|acral|of the (?!scalp|hand|genital area|lower)", lambda row: True),
        G.Lie("A photograph", r"photograph|microscop", lambda row: True),
        G.Lie("An infant, of age 0", r"infant|\b0\b|aged", lambda row: row["age"] == "0.0"),
        G.Lie("Aged 90", r"\b90\b", lambda row: row["age"] == "90.0"),
        G.Lie("A man, of unknown sex", r"\b(?:wo)?man\b|male|boy|girl", lambda row: not SEXES[row["sex"]]),
        G.Lie("Confirmed by histopathology", r"histo|confirm", lambda row: True),
    )
    assert G.told(forbidden, rows, said) == []


def test_isic_archive(tmp_path: Path, photographs: Any, make: Any, captions: Any, lies: Any) -> None:
    diagnoses = {"Benign": "a benign lesion", "Malignant": "a malignant lesion", "Indeterminate": "", "": ""}
    kinds = {"dermoscopic": "a dermoscopic image", "clinical: close-up": "a clinical photograph"}
    sites = {"head/neck": "head or neck", "palms/soles": "palm or sole", "anterior torso": "anterior torso", "": ""}
    people = itertools.cycle(itertools.product(("male", "female", ""), ("85", "", "90")))
    every = [(*row, *next(people)) for row in itertools.product(diagnoses, kinds, sites) for _ in range(5)]
    names = ("diagnosis", "kind", "site", "sex", "age")
    rows = {f"ISIC_{number:07d}": dict(zip(names, row, strict=True)) for number, row in enumerate(every)}
    photographs(f"{name}.jpg" for name in rows)
    lines = ["isic_id,copyright_license,age_approx,anatom_site_general,diagnosis_1,sex,image_type,lesion_id,patient_id"]
    for name, row in rows.items():
        cells = (row["age"], row["site"], row["diagnosis"], row["sex"], row["kind"])
        lines.append(f"{name},CC-BY,{','.join(cells)},IL_{name},")
    LAYOUT.write_table(tmp_path / "set/metadata.csv", lines)
    made = make("isic_archive")
    assert not made.rejects
    said = captions(made, rows)
    true = {}
    for name, row in rows.items():
        picture = kinds[row["kind"]] + (f" of the {sites[row['site']]}" if row["site"] else "")
        people_ = G.people(row["sex"], {"90": "over 89"}.get(row["age"], row["age"]))
        found = diagnoses[row["diagnosis"]]
        showing = f" showing {found}" if found else ""
        true[name] = set()
        for who in people_ or [""]:
            of = f" of {G.an(who)}" if who else ""
            true[name].add(G.sentence(f"{picture}{of}" + (f",{showing}" if found else "")))
            if found:
                true[name].add(G.sentence(picture + showing + (f",{of}" if of else "")))
    assert G.check(said, true) == []
    assert lies(made, ("benign", "malignant", "indeterminate")) == []
    forbidden = (
        G.Lie("Showing benign", r"showing (?:benign|malignant)|indeterminate", lambda row: True),
        G.Lie(
            "A malignant lesion, of no diagnosis",
            r"lesion|malignant|benign",
            lambda row: not diagnoses[row["diagnosis"]],
        ),
        G.Lie("Not malignant", r"\bnot?\b|without", lambda row: True),
        G.Lie("A dermoscopic image, of a clinical one", r"dermoscop", lambda row: row["kind"].startswith("clinical")),
        G.Lie("Of the head/neck", r"/", lambda row: True),
    )
    assert G.told(forbidden, rows, said) == []


TYPES = {"1": "a bone lesion", "2": "an abdominal lesion", "3": "a mediastinal lesion", "4": "a liver lesion",
         "5": "a lung lesion", "6": "a kidney lesion", "7": "a soft tissue lesion", "8": "a pelvic lesion",
         "-1": "a lesion"}  # fmt: skip
DEEP_SEXES = {"F": "female", "M": "male", "": ""}
DEEP_AGES = {"62": "62", "": "", "90": "over 89", "NaN": "", "0": ""}


def test_deeplesion(tmp_path: Path, make: Any, captions: Any, lies: Any) -> None:
    """Each type of lesion, sure or noisy, of each person: of the key slice, in the window of its row."""
    people, rows, lines = itertools.cycle(itertools.product(DEEP_SEXES, DEEP_AGES)), {}, [LAYOUT.DEEP]
    folder = tmp_path / "set/Images_png/000001_01_01"
    folder.mkdir(parents=True)
    Image.fromarray(np.full((48, 64), 32768, np.uint16) + np.arange(64, dtype=np.uint16)).save(tmp_path / "one.png")
    cases = itertools.product(TYPES, ("0", "1"), ('"-175, 275"', '"-1500, 500"'))
    for number, (kind, noisy, window) in enumerate(case for case in cases for _ in range(3)):
        sex, age = next(people)
        name = f"{number:03d}"
        rows[name] = {"kind": kind, "sex": sex, "age": age, "noisy": noisy}
        os.link(tmp_path / "one.png", folder / f"{name}.png")
        lines.append(
            f'000001_01_01_{name}.png,1,1,1,{number},"233.5, 95.0","226.2, 90.2, 241.0, 111.4","17.2, 9.1",'
            f'"0.44, 0.28, 0.47",{kind},{noisy},"103, 115","0.488, 0.488, 5","512, 512",{window},{sex},{age},3'
        )
    LAYOUT.write_table(tmp_path / "set/DL_info.csv", lines)
    made = make("deeplesion")
    noisy_rows = {f"Images_png/000001_01_01/{name}.png" for name, row in rows.items() if row["noisy"] == "1"}
    assert made.reasons == dict.fromkeys(noisy_rows, "excluded_by_name")
    rows = {name: row for name, row in rows.items() if row["noisy"] == "0"}
    said = captions(made, rows)
    true = {
        name: allowed(TYPES[row["kind"]], "an axial CT image", G.people(DEEP_SEXES[row["sex"]], DEEP_AGES[row["age"]]))
        for name, row in rows.items()
    }
    assert G.check(said, true) == []
    assert lies(made, ("liver lesion", "bone lesion", "mass", "nodule")) == []
    forbidden = (
        G.Lie("A liver lesion, of another", r"liver", lambda row: row["kind"] != "4"),
        G.Lie("A lung lesion, of a type that is not given", r"(?<!a) lesion|-1", lambda row: row["kind"] == "-1"),
        G.Lie("17.2 mm", r"\d mm|\b17|\b9\.1|\bcm\b", lambda row: True),
        G.Lie("From a scan with a lesion", r"scan|series|study|sagittal|coronal", lambda row: True),
        G.Lie("In a lung window", r"window", lambda row: True),
        G.Lie("Contrast-enhanced", r"contrast", lambda row: True),
        G.Lie("No other lesion", r"\bno\b|without|only|normal", lambda row: True),
        G.Lie("Aged 90", r"\b90\b", lambda row: row["age"] == "90"),
    )
    assert G.told(forbidden, rows, said) == []
