"""EchoNet-Dynamic and PTB-XL: numbers measured or blank; likelihoods, codes for sex and age, and the heart's axis."""

from __future__ import annotations

import itertools
import os
import runpy
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.data import get_testdata_file

G = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("grammar.py"))))
LAYOUT = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "test_hearts_and_operations.py")))

# ---- EchoNet-Dynamic ----

EF = {"61.2": "61.2", "55.0": "55", "0": "", "nan": "", "": ""}
EDV = {"99.1": "99.1", "120": "120", "": ""}
ESV = {"38.5": "38.5", "-1": "", "": ""}


def test_echonet_dynamic(tmp_path: Path, make: Any, captions: Any, lies: Any) -> None:
    """Each of three measurements stated, blank and impossible, in each way."""
    rows = {f"0X{number}": cells for number, cells in enumerate(itertools.product(EF, EDV, ESV))}
    LAYOUT.write_video(tmp_path / "one.avi", 40)
    (tmp_path / "set/Videos").mkdir(parents=True)
    lines = ["FileName,EF,ESV,EDV,FrameHeight,FrameWidth,FPS,NumberOfFrames,Split"]
    for name, (ef, edv, esv) in rows.items():
        os.link(tmp_path / "one.avi", tmp_path / f"set/Videos/{name}.avi")
        lines.append(f"{name},{ef},{esv},{edv},112,112,50,40,TRAIN")
    (tmp_path / "set/FileList.csv").write_text("\n".join(lines) + "\n")
    made = make("echonet_dynamic")
    assert not made.rejects
    said = captions(made, rows)
    clip = (
        "An apical four-chamber ultrasound video clip of the heart",
        "An apical four-chamber heart ultrasound video clip",
    )
    true = {}
    for name, (ef, edv, esv) in rows.items():
        numbers = f", left ventricular ejection fraction {EF[ef]} %" if EF[ef] else ""
        numbers += f", end-diastolic volume {EDV[edv]} mL" if EDV[edv] else ""
        numbers += f", end-systolic volume {ESV[esv]} mL" if ESV[esv] else ""
        short = f" with a left ventricular ejection fraction of {EF[ef]} %" if EF[ef] else ""
        true[name] = {f"{picture}{end}." for picture in clip for end in (numbers, short)}
    assert G.check(said, true) == []
    assert lies(made, ("normal", "reduced ejection fraction")) == []
    cells = {name: dict(zip(("ef", "edv", "esv"), row, strict=True)) for name, row in rows.items()}
    forbidden = (
        G.Lie("An ejection fraction of %, of a blank", r"ejection|%", lambda row: not EF[row["ef"]]),
        G.Lie("An end-diastolic volume, of a blank", r"diastolic", lambda row: not row["edv"]),
        G.Lie("An end-systolic volume of -1 mL", r"systolic|-1", lambda row: not ESV[row["esv"]]),
        G.Lie("A reduced ejection fraction", r"reduced|preserved|normal|low", lambda row: True),
        G.Lie("An ejection fraction of 0", r"\b0\b", lambda row: row["ef"] == "0"),
        G.Lie("Of the left heart", r"left (?!ventricular ejection)", lambda row: True),
    )
    assert G.told(forbidden, cells, said) == []


# ---- PTB-XL ----

CODES = {  # code -> description of the owner's table, words, and whether these are counted
    "NORM": ("normal ECG", "pattern labelled normal", True),
    "SR": ("sinus rhythm", "sinus rhythm", False),
    "IMI": ("inferior myocardial infarction", "inferior myocardial infarction", False),
    "NDT": ("non-diagnostic T abnormalities", "non-diagnostic T abnormalities", False),
    "PACE": ("normal functioning artificial pacemaker", "artificial pacemaker", True),
    "QWAVE": ("Q waves present", "Q waves", False),
    "ISCAL": ("ischemic in anterolateral leads", "anterolateral ischaemia", False),
    "LPR": ("prolonged PR interval", "prolonged PR interval", True),
    "WPW": ("Wolf-Parkinson-White syndrome", "Wolff-Parkinson-White syndrome", False),
    "BIGU": ("bigeminal pattern (unknown origin, SV or Ventricular)", "bigeminal pattern", True),
}
LIKELIHOODS = {100.0: "present", 50.0: "uncertain", 0.0: "present", None: "unstated"}  # 0: stated without one
PTB_SEXES = {"0": "male", "1": "female", "1.0": "female", "": "", "2": ""}
PTB_AGES = {"56.0": "56", "300.0": "over 89", "300": "over 89", "89.0": "89", "0.0": "", "": "", "17.0": "17"}
AXES = {"LAD": "left axis deviation", "MID": "", "": "", "ARAD": "extreme right axis deviation"}


def ptb_rows() -> dict[str, dict[str, Any]]:
    """Each code beside the next, with each likelihood of both; then one code with each sex, age and axis."""
    people = itertools.cycle(itertools.product(PTB_SEXES, PTB_AGES, AXES))
    codes = [*CODES]
    pairs = zip(codes, [*codes[1:], codes[0]], strict=True)
    every = []
    for one, two in pairs:
        for likelihoods in itertools.product(LIKELIHOODS, LIKELIHOODS):
            both = dict(zip((one, two), likelihoods, strict=True))
            every.append(({code: one for code, one in both.items() if one is not None}, *next(people)))
    every += [({"IMI": 100.0}, *who) for who in itertools.product(PTB_SEXES, PTB_AGES, AXES)]
    names = ("codes", "sex", "age", "axis")
    return {f"{number:05d}_hr": dict(zip(names, row, strict=True)) for number, row in enumerate(every, start=1)}


def ptb_allowed(row: Mapping[str, Any]) -> set[str]:
    states = []
    for code, likelihood in row["codes"].items():
        state = LIKELIHOODS[likelihood]
        states.append((CODES[code][1], "unstated" if code == "NORM" and state == "uncertain" else state))
    found = G.findings(states, articles={words for _, words, counted in CODES.values() if counted})
    axis = f", {AXES[row['axis']]}" if AXES[row["axis"]] else ""
    people = G.people(PTB_SEXES[row["sex"]], PTB_AGES[row["age"]]) or [""]
    sheet, said = "A 12-lead electrocardiogram", set()
    for who in people:
        of = f" of {G.an(who)}" if who else ""
        if found:
            said.add(f"{sheet} showing {found}{axis}" + (f",{of}" if of else "") + ".")
            said.add(f"{sheet}{of}, showing {found}{axis}.")
        else:
            said.add(f"{sheet}{of}{axis}.")
    return said


PTB_LIES = (
    ("No infarction", r"\bno\b|without|absent", lambda row: True),
    ("Inferior myocardial infarction, of no code", r"infarction", lambda row: "IMI" not in row["codes"]),
    ("With inferior infarction, of 50 %", r"(?<!possible )inferior", lambda row: row["codes"].get("IMI") == 50.0),
    ("Possible inferior, of 100 %", r"possible inferior", lambda row: row["codes"].get("IMI") == 100.0),
    ("Possible inferior, of 0", r"possible inferior", lambda row: row["codes"].get("IMI") == 0.0),
    ("A normal ECG", r"(?<!labelled )normal", lambda row: "NORM" in row["codes"]),
    ("A possible pattern labelled normal", r"normal", lambda row: row["codes"].get("NORM") == 50.0),
    ("A normal functioning pacemaker", r"normal functioning", lambda row: "PACE" in row["codes"]),
    ("NORM, IMI", r"\b(?:NORM|IMI|SR|NDT|PACE|WPW|BIGU)\b", lambda row: True),
    ("A woman, of 0", r"\bwoman|female|girl", lambda row: row["sex"] == "0"),
    ("A man, of 1", r"\bman\b|\bmale|boy", lambda row: row["sex"] in ("1", "1.0")),
    ("A man, of no sex", r"\b(?:wo)?man\b|male|boy|girl", lambda row: row["sex"] in ("", "2")),
    ("Aged 300", r"300", lambda row: row["age"].startswith("300")),
    ("Over 89, of 89 years", r"over", lambda row: row["age"] == "89.0"),
    ("An infant aged 0", r"infant|aged 0|\b0-", lambda row: row["age"] == "0.0"),
    ("A normal axis", r"axis", lambda row: row["axis"] in ("MID", "")),
    ("Sinusrhythmus", r"rhythmus|niedervolt|1984", lambda row: True),
)


def test_ptb_xl(tmp_path: Path, make: Any, captions: Any, lies: Any) -> None:
    rows, base = ptb_rows(), tmp_path / "set"
    folder = base / "records500/00000"
    folder.mkdir(parents=True)
    recorded = dcmread(str(get_testdata_file("waveform_ecg.dcm", download=False))).waveform_array(0)[::2][:5000]
    samples = np.round(recorded / np.abs(recorded).max() * 1500).astype("<i2")
    samples.tofile(folder / "one.dat")
    leads = [f"one.dat 16 1000.0(0)/mV 16 0 {samples[0, i]} 0 0 {lead}" for i, lead in enumerate(LAYOUT.LEADS)]
    (tmp_path / "one.hea").write_text("\n".join([f"one 12 500 {len(samples)}", *leads]) + "\n")
    lines = [LAYOUT.PTB]
    for number, (name, row) in enumerate(rows.items(), start=1):
        os.link(tmp_path / "one.hea", folder / f"{name}.hea")
        report = "sinusrhythmus niedervoltage"
        lines.append(
            f"{number},{number}.0,{row['age']},{row['sex']},,63.0,2.0,0.0,CS-12   E,1984-11-09 09:17:34,{report},"
            f'"{row["codes"]}",{row["axis"]},,,,False,True,True,,", I-V1,",,,,,3,records100/00000/{name[:5]}_lr,'
            f"records500/00000/{name}"
        )
    (base / "ptbxl_database.csv").write_text("\n".join(lines) + "\n")
    described = [f'{code},"{description}",1,,,' for code, (description, _, _) in CODES.items()]
    header = ",description,diagnostic,form,rhythm,diagnostic_class"
    (base / "scp_statements.csv").write_text("\n".join([header, *described]) + "\n")
    made = make("ptb_xl")
    assert not made.rejects
    said = captions(made, rows)
    assert G.check(said, {name: ptb_allowed(row) for name, row in rows.items()}) == []
    assert G.told([G.Lie(*lie) for lie in PTB_LIES], rows, said) == []
    assert lies(made, tuple(words for _, words, _ in CODES.values())) == []
    sheet, shown = (
        "A 12-lead electrocardiogram",
        "showing a pattern labelled normal and sinus rhythm, left axis deviation",
    )
    assert ptb_allowed({"codes": {"NORM": 100.0, "SR": 0.0}, "sex": "1", "age": "300.0", "axis": "LAD"}) == {
        f"{sheet} {shown}, of a woman over 89.",
        f"{sheet} {shown}, of a woman aged over 89.",
        f"{sheet} of a woman over 89, {shown}.",
        f"{sheet} of a woman aged over 89, {shown}.",
    }
