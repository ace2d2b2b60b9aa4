"""HyperKvasir (pictures, videos), Kvasir-VQA and MedVQA-GI: classes, free text, answers and prompts.

A class is of its picture; a finding of a video is of the whole video; an answer of none, no or 0 is no absence.
"""

from __future__ import annotations

import itertools
import os
import runpy
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import datasets
import numpy as np
import pytest
from PIL import Image

from shards.uri import package_folder

G = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("grammar.py"))))
LAYOUT = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "container_layouts.py")))
CLASSES = {  # folder -> words
    "barretts": "Barrett's oesophagus",
    "barretts-short-segment": "short-segment Barrett's oesophagus",
    "bbps-0-1": "a Boston bowel preparation score of 0 to 1",
    "bbps-2-3": "a Boston bowel preparation score of 2 to 3",
    "cecum": "the caecum",
    "dyed-lifted-polyps": "a dyed lifted polyp",
    "dyed-resection-margins": "a dyed resection margin",
    "esophagitis-a": "oesophagitis grade A",
    "esophagitis-b-d": "oesophagitis grade B to D",
    "hemorrhoids": "haemorrhoids",
    "ileum": "the ileum",
    "impacted-stool": "impacted stool",
    "polyps": "a polyp",
    "pylorus": "the pylorus",
    "retroflex-rectum": "a retroflexed view of the rectum",
    "retroflex-stomach": "a retroflexed view of the stomach",
    **{f"ulcerative-colitis-grade-{grade}": f"ulcerative colitis grade {grade}" for grade in "123"},
    **{
        f"ulcerative-colitis-grade-{low}-{high}": f"ulcerative colitis grade {low} to {high}"
        for low, high in ("01", "12", "23")
    },
    "z-line": "the Z-line",
}
TRACTS = {"lower": "lower gastrointestinal tract", "upper": "upper gastrointestinal tract"}


def showing(found: str, picture: str) -> set[str]:
    """`found` in `picture`, in both orders."""
    if not found:
        return {G.sentence(picture)}
    return {G.sentence(f"{found} in {picture}"), G.sentence(f"{picture} showing {found}")}


@pytest.fixture
def colour(tmp_path: Path) -> Any:
    """colour(paths): one colour picture under many names; no endoscopic picture is in any package."""

    def write(*paths: str) -> None:
        first, *rest = (tmp_path / "set" / path for path in paths)
        for path in (first, *rest):
            path.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(package_folder("skimage") / "data/ihc.png") as image:
            image.convert("RGB").resize((48, 36)).save(first)
        for path in rest:
            os.link(first, path)

    return write


def test_hyper_kvasir_pictures(colour: Any, make: Any, captions: Any, lies: Any) -> None:
    rows = {f"{tract}-{number}": (tract, name) for number, name in enumerate(CLASSES) for tract in TRACTS}
    assert len(CLASSES) == 23
    colour(*(f"{tract}-gi-tract/pathological-findings/{name}/{row}.jpg" for row, (tract, name) in rows.items()))
    made = make("hyper_kvasir_images")
    assert not made.rejects
    said = captions(made, rows)
    true = {
        row: showing(CLASSES[name], f"an endoscopic image of the {TRACTS[tract]}")
        for row, (tract, name) in rows.items()
    }
    assert G.check(said, true) == []
    assert lies(made, ("normal", "polyp", "cecum", "oesophagitis")) == []
    assert said["upper-0"] in {
        "Barrett's oesophagus in an endoscopic image of the upper gastrointestinal tract.",
        "An endoscopic image of the upper gastrointestinal tract showing Barrett's oesophagus.",
    }
    forbidden = (
        G.Lie("A polyp, of a dyed margin", r"\bpolyp", lambda row: "polyp" not in row["class"]),
        G.Lie("Of the lower tract", r"lower", lambda row: row["tract"] == "upper"),
        G.Lie("A normal Z-line", r"normal|healthy|no polyp", lambda row: row["class"] in ("z-line", "cecum", "ileum")),
        G.Lie("Ulcerative colitis grade 2, of 1 to 2", r"grade 2(?! to)", lambda row: row["class"].endswith("-1-2")),
        G.Lie("From a patient with polyps", r"patient|video|man\b", lambda row: True),
    )
    cells = {row: {"tract": tract, "class": name} for row, (tract, name) in rows.items()}
    assert G.told(forbidden, cells, said) == []


FINDINGS = {  # finding as the owner's table has it -> its words
    "polyp": "a polyp",
    "Polyp": "a polyp",
    "Stained lifted polyp": "a stained lifted polyp",
    "polyp resected": "a resected polyp",
    "polyp bleeding": "a bleeding polyp",
    "collitis": "colitis",
    "gastric cancer": "gastric cancer",
    "Normal colon": "a colon labelled normal",
    "cecum": "the caecum",
    "nothing": "",
    "None": "",
    "out of patient": "",
    "human hand": "",
    "not diagnostic": "",
    "poor quality to delet": "",
    "4 polyps 1 leaving the frame": "",
    "": "",
}


def test_hyper_kvasir_videos(tmp_path: Path, make: Any, captions: Any, lies: Any) -> None:
    """Each finding of a video of two seconds, and of one of a single frame, which is a picture."""
    rows = {f"{kind}{number}": (kind, name) for number, name in enumerate(FINDINGS) for kind in ("clip", "still")}
    (tmp_path / "set/videos").mkdir(parents=True)
    for kind, frames in (("clip", 50), ("still", 1)):
        with av.open(str(tmp_path / f"{kind}.avi"), "w") as container:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for number in range(frames):
                pixels = np.full((48, 64, 3), 100 + number, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode())
    for row, (kind, _) in rows.items():
        os.link(tmp_path / f"{kind}.avi", tmp_path / f"set/videos/{row}.avi")
    header = "file-name;finding;width;height;number-of-frames;fps;length;kilobytes"
    lines = [f"{row}.avi;{finding};64;48;50;25;2;10" for row, (_, finding) in rows.items()]
    (tmp_path / "set/video-labels.csv").write_text("\n".join([header, *lines]) + "\n")
    made = make("hyper_kvasir_videos")
    assert not made.rejects
    said = captions(made, rows)
    true = {}
    for row, (kind, finding) in rows.items():
        of = f"from a video with {FINDINGS[finding]}" if FINDINGS[finding] else ""
        clip, length = "an endoscopic video clip", "taken from a 2-second recording"
        parts = [of, length] if kind == "clip" else [of]
        picture = clip if kind == "clip" else "an endoscopic image"
        orders = itertools.permutations([part for part in parts if part])
        true[row] = {G.sentence(", ".join([picture, *order])) for order in orders}
    assert G.check(said, true) == []
    assert lies(made, ("polyp", "colitis", "normal")) == []
    cells = {row: {"finding": finding} for row, (_, finding) in rows.items()}
    forbidden = (
        G.Lie("A clip showing a polyp", r"showing|\bclip with|image with|seen in", lambda row: True),
        G.Lie("With a polyp, of a resected one", r"with a polyp", lambda row: row["finding"] == "polyp resected"),
        G.Lie("From a video with nothing", r"nothing|none|no ", lambda row: not FINDINGS[row["finding"]]),
        G.Lie("From a video with something unlisted", r"from a video", lambda row: not FINDINGS[row["finding"]]),
        G.Lie("Out of patient", r"patient|hand|delet|diagnostic|4", lambda row: True),
        G.Lie("A normal colon", r"(?<!labelled )normal", lambda row: row["finding"] == "Normal colon"),
    )
    assert G.told(forbidden, cells, said) == []


ABNORMAL = {
    "polyp": "a polyp",
    "polyp; ulcerative colitis": "a polyp and ulcerative colitis",
    "barretts": "Barrett's oesophagus",
    "hemorrhoids": "haemorrhoids",
    **dict.fromkeys(("none", "No", "not relevant", "polyp|none", None), ""),
}
TOOLS = {
    "polyp snare": "a polyp snare",
    "biopsy forceps; tube": "biopsy forceps and a tube",
    "none": "",
    "0": "",
    None: "",
}
PLACES = {"z-line": "the Z-line", "cecum": "the caecum", "none": "", None: ""}
COUNTS = ("0", "1", "3", "16", None)  # answers to the number of polyps, and no such question


def test_kvasir_vqa(tmp_path: Path, make: Any, lies: Any) -> None:
    """Three questions answered, denied, not relevant, answered twice, and not asked, beside each number of polyps."""
    datasets.disable_progress_bars()
    counts, questions = itertools.cycle(COUNTS), (LAYOUT.ABNORMAL, LAYOUT.INSTRUMENTS, LAYOUT.LANDMARKS)
    rows: dict[str, dict[str, str]] = {}
    lines: list[tuple[str, str, str]] = []
    true: dict[str, set[str]] = {}
    for number, answers in enumerate(itertools.product(ABNORMAL, TOOLS, PLACES)):
        name, count = f"cl{number}", next(counts)
        asked = dict(zip(questions, answers, strict=True)) | {LAYOUT.POLYPS: count}
        told = [(name, question, answer) for question, cell in asked.items() if cell for answer in cell.split("|")]
        if not told:
            continue  # a picture of which nothing is asked is not in the set
        lines += told
        rows[name] = {"abnormal": answers[0] or "", "tool": answers[1] or "", "count": count or ""}
        words = [ABNORMAL[answers[0]], TOOLS[answers[1]], PLACES[answers[2]]]
        found = [word for phrase in words if phrase for word in phrase.split(" and ")]
        true[name] = showing(G.items(found) if found else "", "an endoscopic image")
    image = LAYOUT.pictures(1)[0]
    columns = {
        "image": [image] * len(lines),
        "source": ["HyperKvasir"] * len(lines),
        "question": [question for _, question, _ in lines],
        "answer": [answer for _, _, answer in lines],
        "img_id": [name for name, _, _ in lines],
    }
    features = dict.fromkeys(("source", "question", "answer", "img_id"), LAYOUT.TEXT)
    LAYOUT.save(columns, tmp_path / "set/data/raw-00000-of-00001.parquet", **features)
    made = make("kvasir_vqa")
    assert not made.rejects
    first = {int(sample.media.view.row or 0): sample.captions[0].text for sample in made.samples}
    said = {lines[row][0]: text for row, text in first.items()}
    assert G.check(said, true) == []
    assert lies(made, ("polyp", "haemorrhoids", "tube", "normal")) == []
    forbidden = (
        G.Lie(
            "No polyp", r"\bno\b|without|none|not ", lambda row: row["abnormal"] in ("none", "No", "not relevant", "")
        ),
        G.Lie("A polyp, of an unanswered question", r"\bpolyp(?! snare)", lambda row: not row["abnormal"]),
        G.Lie("A polyp, of two answers", r"\bpolyp(?! snare)", lambda row: row["abnormal"] == "polyp|none"),
        G.Lie("Three polyps", r"\b(?:three|polyps)\b|\d", lambda row: True),
        G.Lie("One polyp of a count without an answer", r"\bone\b", lambda row: not row["count"]),
        G.Lie("A normal image", r"normal|healthy", lambda row: row["abnormal"] in ("none", "No")),
        G.Lie("A tube, of none", r"\btube|forceps|snare", lambda row: row["tool"] in ("none", "0", "")),
    )
    assert G.told(forbidden, rows, said) == []


PROMPTS = {  # prompt -> the description that it asks for
    "Generate an image containing a polyp.": "An image containing a polyp.",
    "generate images with no instruments": "Images with no instruments.",
    "Generate an image containing text": "An image containing text.",
    "Create the picture of 2 polyps!": "The picture of 2 polyps!",
    "An image of a z-line": "An image of a z-line.",
    "Generate": "Generate.",
}


def test_medvqa_gi(tmp_path: Path, colour: Any, make: Any) -> None:
    """Each two prompts of one picture: both are passed on, without the command, and nothing is added."""
    pairs = {f"cl{number}": pair for number, pair in enumerate(itertools.combinations(PROMPTS, 2))}
    colour(*(f"images/{name}.jpg" for name in pairs))
    lines = ["Prompt;Filename"]
    for name, (one, two) in pairs.items():
        lines += [f"{one};{name}", f"{two};{name}.jpg", f"{one};{name}"]
    (tmp_path / "set/prompt-gt.csv").write_text("\n".join(lines) + "\n")
    made = make("medvqa_gi")
    assert not made.rejects
    texts: Mapping[str, list[str]] = {
        Path(sample.media.uri).stem: [caption.text for caption in sample.captions] for sample in made.samples
    }
    assert texts == {name: [PROMPTS[one], PROMPTS[two]] for name, (one, two) in pairs.items()}
    assert {caption.by for sample in made.samples for caption in sample.captions} == {"source"}
    assert not any(sample.labels or sample.template for sample in made.samples)
    assert {(sample.modality, sample.license) for sample in made.samples} == {("ES", "LicenseRef-ImageCLEF-2024")}
