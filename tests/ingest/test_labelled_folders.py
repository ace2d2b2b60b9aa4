"""Frames in folders with labels in JSON: a frame is the file of its number, and black ones are in no clip."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ingest.converters.labelled_video import LabelledVideo
from ingest.frame_labels import FrameJson
from shards import frame_listing
from shards.intake import Skip
from shards.manifest import Media, Sample
from shards.media import MediaReader

SETS = runpy.run_path(str(Path(__file__).with_name("frame_sets.py")))
stage: Callable[..., LabelledVideo] = SETS["stage"]


@pytest.fixture
def cholect50(tmp_path: Path) -> Path:
    SETS["cholect50"](tmp_path)
    return tmp_path


def ranges(samples: list[Sample]) -> dict[tuple[int, int], Sample]:
    return {(s.media.view.frame_start or 0, s.media.view.frame_stop or 0): s for s in samples}


def test_frames_in_a_folder_with_triplets_in_json(cholect50: Path, convert: Any) -> None:
    found = convert(stage(cholect50, min_foreground=0.05))
    assert found.reasons == {"videos/VID01 frame 3": "blank", "videos/VID01 frames 0 to 7": "blank"}
    samples = ranges(found.samples)
    assert [label.name for label in samples[4, 5].labels] == ["grasper", "bipolar"]
    assert samples[5, 6].labels == ()  # an empty list says nothing, and not that there is no instrument
    assert samples[6, 7].labels == ()
    assert json.loads(samples[4, 5].attributes) == {"phase": "preparation"}
    clip = samples[8, 16].media
    assert (clip.kind, clip.frames, clip.fps, clip.width_px, clip.height_px) == ("frames", 8, 1.0, 64, 32)
    pixels = MediaReader().read(clip).pixels
    assert pixels.shape == (8, 32, 64, 3)
    assert [int(frame[0, 0, 0]) for frame in pixels] == list(range(108, 116))
    assert {sample.group for sample in samples.values()} == {samples[4, 5].group}
    assert samples[4, 5].group.startswith("video:")


def test_clips_alone_with_a_black_frame_are_blank_too(cholect50: Path, convert: Any) -> None:
    found = convert(stage(cholect50, stills_every=0, min_foreground=0.05))
    assert found.reasons == {"videos/VID01 frames 0 to 7": "blank"}
    assert (0, 8) in ranges(convert(stage(cholect50, stills_every=0)).samples)


def test_a_frame_is_the_file_of_its_number(cholect50: Path, convert: Any) -> None:
    (cholect50 / "videos/VID01/000005.png").unlink()
    found = convert(stage(cholect50))
    assert found.reasons == {"videos/VID01 frame 5": "bad_row", "videos/VID01 frames 0 to 7": "bad_row"}
    reader = MediaReader()
    for (number, stop), sample in ranges(found.samples).items():
        shades = [int(frame[0, 0, 0]) for frame in reader.read(sample.media).pixels]
        assert shades == [0 if shade == 103 else shade for shade in range(100 + number, 100 + stop)]
    whole = reader.facts(str(cholect50 / "videos/VID01"))
    assert whole.frames == 19


def test_hidden_files_and_links_are_no_frames(cholect50: Path, tmp_path_factory: Any) -> None:
    folder = cholect50 / "videos/VID01"
    before = MediaReader().facts(str(folder)).sha256
    (folder / "._000001.png").write_bytes(b"")
    away = tmp_path_factory.mktemp("away") / "000020.png"
    Image.new("RGB", (64, 32)).save(away)
    (folder / "000020.png").symlink_to(away)
    assert MediaReader().facts(str(folder)).sha256 == before
    with pytest.raises(Skip, match="no frame 20"):
        MediaReader().facts(str(folder), '{"frame_start":20,"frame_stop":21}')


@pytest.mark.parametrize("name", ["cover.png", "7.png", "again_000007.jpg"])
def test_names_without_or_with_one_number_are_refused(cholect50: Path, convert: Any, name: str) -> None:
    Image.new("RGB", (64, 32)).save(cholect50 / "videos/VID01" / name)
    assert convert(stage(cholect50)).reasons == {"labels/VID01.json": "bad_row"}


def test_a_folder_is_listed_once(cholect50: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = []
    pictures = frame_listing._pictures
    monkeypatch.setattr(frame_listing, "_pictures", lambda path: listed.append(path) or pictures(path))
    for number in range(20):
        MediaReader().facts(str(cholect50 / "videos/VID01"), f'{{"frame_start":{number},"frame_stop":{number + 1}}}')
    assert len(listed) == 1


def test_a_frame_written_again_makes_the_unit_stale(cholect50: Path, ctx: Any) -> None:
    before = [unit.inputs for unit in stage(cholect50).units(ctx)]
    assert [unit.inputs for unit in stage(cholect50).units(ctx)] == before
    Image.new("RGB", (64, 32), (9, 8, 7)).save(cholect50 / "videos/VID01/000001.png")
    changed = [unit.inputs for unit in stage(cholect50).units(ctx)]
    assert changed != before
    (cholect50 / "videos/VID01/000019.png").unlink()
    assert [unit.inputs for unit in stage(cholect50).units(ctx)] not in (before, changed)


def test_a_changed_frame_is_noticed_by_the_clips_that_hold_it(cholect50: Path) -> None:
    reader = MediaReader()
    uri = str(cholect50 / "videos/VID01")
    first, second = (reader.facts(uri, f'{{"frame_start":{a},"frame_stop":{a + 4}}}').sha256 for a in (0, 4))
    Image.new("RGB", (64, 32), (1, 2, 3)).save(cholect50 / "videos/VID01/000001.png")
    assert reader.facts(uri, '{"frame_start":4,"frame_stop":8}').sha256 == second
    with pytest.raises(Skip, match="media_changed"):
        reader.read(Media(uri=uri, kind="frames", locator='{"frame_start":0,"frame_stop":4}', sha256=first))


def test_json_that_is_not_as_it_should_be_is_a_reject(cholect50: Path, convert: Any) -> None:
    option = FrameJson(file="labels/{stem}.json", columns={"instrument": 1})
    for text in ("{", "{}", '{"annotations": {"a": []}}', '{"annotations": {"0": [[1]]}, "categories": {}}'):
        (cholect50 / "labels/VID01.json").write_text(text)
        found = convert(stage(cholect50, json=option, label_lists=(), attribute_columns={}))
        assert found.reasons == {"labels/VID01.json": "bad_row"}


@pytest.mark.parametrize("twice", ['"0": [[0, 1]], "0": [[0, 2]]', '"0": [[0, 1]], "00": [[0, 2]]'])
def test_json_that_speaks_of_a_frame_twice_is_a_reject(cholect50: Path, convert: Any, twice: str) -> None:
    option = FrameJson(file="labels/{stem}.json", columns={"instrument": 1})
    (cholect50 / "labels/VID01.json").write_text(f'{{"annotations": {{{twice}}}}}')
    (reject,) = convert(stage(cholect50, json=option, label_lists=(), attribute_columns={}, constant=())).rejects
    assert (reject.reason, reject.detail) == ("bad_row", "its JSON has a key, or speaks of a frame, twice")
