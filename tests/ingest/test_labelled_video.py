"""Videos labelled by frame: each still has the label of its own line, and no clip says more than its lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from ingest.columns import AttributeColumn, LabelColumn
from ingest.converters.labelled_video import LabelledVideo
from ingest.frame_labels import FrameTable
from ingest.rights import Rights
from shards.manifest import Sample
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


def test_frames_of_a_video_that_names_no_group_are_one_group(cholec: Path, convert: Any) -> None:
    video(cholec / "videos/video02.mp4", 50)
    for kind in ("phase", "tool"):
        text = (cholec / f"{kind}_annotations/video01-{kind}.txt").read_text()
        (cholec / f"{kind}_annotations/video02-{kind}.txt").write_text(text)
    for options in ({"group": None}, {"group": "number", "parts": {"stem": "^video(?P<number>[a-z]+)?"}}):
        samples = convert(stage(cholec, **options)).samples
        assert len({sample.group for sample in samples}) == 2
        assert {sample.group.partition(":")[0] for sample in samples} == {"video"}


def test_a_run_of_sparse_lines_ends_at_its_last_line(cholec: Path, convert: Any) -> None:
    lines = "0\tPreparation\n25\tPreparation\n50\tPreparation\n75\tCalotTriangleDissection\n"
    (cholec / "phase_annotations/video01-phase.txt").write_text(f"Frame\tPhase\n{lines}")
    found = ranges(convert(stage(cholec, stills_every=0, clip_frames=100)).samples)
    assert sorted(found) == [(0, 51)]  # from 51 on the second phase may have begun


def test_files_out_of_the_folder_are_not_read(cholec: Path, convert: Any, tmp_path_factory: Any) -> None:
    away = tmp_path_factory.mktemp("away")
    tools = cholec / "tool_annotations/video01-tool.txt"
    (away / "tool.txt").write_bytes(tools.read_bytes())
    video(cholec / "videos/video02.mp4", 10)
    for number in (1, 2):
        place = cholec / f"phase_annotations/video0{number}-phase.txt"
        place.write_text("Frame\tPhase\n0\tPreparation\n")
    tools.unlink()
    tools.symlink_to(away / "tool.txt")
    found = convert(stage(cholec))
    assert found.reasons == {"videos/video01.mp4": "path_escapes", "videos/video02.mp4": "no_metadata"}
    video(away / "video.mp4", 10)
    tools.unlink()
    tools.write_text("Frame\tGrasper\tHook\n0\t1\t0\n")
    (cholec / "clips").mkdir()
    (cholec / "clips/video01.mp4").symlink_to(away / "video.mp4")
    found = convert(stage(cholec, video="clips/{stem}.mp4"))
    assert found.reasons == {"videos/video01.mp4": "path_escapes", "videos/video02.mp4": "missing_file"}
    (cholec / "clips/video01.mp4").rename(cholec / "clips/video02.mp4")
    assert convert(stage(cholec, video="clips/{stem}.mp4")).reasons["videos/video01.mp4"] == "missing_file"


def test_only_and_reject_hold_for_frames(cholec: Path, convert: Any) -> None:
    found = convert(stage(cholec, only={"Phase": ("Preparation",)}, reject={"Grasper": {"0": "excluded_by_name"}}))
    assert sorted(ranges(found.samples)) == [(75, 76)]
    refused = ("frame 0", "frame 25", "frame 50", "frames 0 to 31", "frames 32 to 63")
    assert found.reasons == {f"videos/video01.mp4 {words}": "excluded_by_name" for words in refused}


def test_a_video_that_parts_do_not_fit_is_a_reject(cholec: Path, convert: Any) -> None:
    video(cholec / "videos/odd.mp4", 10)
    tables = (
        FrameTable(table="phase_annotations/video{number}-phase.txt"),
        FrameTable(table="tool_annotations/video{number}-tool.txt"),
    )
    found = convert(stage(cholec, tables=tables, parts={"stem": "^video(?P<number>[0-9]+)$"}))
    assert found.reasons == {"videos/odd.mp4": "bad_row"}
    assert [len(part) for part in found.parts if part is not None] == [8 + 5]
    with pytest.raises(ValueError, match="no group of parts"):
        stage(cholec, tables=tables)


def test_any_column_may_hold_the_frame(cholec: Path, convert: Any) -> None:
    tools = cholec / "tool_annotations/video01-tool.txt"
    tools.write_text(tools.read_text().replace("Frame\tGrasper", "frame number\tGrasper"))
    phases = FrameTable(table="phase_annotations/{stem}-phase.txt")
    found = convert(
        stage(cholec, tables=(phases, FrameTable(table="tool_annotations/{stem}-tool.txt", frame="frame number")))
    )
    assert [label.name for label in ranges(found.samples)[100, 101].labels] == ["Grasper", "Hook"]


@pytest.mark.parametrize(
    ("lines", "stills"),
    [
        ("0.0\tPreparation\n25.0\tPreparation\n", [0, 25]),
        ("0\tPreparation\n\n25\tPreparation\n\t\n", [0, 25]),
        ("0\tPreparation\nx\tCalotTriangleDissection\n25\tPreparation\n", []),
        ("0\tPreparation\n\tCalotTriangleDissection\n25\tPreparation\n", []),
        ("-25\tPreparation\n0\tPreparation\n", []),
        ("0.5\tPreparation\n25\tPreparation\n", []),
    ],
)
def test_a_line_that_names_no_frame_is_no_line_to_leave_out(
    cholec: Path, convert: Any, lines: str, stills: list[int]
) -> None:
    (cholec / "phase_annotations/video01-phase.txt").write_text(f"Frame\tPhase\n{lines}")
    tables = (FrameTable(table="phase_annotations/{stem}-phase.txt"),)
    found = convert(stage(cholec, tables=tables, labels=(), clip_frames=0))
    assert found.counts == ({} if stills else {"bad_row": 1})
    assert [start for start, _ in sorted(ranges(found.samples if stills else []))] == stills


def test_labels_that_no_video_has_are_said_before_any_work(cholec: Path, ctx: Any) -> None:
    (cholec / "tool_annotations").rename(cholec / "tools")
    with pytest.raises(
        FileNotFoundError, match=r"no file 'tool_annotations/\{stem\}-tool.txt' of any video.*holds .*tools"
    ):
        list(stage(cholec).units(ctx))
