"""HyperKvasir (pictures and videos), Kvasir v2 and MedVQA-GI in their published layouts, and joined in one data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from shards.uri import package_folder

CLASSES = {
    "lower-gi-tract/pathological-findings/polyps": "a polyp",
    "lower-gi-tract/pathological-findings/ulcerative-colitis-grade-0-1": "ulcerative colitis grade 0 to 1",
    "lower-gi-tract/quality-of-mucosal-views/bbps-2-3": "a boston bowel preparation score of 2 to 3",
    "lower-gi-tract/anatomical-landmarks/cecum": "the caecum",
    "upper-gi-tract/pathological-findings/esophagitis-b-d": "oesophagitis grade b to d",
    "upper-gi-tract/anatomical-landmarks/z-line": "the z-line",
}


@pytest.fixture
def picture_at(tmp_path: Path) -> Any:
    """picture_at(path): a real colour picture below set/; no endoscopic picture is in any package."""

    def write(path: str) -> None:
        where = tmp_path / "set" / path
        where.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(package_folder("skimage") / "data/ihc.png") as image:
            image.convert("RGB").resize((72, 57)).save(where)

    return write


def test_hyper_kvasir_pictures(picture_at: Any, make: Any, lies: Any) -> None:
    for number, folder in enumerate(CLASSES):
        picture_at(f"{folder}/4bf58f1c-8233-41fc-9614-{number:012d}.jpg")
    picture_at("upper-gi-tract/anatomical-landmarks/unheard-of/x.jpg")
    made = make("hyper_kvasir_images")
    assert made.reasons == {"upper-gi-tract/anatomical-landmarks/unheard-of/x.jpg": "bad_row"}
    for number, (folder, words) in enumerate(CLASSES.items()):
        said = made.said(f"{number:012d}.jpg")
        assert words.removeprefix("a ") in said.lower()
        assert ("upper" if folder.startswith("upper") else "lower") in said.lower()
        assert "normal" not in said
    assert len({sample.group for sample in made.samples}) == len(CLASSES)
    assert not lies(made, ("polyp", "ulcerative colitis", "oesophagitis", "haemorrhoids"))


def test_hyper_kvasir_videos_say_what_is_true_of_the_whole(tmp_path: Path, make: Any, lies: Any) -> None:
    (tmp_path / "set/videos").mkdir(parents=True)
    header = "file-name;finding;width;height;number-of-frames;fps;length;kilobytes"
    rows = {"a": "polyp resected", "b": "nothing", "c": "Stained lifted polyp", "d": "out of patient", "gone": "polyp"}
    lines = [f"{name}.avi;{finding};96;64;40;25;2;10" for name, finding in rows.items()]
    (tmp_path / "set/video-labels.csv").write_text("\n".join([header, *lines]) + "\n")
    for name in "abcd":
        with av.open(str(tmp_path / f"set/videos/{name}.avi"), "w") as container:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
            for number in range(40):
                frame = np.full((64, 96, 3), 100 + number, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
    made = make("hyper_kvasir_videos")
    assert made.reasons == {"videos/gone.avi": "missing_file"}
    assert "from a video with a resected polyp" in made.said("a.avi")
    for name, word in (("b", "nothing"), ("d", "patient")):
        assert word not in made.said(f"{name}.avi")
        assert "from a video with" not in made.said(f"{name}.avi")
    assert all(sample.media.frames == 40 for sample in made.samples)
    assert not lies(made, ("polyp",))


def test_kvasir_v2(picture_at: Any, make: Any, lies: Any) -> None:
    for name in ("normal-cecum", "polyps", "esophagitis"):
        picture_at(f"{name}/{name}.jpg")
    made = make("kvasir_v2")
    assert "caecum" in made.said("normal-cecum.jpg").lower()
    assert "normal" not in made.said("normal-cecum.jpg").lower()
    assert "polyp" in made.said("polyps.jpg").lower()
    assert not lies(made, ("polyp", "oesophagitis"))


def test_medvqa_gi_keeps_all_prompts_of_a_picture_as_descriptions(tmp_path: Path, picture_at: Any, make: Any) -> None:
    lines = [
        "Prompt;Filename",
        "Generate an image containing a polyp.;cla820gl1",
        "Generate an image with one polyp located in the centre;cla820gl1.jpg",
        "generate images of a z-line;cla820gl2",
    ]
    for name in ("cla820gl1", "cla820gl2"):
        picture_at(f"images/{name}.jpg")
    (tmp_path / "set/prompt-gt.csv").write_text("\n".join(lines) + "\n")
    made = make("medvqa_gi")
    assert not made.rejects
    texts = {s.media.uri.rpartition("/")[2]: [c.text for c in s.captions] for s in made.samples}
    assert texts == {
        "cla820gl1.jpg": ["An image containing a polyp.", "An image with one polyp located in the centre."],
        "cla820gl2.jpg": ["Images of a z-line."],
    }
