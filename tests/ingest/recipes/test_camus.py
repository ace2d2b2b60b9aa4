"""CAMUS: NIfTI files of pictures over time, a text of keys for each view, and lists of patients for the split."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from shards.attributes import decode
from shards.manifest import Sample
from shards.media import MediaReader

SETS = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "layouts" / "thin.py")))
TWO = {
    1: {"split": "train", "sex": "F", "age": 56, "ef": 55, "quality": "Good"},
    2: {"split": "test", "sex": "M", "age": 93, "ef": 23.5, "quality": "Poor", "frames": 11, "fps": 60},
}


def by_file(made: Any) -> dict[str, Sample]:
    return {sample.media.uri.rpartition("/")[2].removesuffix(".nii.gz"): sample for sample in made.samples}


def test_sequences_are_clips_and_their_ends_are_stills(tmp_path: Path, make: Any, lies: Any) -> None:
    SETS.camus(tmp_path / "set", TWO)
    made = make("camus")
    assert (made.rejects, made.offered) == ([], 12), "neither maps nor citations are offered"
    found = by_file(made)
    reader = MediaReader()
    for number, frames in ((1, 18), (2, 11)):
        for view in ("2CH", "4CH"):
            shown = SETS.frames_of(number, view, frames)
            name = f"patient{number:04d}_{view}"
            clip = found[f"{name}_half_sequence"]
            assert np.array_equal(reader.read(clip.media).pixels, shown)
            assert (clip.media.frames, clip.media.fps) == (frames, {1: 42.5, 2: 60.0}[number])
            for moment, place in (("ED", 0), ("ES", -1)):
                still = found[f"{name}_{moment}"]
                assert np.array_equal(reader.read(still.media).pixels[0], shown[place])
                assert (still.media.frames, still.media.fps) == (1, None)
    assert {sample.official_split for sample in found.values()} == {"train", "test"}
    assert found["patient0002_4CH_ED"].official_split == "test"
    assert len({sample.group for sample in found.values()}) == 2
    assert {sample.modality for sample in found.values()} == {"US"}
    assert not lies(made)


def test_captions_say_whose_each_number_is(tmp_path: Path, make: Any) -> None:
    SETS.camus(tmp_path / "set", TWO)
    found = by_file(make("camus"))
    for name, sample in found.items():
        text = sample.captions[0].text
        view = "apical two-chamber" if "2CH" in name else "apical four-chamber"
        assert view in text.lower()
        assert ("ultrasound video clip" if "sequence" in name else "ultrasound image") in text
        assert "heart" in text
        assert ("end diastole" in text, "end systole" in text) == ("_ED" in name, "_ES" in name)
        percent = {"patient0001": "55 %", "patient0002": "23.5 %"}[name[:11]]
        assert percent in text
        before = text[: text.index(percent)]
        assert "study" in before.rpartition(",")[2], "the study's value is not that of a picture"
        assert ("56" in text, "over 89" in text) == (name[:11] == "patient0001", name[:11] == "patient0002")
        assert ("woman" in text) == (name[:11] == "patient0001")
        assert "93" not in text
    qualities = {decode(sample.attributes)["image_quality"] for sample in found.values()}
    assert qualities == {"good", "poor"}


def test_what_is_not_laid_out_so_is_refused(tmp_path: Path, make: Any) -> None:
    lacks = SETS.info({}, 18).replace("EF: 55\n", "LVef: 55\n")
    blank = SETS.info({}, 18).replace("EF: 55", "EF:").replace("FrameRate: 42.5", "FrameRate: nan")
    SETS.camus(tmp_path / "set", {1: {"info": lacks}, 2: {"info": blank, "split": "val"}})
    (tmp_path / "set/database_nifti/patient0002/patient0002_2CH_half_sequence.nii.gz").write_bytes(b"nothing")
    made = make("camus")
    assert made.counts == {"no_metadata": 6, "not_recognised": 1}
    assert {reject.detail for reject in made.rejects if reject.reason == "no_metadata"} == {"its text file has no EF"}
    found = by_file(made)
    assert len(found) == 5
    assert found["patient0002_4CH_half_sequence"].media.fps is None
    assert not any("fraction" in sample.captions[0].text for sample in found.values()), "a blank value is not worded"
    assert {sample.official_split for sample in found.values()} == {"val"}

    (tmp_path / "set/database_split/subgroup_testing.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"subgroup_testing\.txt"):
        make("camus")
