"""Videos labelled by frame: each still has the label of its own line, and no clip says more than its lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from ingest.columns import AttributeColumn, LabelColumn, LabelList
from ingest.converters.labelled_video import LabelledVideo
from ingest.frame_labels import FrameJson, FrameTable
from ingest.rights import Rights
from shards.intake import Skip
from shards.manifest import Media, Sample
from shards.media import MediaReader

FRAMES = 200
CHANGE = 80  # the first frame of the second phase


def video(path: Path, frames: int = FRAMES) -> None:
    """A video whose frame i is i bright in its left half, so that a frame can be told."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=25, options={"crf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        for number in range(frames):
            pixels = np.full((32, 64, 3), 255, np.uint8)
            pixels[:, :32] = number
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture
def cholec(tmp_path: Path) -> Path:
    """The published layout of Cholec80 with one short video."""
    for folder in ("videos", "phase_annotations", "tool_annotations"):
        (tmp_path / folder).mkdir()
    video(tmp_path / "videos/video01.mp4")
    phases = ["Preparation"] * CHANGE + ["CalotTriangleDissection"] * (FRAMES - CHANGE)
    lines = "".join(f"{number}\t{phase}\n" for number, phase in enumerate(phases))
    (tmp_path / "phase_annotations/video01-phase.txt").write_text(f"Frame\tPhase\n{lines}")
    tools = "".join(f"{number}\t{int(number > 50)}\t{int(number == 100)}\n" for number in range(0, FRAMES, 25))
    (tmp_path / "tool_annotations/video01-tool.txt").write_text(f"Frame\tGrasper\tHook\n{tools}")
    return tmp_path


def stage(folder: Path, **options: Any) -> LabelledVideo:
    usual: dict[str, Any] = {
        "include": ("videos/*.mp4",),
        "tables": (
            FrameTable(table="phase_annotations/{stem}-phase.txt"),
            FrameTable(table="tool_annotations/{stem}-tool.txt"),
        ),
        "constant": ("Phase",),
        "labels": (LabelColumn(column=("Grasper", "Hook"), states={"1": "present", "0": "unstated"}),),
        "attribute_columns": {
            "phase": AttributeColumn(column="Phase", values={"CalotTriangleDissection": "Calot triangle dissection"})
        },
        "group": "stem",
    }
    return LabelledVideo(
        source="cholec80",
        rights=Rights(license="CC-BY-NC-SA-4.0"),
        path=str(folder),
        modality="SURG",
        specialty="general surgery",
        label_scope="frames",
        group_is="video",
        **{**usual, **options},
    )


def ranges(samples: list[Sample]) -> dict[tuple[int, int], Sample]:
    return {(s.media.view.frame_start or 0, s.media.view.frame_stop or 0): s for s in samples}


def test_a_still_has_the_label_of_its_own_line_and_its_own_pixels(cholec: Path, convert: Any) -> None:
    found = ranges(convert(stage(cholec, clip_frames=0)).samples)
    assert sorted(found) == [(number, number + 1) for number in range(0, FRAMES, 25)]
    assert [label.name for label in found[100, 101].labels] == ["Grasper", "Hook"]
    assert [label.name for label in found[75, 76].labels] == ["Grasper"]
    assert found[50, 51].labels == ()
    assert json.loads(found[75, 76].attributes)["phase"] == "Preparation"
    assert json.loads(found[100, 101].attributes)["phase"] == "Calot triangle dissection"
    reader = MediaReader()
    for (number, _), sample in found.items():
        assert abs(int(reader.read(sample.media).pixels[0, 16, 16].mean()) - number) <= 2
    assert len({sample.group for sample in found.values()}) == 1


def test_no_clip_crosses_a_change_and_none_says_what_its_lines_dispute(cholec: Path, convert: Any) -> None:
    found = ranges(convert(stage(cholec, stills_every=0)).samples)
    assert sorted(found) == [(0, 32), (32, 64), (80, 112), (112, 144), (144, 176)]
    assert all(stop <= CHANGE or start >= CHANGE for start, stop in found)
    assert {json.loads(found[key].attributes)["phase"] for key in ((0, 32), (32, 64))} == {"Preparation"}
    assert [label.name for label in found[112, 144].labels] == ["Grasper"]
    assert found[32, 64].labels == ()  # one line without a grasper
    disputed = ranges(convert(stage(cholec, stills_every=0, clip_frames=100, constant=())).samples)
    assert disputed[0, 100].labels == ()  # two of its lines have no grasper, one has
    assert json.loads(disputed[0, 100].attributes) == {}
    assert found[0, 32].media.frames == 32
    assert found[0, 32].media.fps == 25


def test_a_run_shorter_than_a_clip_is_one_clip_unless_it_is_too_short(cholec: Path, convert: Any) -> None:
    long = convert(stage(cholec, stills_every=0, clip_frames=150)).samples
    assert sorted(ranges(long)) == [(0, 80), (80, 200)]
    assert sorted(ranges(convert(stage(cholec, stills_every=0, clip_frames=150, least_clip_frames=100)).samples)) == [
        (80, 200)
    ]


def test_a_video_without_labels_and_labels_beyond_the_video_are_rejects(cholec: Path, convert: Any) -> None:
    video(cholec / "videos/video02.mp4", 10)
    video(cholec / "videos/video03.mp4", 40)
    lines = "".join(f"{number}\tPreparation\n" for number in range(60))
    (cholec / "phase_annotations/video03-phase.txt").write_text(f"Frame\tPhase\n{lines}")
    (cholec / "tool_annotations/video03-tool.txt").write_text("Frame\tGrasper\tHook\n0\t1\t0\n")
    found = convert(stage(cholec))
    assert found.reasons["videos/video02.mp4"] == "no_metadata"
    assert found.reasons["videos/video03.mp4 frame 50"] == "bad_row"
    assert found.counts == {"no_metadata": 1, "bad_row": 1}


def test_a_change_in_the_labels_makes_the_unit_of_that_video_stale(cholec: Path, ctx: Any) -> None:
    before = [unit.inputs for unit in stage(cholec).units(ctx)]
    with (cholec / "tool_annotations/video01-tool.txt").open("a") as handle:
        handle.write("200\t0\t0\n")
    assert [unit.inputs for unit in stage(cholec).units(ctx)] != before


CATEGORIES = {
    "instrument": {"0": "grasper", "1": "bipolar"},
    "phase": {"0": "preparation", "1": "carlot-triangle-dissection"},
}


@pytest.fixture
def cholect50(tmp_path: Path) -> Path:
    """The published layout of CholecT50: frames of one video in a folder, triplets in JSON; frame 3 is black."""
    (tmp_path / "videos/VID01").mkdir(parents=True)
    (tmp_path / "labels").mkdir()
    for number in range(20):
        shade = 0 if number == 3 else 100 + number
        Image.new("RGB", (64, 32), (shade, shade // 2, shade)).save(tmp_path / f"videos/VID01/{number:06d}.png")
    vector = [1, 0, 1.0, 0.1, 0.1, 0.2, 0.2, 2, 0, 1.0, 0.1, 0.1, 0.2, 0.2, 0]
    empty: list[Any] = []
    annotations = {str(number): [vector] if number % 2 == 0 else empty for number in range(20)}
    annotations["4"] = [vector, [*vector[:1], 1, *vector[2:]]]
    annotations["6"] = [[-1, -1, *vector[2:14], 0]]
    (tmp_path / "labels/VID01.json").write_text(json.dumps({"categories": CATEGORIES, "annotations": annotations}))
    return tmp_path


def test_frames_in_a_folder_with_triplets_in_json(cholect50: Path, convert: Any) -> None:
    found = convert(
        stage(
            cholect50,
            include=("labels/*.json",),
            video="videos/{stem}",
            tables=(),
            json=FrameJson(
                file="labels/{stem}.json",
                columns={"instrument": 1, "phase": 14},
                names={"instrument": "categories.instrument", "phase": "categories.phase"},
            ),
            labels=(),
            label_lists=(LabelList(column="instrument", separator="|"),),
            constant=(),
            attribute_columns={"phase": "phase"},
            stills_every=1,
            clip_frames=8,
            fps=1.0,
            min_foreground=0.05,
        )
    )
    assert found.reasons == {"videos/VID01 frame 3": "blank"}
    samples = ranges(found.samples)
    assert [label.name for label in samples[4, 5].labels] == ["grasper", "bipolar"]
    assert samples[5, 6].labels == ()  # an empty list says nothing, and not that there is no instrument
    assert samples[6, 7].labels == ()
    assert json.loads(samples[4, 5].attributes) == {"phase": "preparation"}
    clip = samples[0, 8].media
    assert (clip.kind, clip.frames, clip.fps, clip.width_px, clip.height_px) == ("frames", 8, 1.0, 64, 32)
    pixels = MediaReader().read(clip).pixels
    assert pixels.shape == (8, 32, 64, 3)
    assert [int(frame[0, 0, 0]) for frame in pixels] == [100, 101, 102, 0, 104, 105, 106, 107]


def test_a_changed_frame_is_noticed_by_the_clips_that_hold_it(cholect50: Path) -> None:
    reader = MediaReader()
    uri = str(cholect50 / "videos/VID01")
    first, second = (reader.facts(uri, f'{{"frame_start":{a},"frame_stop":{a + 4}}}').sha256 for a in (0, 4))
    Image.new("RGB", (64, 32), (1, 2, 3)).save(cholect50 / "videos/VID01/000001.png")
    assert reader.facts(uri, '{"frame_start":4,"frame_stop":8}').sha256 == second
    with pytest.raises(Skip, match="media_changed"):
        reader.read(Media(uri=uri, kind="frames", locator='{"frame_start":0,"frame_stop":4}', sha256=first))


def test_json_that_is_not_as_it_should_be_is_a_reject(cholect50: Path, convert: Any) -> None:
    for text in ("{", "{}", '{"annotations": {"a": []}}', '{"annotations": {"0": [[1]]}, "categories": {}}'):
        (cholect50 / "labels/VID01.json").write_text(text)
        found = convert(
            stage(
                cholect50,
                include=("labels/*.json",),
                video="videos/{stem}",
                tables=(),
                json=FrameJson(file="labels/{stem}.json", columns={"instrument": 1}),
                labels=(),
                attribute_columns={},
                constant=(),
            )
        )
        assert found.reasons == {"labels/VID01.json": "bad_row"}
