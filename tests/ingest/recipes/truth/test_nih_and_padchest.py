"""NIH ChestX-ray14 and PadChest: findings listed in one cell, pair by pair, by view and by person.

A list names what was found; what it does not name is not stated. All of it is of the study.
"""

from __future__ import annotations

import ast
import csv
import gzip
import itertools
import runpy
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

G = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("grammar.py"))))
LAYOUT = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "test_radiographs.py")))
CHEST = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("test_chexpert_and_mimic.py"))))

NIH_WORDS = {
    "Atelectasis": "atelectasis", "Cardiomegaly": "cardiomegaly", "Consolidation": "consolidation", "Edema": "edema",
    "Effusion": "pleural effusion", "Emphysema": "emphysema", "Fibrosis": "fibrosis", "Hernia": "a hernia",
    "Infiltration": "infiltration", "Mass": "a mass", "Nodule": "a nodule", "Pleural_Thickening": "pleural thickening",
    "Pneumonia": "pneumonia", "Pneumothorax": "pneumothorax",
}  # fmt: skip
NIH_AGES = {"58": "58", "0": "", "1": "1", "17": "17", "89": "89", "95": "over 89", "414": ""}
SEXES = {"F": "female", "M": "male"}


def nih_rows() -> dict[str, dict[str, str]]:
    """Each pair of findings, each alone, No Finding alone and beside one; views, ages and sexes in turn."""
    pairs = ["|".join(pair) for pair in itertools.combinations(NIH_WORDS, 2)]
    cells = [*pairs, *NIH_WORDS, "No Finding", "No Finding|Mass"]
    people = itertools.cycle(itertools.product(NIH_AGES, SEXES, ("PA", "AP")))
    every = [(cell, *next(people)) for cell in cells]
    every += [("Mass", *who) for who in itertools.product(NIH_AGES, SEXES, ("PA", "AP"))]
    every += [("No Finding", *who) for who in itertools.product(NIH_AGES, SEXES, ("PA", "AP"))]
    return {
        f"{number:08d}_000": {"labels": cell, "age": age, "sex": sex, "view": view}
        for number, (cell, age, sex, view) in enumerate(every, start=1)
    }


NIH_LIES = (
    ("No pneumonia", r"no [^.]*pneumonia|without", lambda row: "Pneumonia" not in row["labels"]),
    ("From a study with pneumonia", r"pneumonia", lambda row: "Pneumonia" not in row["labels"]),
    ("A radiograph showing a mass", r"showing|seen (?:on|in)|radiograph(?: of the chest)? with", lambda row: True),
    ("A normal radiograph", r"\bnormal|healthy|no finding", lambda row: row["labels"] == "No Finding"),
    ("None of the 14 labelled findings, and a mass", r"none of", lambda row: row["labels"] == "No Finding|Mass"),
    ("A digital radiograph", r"digital", lambda row: True),
    ("A 12-month-old boy", r"month|infant", lambda row: row["age"] == "1"),
    ("Of an infant aged 0", r"\b0\b|infant|aged", lambda row: row["age"] == "0"),
    ("A man aged 414", r"41|over", lambda row: row["age"] == "414"),
    ("A woman aged 95", r"\b9\d\b", lambda row: row["age"] == "95"),
    ("A woman, of a male", r"woman|female|girl", lambda row: row["sex"] == "M"),
)


def test_nih_chestxray14(tmp_path: Path, pictures: Any, make: Any, captions: Any, lies: Any) -> None:
    rows = nih_rows()
    pictures(f"images/{name}.png" for name in rows)
    lines = [
        f"{name}.png,{row['labels']},0,{number},{row['age']},{row['sex']},{row['view']},2500,2048,0.168,0.168"
        for number, (name, row) in enumerate(rows.items())
    ]
    (tmp_path / "set/Data_Entry_2017_v2020.csv").write_text("\n".join([LAYOUT.NIH, *lines]) + "\n")
    made = make("nih_chestxray14")
    assert not made.rejects
    said = captions(made, rows)
    true = {}
    for name, row in rows.items():
        found = [NIH_WORDS[label] for label in row["labels"].split("|") if label in NIH_WORDS]
        clause = G.items(found or ["none of the 14 labelled findings"])
        true[name] = CHEST.allowed(f"{row['view']} ", clause, G.people(SEXES[row["sex"]], NIH_AGES[row["age"]]))
    assert G.check(said, true) == []
    assert G.told([G.Lie(*lie) for lie in NIH_LIES], rows, said) == []
    assert lies(made, tuple(NIH_WORDS)) == []
    assert said["00000001_000"] in {
        f"A PA {picture}, from a study with atelectasis and cardiomegaly, of {whom}." if order else
        f"A PA {picture} of {whom}, from a study with atelectasis and cardiomegaly."
        for picture in ("chest radiograph", "radiograph of the chest")
        for whom in ("a woman aged 58", "a 58-year-old woman")
        for order in (0, 1)
    }  # fmt: skip


# ---- PadChest ----

ENTRIES = {  # entry of the list -> its words; "" says nothing of the picture, and normal is told apart
    " pneumonia": "pneumonia",
    "pneumonia": "pneumonia",
    "cardiomegaly": "cardiomegaly",
    "nodule": "a nodule",
    "NSG tube": "a nasogastric tube",
    "dai": "an implantable defibrillator",
    "surgery breast": "breast surgery",
    "interstitial pattern": "an interstitial pattern",
    "bullas": "bullae",
    "normal": "findings labelled normal",
    "exclude": "",
    "suboptimal study": "",
    "unchanged": "",
    "": "",
}
DEVICES = {"a nasogastric tube", "an implantable defibrillator"}
BIRTHS = {"1930.0": "84", "1925.0": "89", "1924.0": "over 89", "2014.0": "", "2013.0": "", "2012.0": "2", "nan": ""}
PADCHEST_SEXES = {"F": "female", "M": "male", "O": "", "nan": ""}


def padchest_rows() -> dict[str, dict[str, str]]:
    """Each two entries, and no list; then one finding with each view, person and machine."""
    looks = itertools.cycle(itertools.product(G.PADCHEST_VIEWS, BIRTHS, PADCHEST_SEXES, ("CR", "DX", "CR")))
    lists = [repr([one, two]) for one, two in itertools.product(ENTRIES, ENTRIES)] + ["[]", "nan", ""]
    every = [(cell, *next(looks)) for cell in lists]
    every += [
        ("['nodule']", *look) for look in itertools.product(G.PADCHEST_VIEWS, BIRTHS, PADCHEST_SEXES, ("CR", "DX"))
    ]
    names = ("Labels", "Projection", "PatientBirth", "PatientSex_DICOM", "Modality_DICOM")
    return {f"p{number}": dict(zip(names, row, strict=True)) for number, row in enumerate(every)}


def padchest_clause(cell: str) -> str:
    entries = [ENTRIES[entry] for entry in (ast.literal_eval(cell) if cell.startswith("[") else [])]
    words = [entry for entry in dict.fromkeys(entries) if entry]
    found = [entry for entry in words if entry != "findings labelled normal"]
    last = ["findings labelled normal"] if len(found) < len(words) and set(found) <= DEVICES else []
    return G.items([*found, *last]) if found or last else ""


PADCHEST_LIES = (
    ("No pneumonia", r"no [^.]*pneumonia|without", lambda row: "pneumonia" not in row["Labels"]),
    ("With pneumonia", r"pneumonia", lambda row: "pneumonia" not in row["Labels"]),
    ("A radiograph showing a nodule", r"showing|seen (?:on|in)|radiograph(?: of the chest)? with", lambda row: True),
    ("A normal radiograph", r"(?<!labelled )normal", lambda row: "normal" in row["Labels"]),
    ("Findings labelled normal, beside pneumonia", r"normal", lambda row: "pneumonia" in row["Labels"]),
    ("Unchanged", r"unchanged|exclude|suboptimal", lambda row: True),
    ("DAI", r"\bdai\b|NSG|bullas", lambda row: True),
    ("Sin hallazgos patologicos", r"hallazg|patolog", lambda row: True),
    ("A digital radiograph, of a CR", r"digital", lambda row: row["Modality_DICOM"] == "CR"),
    ("A PA radiograph, of a lateral", r"\b(?:AP|PA|rib)\b", lambda row: row["Projection"] == "L"),
    (
        "A lateral radiograph, of an unknown view",
        r"\b(?:AP|PA|rib|UNK|lateral)\b",
        lambda row: row["Projection"] == "UNK",
    ),
    ("A 12-month-old boy", r"month|infant|\b1\b", lambda row: row["PatientBirth"] in ("2013.0", "2014.0")),
    ("A woman aged 90", r"\b9\d\b", lambda row: row["PatientBirth"] == "1924.0"),
    ("A man, of neither sex", r"\b(?:wo)?man\b|male|girl|boy", lambda row: row["PatientSex_DICOM"] in ("O", "nan")),
)


def padchest_allowed(row: Mapping[str, str]) -> set[str]:
    view, clause = G.PADCHEST_VIEWS[row["Projection"]], padchest_clause(row["Labels"])
    people: Sequence[str] = G.people(PADCHEST_SEXES[row["PatientSex_DICOM"]], BIRTHS[row["PatientBirth"]])
    said: set[str] = CHEST.allowed(view, clause, people)
    if row["Modality_DICOM"] == "CR":
        return said
    long = (text for text in said if "radiograph of the chest" in text)
    return {text.replace(" radiograph", " digital radiograph").replace("An digital", "A digital") for text in long}


def test_padchest(tmp_path: Path, pictures: Any, make: Any, captions: Any, lies: Any) -> None:
    rows = padchest_rows()
    pictures((f"0/{name}.png" for name in rows), "16")
    usual = {"ImageDir": "0", "StudyDate_DICOM": "20140915", "StudyID": "s1", "BitsStored_DICOM": "12",
             "Report": " sin hallazg patolog .", "WindowCenter_DICOM": "2048", "WindowWidth_DICOM": "4096"}  # fmt: skip
    path = tmp_path / "set/PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz"
    with gzip.open(path, "wt", newline="") as handle:
        writer = csv.DictWriter(handle, LAYOUT.PADCHEST)
        writer.writeheader()
        for name, row in rows.items():
            writer.writerow({**usual, "ImageID": f"{name}.png", "PatientID": name, **row})
    made = make("padchest")
    assert not made.rejects
    said = captions(made, rows)
    assert G.check(said, {name: padchest_allowed(row) for name, row in rows.items()}) == []
    assert G.told([G.Lie(*lie) for lie in PADCHEST_LIES], rows, said) == []
    assert lies(made, ("pneumonia", "cardiomegaly", "nodule", "normal", "bullas")) == []
    assert padchest_clause("['NSG tube', 'normal']") == "a nasogastric tube and findings labelled normal"
    assert padchest_clause("['normal', ' pneumonia']") == "pneumonia"
