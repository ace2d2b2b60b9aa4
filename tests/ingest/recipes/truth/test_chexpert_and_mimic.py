"""CheXpert and MIMIC-CXR-JPG: present, absent, uncertain and blank of two labels, by view and by person.

Labels are of the study, so each view carries them and none may be said to show them.
"""

from __future__ import annotations

import csv
import gzip
import itertools
import re
import runpy
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

G = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("grammar.py"))))
STATES = {"1.0": "present", "0.0": "absent", "-1.0": "uncertain", "": "unstated"}
WORDS = {  # column -> words, and whether they are counted
    "Enlarged Cardiomediastinum": ("enlarged cardiomediastinum", True),
    "Cardiomegaly": ("cardiomegaly", False),
    "Lung Opacity": ("lung opacity", True),
    "Lung Lesion": ("lung lesion", True),
    "Edema": ("edema", False),
    "Consolidation": ("consolidation", False),
    "Pneumonia": ("pneumonia", False),
    "Atelectasis": ("atelectasis", False),
    "Pneumothorax": ("pneumothorax", False),
    "Pleural Effusion": ("pleural effusion", False),
    "Fracture": ("fracture", True),
    "Support Devices": ("support devices", False),
    "Pleural Other": ("other pleural abnormalities", False),  # last, since its name is not its column's
}
ARTICLES = {words for words, counted in WORDS.values() if counted}
NOTHING = "none of the 12 labelled findings"
CHEXPERT = [
    *("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", "No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly"),
    *("Lung Opacity", "Lung Lesion", "Edema", "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax"),
    *("Pleural Effusion", "Pleural Other", "Fracture", "Support Devices"),
]
VIEWS = {  # (Frontal/Lateral, AP/PA) -> what may be said
    ("Frontal", "AP"): "AP ",
    ("Frontal", "PA"): "PA ",
    ("Lateral", ""): "lateral ",
    ("Frontal", ""): "frontal ",
    ("Frontal", "LL"): "",  # one of the two is wrong
}
PERSONS = {  # (Sex, Age) -> sex and age that may be said
    ("Female", "71"): ("female", "71"),
    ("Male", "18"): ("male", "18"),
    ("Unknown", "0"): ("", ""),
    ("Female", "90"): ("female", "over 89"),
    ("Male", "89"): ("male", "89"),
    ("Female", "0"): ("female", ""),
    ("Unknown", "45"): ("", "45"),
}


def study(cells: Mapping[str, str]) -> str:
    """What a row's labels say, as a clause."""
    states = [(words, STATES[cells.get(column, "")]) for column, (words, _) in WORDS.items()]
    nothing = NOTHING if cells.get("No Finding") == "1.0" else ""
    return str(G.findings(states, nothing, {"support devices"}, ARTICLES))


def allowed(view: str, clause: str, people: Sequence[str]) -> set[str]:
    found = set()
    for picture in (f"{view}chest radiograph", f"{view}radiograph of the chest"):
        for who in people or [""]:
            of = f" of {G.an(who)}" if who else ""
            found.add(G.sentence(f"{G.an(picture)}{of}" + (f", from a study with {clause}" if clause else "")))
            if clause:
                found.add(G.sentence(f"{G.an(picture)}, from a study with {clause}" + (f",{of}" if of else "")))
    return found


def label_rows() -> list[dict[str, str]]:
    """All states of each label and the next one, and of one finding, No Finding and devices."""
    columns = [*WORDS]
    pairs = zip(columns, [*columns[1:], columns[0]], strict=True)
    rows = [{one: a, two: b} for one, two in pairs for a, b in itertools.product(STATES, STATES)]
    three = ("Edema", "No Finding", "Support Devices")
    return rows + [dict(zip(three, cells, strict=True)) for cells in itertools.product(STATES, repeat=3)]


def chexpert_rows() -> dict[str, dict[str, str]]:
    views, persons = itertools.cycle(VIEWS), itertools.cycle(PERSONS)
    every = [
        ({"Pneumonia": a, "Edema": b}, view, person)
        for a, b in itertools.product(STATES, STATES)
        for view in VIEWS
        for person in PERSONS
    ]
    every += [(cells, next(views), next(persons)) for cells in label_rows()]
    names = ("Frontal/Lateral", "AP/PA"), ("Sex", "Age")
    return {
        f"view{number}_x": {
            **cells,
            **dict(zip(names[0], view, strict=True)),
            **dict(zip(names[1], person, strict=True)),
        }
        for number, (cells, view, person) in enumerate(every)
    }


LATERAL = "Frontal/Lateral"
LIES = (
    ("No pneumonia in a blank cell: no pneumonia", r"no [^.]*pneumonia", lambda row: row.get("Pneumonia", "") == ""),
    ("Pneumonia of a blank cell: with pneumonia", r"pneumonia", lambda row: row.get("Pneumonia", "") == ""),
    ("No pneumonia, of a possible one", r"no [^.]*pneumonia", lambda row: row.get("Pneumonia") == "-1.0"),
    ("With pneumonia, of a possible one", r"(?<!possible )pneumonia", lambda row: row.get("Pneumonia") == "-1.0"),
    ("Possible pneumonia, of an absent one", r"possible pneumonia", lambda row: row.get("Pneumonia") == "0.0"),
    ("With pneumonia, of an absent one", r"(?:with|and|,) pneumonia", lambda row: row.get("Pneumonia") == "0.0"
        and row.get("Edema", "") in ("", "0.0") and row.get("Consolidation", "") in ("", "0.0")),
    ("A lateral radiograph showing edema", r"showing|shows|seen (?:on|in)", lambda row: row[LATERAL] == "Lateral"),
    ("A lateral radiograph with edema", r"radiograph(?: of the chest)? with", lambda row: row[LATERAL] == "Lateral"),
    ("A lateral radiograph called AP", r"\b(?:AP|PA|frontal)\b", lambda row: row[LATERAL] == "Lateral"),
    ("A left lateral radiograph of the code LL", r"lateral|frontal|\bAP\b", lambda row: row["AP/PA"] == "LL"),
    ("A normal radiograph with devices", r"\bnormal", lambda row: row.get("No Finding") == "1.0"
        and row.get("Support Devices") == "1.0"),
    ("No findings, with a device", r"no findings?\b|the 13|without", lambda row: row.get("No Finding") == "1.0"),
    ("None of the 12 labelled findings, beside edema", r"none of the", lambda row: row.get("No Finding") == "1.0"
        and row.get("Edema") in ("1.0", "-1.0")),
    ("None of the 12 labelled findings, of a blank", r"none of the", lambda row: row.get("No Finding", "") != "1.0"),
    ("From a study with nothing known", r"study", lambda row: not any(map(row.get, (*WORDS, "No Finding")))),
    ("A woman aged 0", r"\b0\b|infant|0-year|month", lambda row: row["Age"] == "0"),
    ("A woman aged 90", r"\b9\d\b", lambda row: row["Age"] == "90"),
    ("A man over 89, of 89 years", r"over", lambda row: row["Age"] == "89"),
    ("A woman, of an unknown sex", r"\b(?:wo)?man\b|male|girl|boy", lambda row: row["Sex"] == "Unknown"),
    ("A woman, of a male", r"\bwoman|female", lambda row: row["Sex"] == "Male"),
    ("A digital radiograph", r"digital", lambda row: True),
)  # fmt: skip


def test_chexpert(tmp_path: Path, pictures: Any, make: Any, captions: Any, lies: Any) -> None:
    rows = chexpert_rows()
    paths = {name: f"CheXpert-v1.0-small/train/patient{n:05d}/study1/{name}.jpg" for n, name in enumerate(rows)}
    pictures(paths.values())
    with (tmp_path / "set/CheXpert-v1.0-small/train.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, CHEXPERT)
        writer.writeheader()
        writer.writerows({"Path": paths[name], **cells} for name, cells in rows.items())
    made = make("chexpert")
    assert not made.rejects
    said = captions(made, rows)
    true = {
        name: allowed(VIEWS[row[LATERAL], row["AP/PA"]], study(row), G.people(*PERSONS[row["Sex"], row["Age"]]))
        for name, row in rows.items()
    }
    assert G.check(said, true) == []
    assert G.told([G.Lie(*lie) for lie in LIES], rows, said) == []
    assert lies(made, (*CHEXPERT[5:], "other pleural abnormalities")) == []
    assert len({re.sub(r"\d+", "n", text) for text in said.values()}) > 300


def test_whole_captions_of_chexpert_by_hand() -> None:
    """That the table's own grammar says what a reader would."""
    by_hand = (
        ({"Edema": "1.0", "Pneumonia": "-1.0", "Fracture": "0.0"}, "edema and possible pneumonia but no fracture"),
        ({"Lung Opacity": "1.0", "Lung Lesion": "-1.0"}, "a lung opacity and a possible lung lesion"),
        ({"Edema": "0.0", "Pleural Other": "0.0"}, "no edema or other pleural abnormalities"),
        ({"No Finding": "1.0", "Support Devices": "1.0"}, "support devices and none of the 12 labelled findings"),
        ({"No Finding": "1.0", "Support Devices": "0.0", "Edema": "0.0"}, f"{NOTHING} and no support devices"),
        ({"No Finding": "1.0", "Edema": "-1.0"}, "possible edema"),
        ({"Edema": ""}, ""),
    )
    assert [study(cells) for cells, _ in by_hand] == [words for _, words in by_hand]
    assert allowed("lateral ", "edema", ["woman aged 58"]) == {
        "A lateral chest radiograph of a woman aged 58, from a study with edema.",
        "A lateral radiograph of the chest of a woman aged 58, from a study with edema.",
        "A lateral chest radiograph, from a study with edema, of a woman aged 58.",
        "A lateral radiograph of the chest, from a study with edema, of a woman aged 58.",
    }
    assert allowed("AP ", "", []) == {"An AP chest radiograph.", "An AP radiograph of the chest."}


# ---- MIMIC-CXR-JPG ----

MIMIC_WORDS = ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Enlarged Cardiomediastinum", "Fracture",
               "Lung Lesion", "Lung Opacity", "No Finding", "Pleural Effusion", "Pleural Other", "Pneumonia",
               "Pneumothorax", "Support Devices")  # fmt: skip
MIMIC_VIEWS = {
    "PA": "PA ", "AP": "AP ", "LATERAL": "lateral ", "LL": "left lateral ", "AP AXIAL": "", "SWIMMERS": "", "": "",
}  # fmt: skip
HEAD = """\
                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  ___ year old woman with fever, rule out pneumonia

 COMPARISON:  Chest radiograph from ___

"""
REPORTS = {  # report -> what may be passed on
    f"{HEAD} FINDINGS:\n\n The heart is enlarged.  There is edema.\n": "The heart is enlarged. There is edema.",
    f"{HEAD} FINDINGS:\n\n Edema has increased since ___.\n\n IMPRESSION:\n\n Small effusion.": "Small effusion.",
    f"{HEAD} IMPRESSION:\n\n 1. No pneumonia.\n 2. Compared to the prior study, unchanged nodule.": "No pneumonia.",
    f"{HEAD} FINDINGS:\n\n Unchanged from ___.  Otherwise normal.\n": None,  # the template has the word
    f"{HEAD} IMPRESSION:\n\n Findings were discussed with Dr. ___ at 10:15 on ___.\n": None,
    "": None,
}


def mimic_rows() -> dict[str, dict[str, str]]:
    views, reports = itertools.cycle(MIMIC_VIEWS), itertools.cycle([None, *REPORTS])
    every = [
        ({"Pneumonia": a, "Edema": b}, view, report)
        for a, b in itertools.product(STATES, STATES)
        for view in MIMIC_VIEWS
        for report in (None, *REPORTS)
    ]
    every += [(cells, next(views), next(reports)) for cells in label_rows()]
    rows = {}
    for number, (cells, view, report) in enumerate(every):
        rows[f"dicom{number}"] = {**cells, "view": view, "study": f"5{number:07d}"}
        rows[f"dicom{number}"] |= {} if report is None else {"report": report}
    return rows


MIMIC_LIES = (
    *LIES[:6],
    ("A lateral radiograph showing edema", r"showing|shows|seen (?:on|in)", lambda row: row["view"] == "LATERAL"),
    ("An AP radiograph of another view", r"\bAP\b|axial|swimmer", lambda row: not MIMIC_VIEWS[row["view"]]),
    ("A normal radiograph", r"\bnormal", lambda row: True),
    ("___ removed", r"_", lambda row: "___" in row.get("report", "")),
    ("Increased since the prior study", r"increas|unchanged|prior|compar", lambda row: "report" in row),
    ("A 58-year-old woman with fever", r"fever|\bwoman|year|rule out", lambda row: "report" in row),
    ("Discussed with Dr. X", r"\bDr\b|discussed|10:15", lambda row: "report" in row),
    ("FINAL REPORT", r"final report|examination|impression:", lambda row: "report" in row),
)  # fmt: skip


def test_mimic_cxr_jpg(tmp_path: Path, pictures: Any, make: Any, captions: Any, lies: Any) -> None:
    rows, base, reports = mimic_rows(), tmp_path / "set", tmp_path / "reports"
    pictures(f"files/p10/p10000032/s{row['study']}/{name}.jpg" for name, row in rows.items())
    folder = reports / "files/p10/p10000032"
    folder.mkdir(parents=True)

    def write(name: str, header: Sequence[str], lines: Sequence[Mapping[str, str]]) -> None:
        with gzip.open(base / f"mimic-cxr-2.0.0-{name}.csv.gz", "wt", newline="") as handle:
            writer = csv.DictWriter(handle, header, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(lines)

    cells = [
        {**row, "dicom_id": name, "subject_id": "10000032", "study_id": row["study"], "ViewPosition": row["view"],
         "split": "train"}
        for name, row in rows.items()
    ]  # fmt: skip
    write(
        "metadata", ["dicom_id", "subject_id", "study_id", "PerformedProcedureStepDescription", "ViewPosition"], cells
    )
    write("chexpert", ["subject_id", "study_id", *MIMIC_WORDS], cells)
    write("split", ["dicom_id", "study_id", "subject_id", "split"], cells)
    for row in rows.values():
        if "report" in row:
            (folder / f"s{row['study']}.txt").write_text(row["report"])
    made = make("mimic_cxr_jpg", reports=str(reports))
    assert not made.rejects
    said = captions(made, rows)
    order = {name: WORDS[name] for name in sorted(WORDS) if name != "Pleural Other"}
    order["Pleural Other"] = WORDS["Pleural Other"]
    true = {}
    for name, row in rows.items():
        passed = REPORTS.get(row.get("report", ""))
        states = [(words, STATES[row.get(column, "")]) for column, (words, _) in order.items()]
        nothing = NOTHING if row.get("No Finding") == "1.0" else ""
        clause = G.findings(states, nothing, {"support devices"}, ARTICLES)
        worded = allowed(MIMIC_VIEWS[row["view"]], clause, [])
        true[name] = {f"From a chest X-ray study with this report: {passed}"} if passed else worded
    assert G.check(said, true) == []
    without = {name: row for name, row in rows.items() if not REPORTS.get(row.get("report", ""))}
    told = [G.Lie(*lie) for lie in MIMIC_LIES]
    assert G.told(told[:6], without, said) == []
    assert G.told(told[6:], rows, said) == []
    assert lies(made, MIMIC_WORDS) == []
