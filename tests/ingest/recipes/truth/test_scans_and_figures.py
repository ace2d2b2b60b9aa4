"""CT-RATE, RSNA's haemorrhage slices and ROCOv2: labels of scans, labels of slices, and texts of others.

A scan's finding is never said of a slice; a slice's is; and a text that is passed on gets nothing but what it lacks.
"""

from __future__ import annotations

import itertools
import json
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import numpy as np

G = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("grammar.py"))))
SETS = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "layouts" / "volumes.py")))
LAYOUT = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "container_layouts.py")))


def file_of(sample: Any) -> str:
    return Path(sample.media.uri).name.partition(".")[0]


def looks(made: Any) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """Caption and look of each sample, by a name of its own."""
    said, seen = {}, {}
    for sample in made.samples:
        (caption,) = sample.captions
        look = {**json.loads(sample.attributes), "file": file_of(sample), "clip": str(sample.media.frames > 1)}
        said[sample.key], seen[sample.key] = caption.text, look
    return said, seen


# ---- CT-RATE ----

LABELS = {"Lung nodule": "a lung nodule", "Pleural effusion": "pleural effusion"}
STATES = ("1", "0", "")
WINDOWS = {"lung": "a lung window", "mediastinum": "a mediastinal window"}
PERSONS = {
    ("F", "065Y"): ("female", "65"),
    ("M", "095Y"): ("male", "over 89"),
    ("", ""): ("", ""),
    ("F", ""): ("female", ""),
}
IMPRESSIONS = {  # what may be passed on
    "Not given.": "",
    "": "",
    "Nodule in the right lung. Stable since 2019.": "Nodule in the right lung.",
    "Unchanged. Otherwise normal.": "",
}


def test_ct_rate(tmp_path: Path, make: Any, lies: Any) -> None:
    """Two labels x 1, 0, blank x four persons, with and without a report, in two planes, two windows, and clips."""
    persons, impressions = itertools.cycle(PERSONS), itertools.cycle(IMPRESSIONS)
    volumes: dict[str, dict[str, Any]] = {}
    for number, cells in enumerate(itertools.product(STATES, STATES)):
        for again in range(2):
            sex, age = next(persons)
            impression = next(impressions) if again else "Not given."
            labels = dict(zip(LABELS, cells, strict=True))
            volumes[f"train_{number}{again}_a_1"] = {
                "labels": labels, "sex": sex, "age": age, "impression": impression, "findings": "A nodule is seen.",
            }  # fmt: skip
    SETS.ct_rate(tmp_path / "set", volumes)
    made = make("ct_rate", every=64, planes=["axial", "coronal"], clips=["axial", "coronal"])
    assert set(made.counts) <= {"blank"}
    said, seen = looks(made)
    assert {(look["plane"], look["window"], look["clip"]) for look in seen.values()} >= set(
        itertools.product(("axial", "coronal"), WINDOWS, ("True", "False"))
    )
    true, cells_of = {}, {}
    for key, look in seen.items():
        volume = volumes[look["file"]]
        cells_of[key] = {**look, **volume["labels"], "report": IMPRESSIONS[volume["impression"]], "sex": volume["sex"]}
        passed = IMPRESSIONS[volume["impression"]]
        if passed:
            true[key] = {f"From a chest CT scan with this report: {passed}"}
            continue
        found = [words for label, words in LABELS.items() if volume["labels"][label] == "1"]
        people = G.people(*PERSONS[volume["sex"], volume["age"]]) or [""]
        shown, kind = f", shown in {WINDOWS[look['window']]}", "slice sequence" if look["clip"] == "True" else "image"
        true[key] = set()
        for picture in (f"{look['plane']} chest CT {kind}", f"{look['plane']} CT {kind} of the chest"):
            for who in people:
                of = f" of {G.an(who)}" if who else ""
                if found:
                    of_scan = f", from a scan with {G.items(found)}"
                    true[key].add(G.sentence(f"{G.an(picture)}{of}{of_scan}{shown}"))
                    true[key].add(G.sentence(f"{G.an(picture)}{shown}" + (f",{of}" if of else "") + of_scan))
                else:
                    true[key].add(G.sentence(f"{G.an(picture)}{shown}" + (f", from {G.an(who)}" if who else "")))
    assert G.check(said, true) == []
    assert lies(made, SETS.CT_LABELS) == []
    forbidden = (
        G.Lie("A lung nodule, of 0", r"nodule", lambda row: row["Lung nodule"] != "1" and not row["report"]),
        G.Lie("No lung nodule", r"\bno\b|without|possible", lambda row: True),
        G.Lie("A slice showing a nodule", r"showing|seen|image with|sequence with|in one of", lambda row: True),
        G.Lie("A normal CT", r"normal|clear|unremarkable", lambda row: True),
        G.Lie("Stable since 2019", r"stable|2019|unchanged|not given", lambda row: True),
        G.Lie("A bone window", r"bone|brain", lambda row: True),
        G.Lie("A coronal image, of an axial one", r"coronal|sagittal", lambda row: row["plane"] == "axial"),
        G.Lie("A man, of a woman", r"\bman\b|\bmale", lambda row: row["sex"] == "F"),
        G.Lie("Aged 95", r"95", lambda row: row["sex"] == "M"),
    )
    assert G.told(forbidden, cells_of, said) == []


# ---- RSNA intracranial haemorrhage ----

KINDS = ("any", "epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural")
NAMES = {kind: f"{'intracranial' if kind == 'any' else kind} hemorrhage" for kind in KINDS}
HEAD_WINDOWS = {"brain": "a brain window", "subdural": "a subdural window", "bone": "a bone window"}


def test_rsna_ich(tmp_path: Path, make: Any, lies: Any) -> None:
    """Each kind and the next x present, absent, no line, in three windows: of slices, and of nothing wider."""
    cells, lines = {}, []
    for pair in zip(KINDS, [*KINDS[1:], KINDS[0]], strict=True):
        for states in itertools.product(STATES, repeat=2):
            name = f"ID_{len(cells):09x}"
            row = {kind: cell for kind, cell in zip(pair, states, strict=True) if cell}
            if not row or (row.get("any") == "0" and "1" in row.values()):
                continue  # a slice without lines is rejected; `any` is the union of the others
            cells[name] = row
            lines += [(f"{name}_{kind}", cell) for kind, cell in row.items()]
    lines += SETS.rsna_lines("ID_fffffffff", ())  # so that all six kinds are columns
    small = np.ascontiguousarray(SETS.hounsfield(SETS.HEAD)[::8, ::8].clip(-1024) + 1024)
    cut = {"Rows": 64, "Columns": 64, "PixelData": small.astype("<i2").tobytes()}
    SETS.rsna(tmp_path / "set", dict.fromkeys(cells, cut), lines)
    made = make("rsna_ich")
    assert not made.rejects
    said, seen = looks(made)
    assert len(said) == 3 * len(cells)
    true, rows = {}, {}
    for key, look in seen.items():
        row = rows[key] = {**dict.fromkeys(KINDS, ""), **cells[look["file"]], "window": look["window"]}
        states = [(NAMES[kind], {"1": "present", "0": "absent", "": "unstated"}[row[kind]]) for kind in KINDS]
        found, shown = G.findings(states), f", shown in {HEAD_WINDOWS[look['window']]}"
        pictures = ("an axial head CT image", "an axial CT image of the head")
        true[key] = {G.sentence(f"{found} in {picture}{shown}") for picture in pictures}
        true[key] |= {G.sentence(f"{picture}{shown}, showing {found}") for picture in pictures}
    assert G.check(said, true) == []
    assert lies(made, tuple(NAMES.values())) == []
    forbidden = (
        G.Lie("Subdural hemorrhage, of no line", r"subdural hem", lambda row: not row["subdural"]),
        G.Lie("Showing subdural hemorrhage, of 0", r"^subdural|showing subdural", lambda row: row["subdural"] == "0"),
        G.Lie("No subdural hemorrhage, of 1", r"no [^.,]*subdural hem", lambda row: row["subdural"] == "1"),
        G.Lie("No intracranial hemorrhage, of no line", r"intracranial", lambda row: not row["any"]),
        G.Lie("From a scan with hemorrhage", r"scan|study|patient|series", lambda row: True),
        G.Lie("A normal head", r"normal|no acute|possible", lambda row: True),
        G.Lie("A bone window, of the brain's", r"bone|subdural window", lambda row: row["window"] == "brain"),
    )
    assert G.told(forbidden, rows, said) == []


# ---- ROCOv2 ----

TEXTS = (
    "Head CT demonstrating left parotiditis.",
    "No pneumonia; normal heart in a 95-year-old woman (arrow).",  # the author's own words
    "Figure 2 A\n of  B",
    "",
)
CONCEPTS = {  # concepts of a row -> modality, None where there is none
    ("C0040405", "C0018670"): "CT",
    ("C0018670", "C0024485", "C0040405"): "MR",
    ("C1306645",): "CR",
    ("C0041618",): "US",
    ("C0002978",): "XA",
    ("C0032743",): "PT",
    ("C0018670",): None,
    (): None,
}


def test_rocov2(tmp_path: Path, make: Any) -> None:
    """Each text x each list of concepts: the text as it is, with modality and licence; no label, no word of ours."""
    datasets.disable_progress_bars()
    every = list(itertools.product(TEXTS, CONCEPTS))
    columns = {
        "image": LAYOUT.pictures(1) * len(every),
        "image_id": [f"ROCOv2_2023_test_{number:06d}" for number in range(len(every))],
        "caption": [text for text, _ in every],
        "cui": [list(concepts) for _, concepts in every],
    }
    features = {"image_id": LAYOUT.TEXT, "caption": LAYOUT.TEXT, "cui": datasets.Sequence(LAYOUT.TEXT)}
    LAYOUT.save(columns, tmp_path / "set/data/test-00000-of-00001.parquet", **features)
    made = make("rocov2")
    assert made.counts == {"unknown_modality": len(TEXTS) * sum(one is None for one in CONCEPTS.values())}
    names = {"CT": "A CT image.", "MR": "An MR image.", "US": "An ultrasound image.", "PT": "A PET image.",
             "XA": "An X-ray angiogram.", "CR": "A radiograph."}  # fmt: skip
    for sample in made.samples:
        text, concepts = every[int(sample.media.view.row or 0)]
        (caption,) = sample.captions
        assert sample.modality == CONCEPTS[concepts]
        own = " ".join(text.split())
        assert (caption.text, caption.by == "source") == ((own, True) if own else (names[sample.modality], False))
        assert (sample.license, sample.official_split, sample.labels) == ("CC-BY-NC-SA-4.0", "test", ())
        assert (sample.attributes, sample.template) == ("{}", None)
