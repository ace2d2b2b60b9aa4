"""NIfTI files of pictures over time as clips and stills: their rates, their texts, and what they are known by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from ingest.columns import AttributeColumn, TextFiles
from ingest.converters.nifti_clips import NiftiClips
from ingest.rights import Rights
from shards.attributes import decode
from shards.manifest import Sample
from shards.stage import Context

INFO = TextFiles(column="info", path="{who}/info.cfg", keys=("Rate", "Sex"))


@pytest.fixture
def clip(tmp_path: Path) -> Any:
    """clip(path, frames, ...): a ramp that brightens, below set/; `step_s` puts time on the fourth axis."""

    def write(path: str, frames: int, step_s: float | None = None) -> None:
        where = tmp_path / "set" / path
        where.parent.mkdir(parents=True, exist_ok=True)
        ramp = np.add.outer(np.arange(12), np.arange(8))[..., None] + np.arange(frames, dtype=np.uint8)
        image = nib.Nifti1Image((ramp if step_s is None else ramp[:, :, None]).astype(np.uint8), np.eye(4))
        if step_s is not None:
            image.header.set_xyzt_units("mm", "sec")
            image.header["pixdim"][4] = step_s
        nib.save(image, where)

    return write


def stage(**options: Any) -> NiftiClips:
    common = {"source": "s", "rights": Rights(license="CC0-1.0"), "modality": "US", "specialty": "cardiology"}
    return NiftiClips(**{**common, "path": "set", "parts": {"path": "^(?P<who>[^/]+)/"}, **options})


def by_name(found: Any) -> dict[str, Sample]:
    return {one.media.uri.partition("/set/")[2]: one for one in found.samples}


def test_the_rate_is_that_of_the_header_or_of_a_column(tmp_path: Path, clip: Any, convert: Any) -> None:
    rates = {"a": "42.5", "b": "slow", "c": "0", "d": "inf", "e": "30", "f": "30"}
    for who, rate in rates.items():
        clip(f"{who}/x.nii.gz", 1 if who == "e" else 5, step_s=0.02 if who == "f" else None)
        (tmp_path / f"set/{who}/info.cfg").write_text(f"Rate: {rate}\nSex: F\n")
    found = convert(stage(texts=(INFO,), fps_column="Rate", attribute_columns={"sex": "Sex"}))
    assert found.rejects == []
    rates_found = {name[0]: one.media.fps for name, one in by_name(found).items()}
    assert rates_found == {"a": 42.5, "b": None, "c": None, "d": None, "e": None, "f": pytest.approx(50)}
    for name, one in by_name(found).items():
        assert (one.media.frames, one.media.width_px, one.media.height_px) == (1 if name[0] == "e" else 5, 12, 8)
        assert decode(one.attributes) == {"sex": "female"}
        assert (one.media.kind, one.group.partition(":")[0]) == ("nifti", "series")


def test_a_changed_text_makes_its_unit_stale_and_no_other(tmp_path: Path, clip: Any, ctx: Context) -> None:
    for who in "ab":
        clip(f"{who}/x.nii", 3)
        (tmp_path / f"set/{who}/info.cfg").write_text("Rate: 20\nSex: F\n")
    source = stage(texts=(INFO,), unit_files=1, include=("*.nii",))
    before = [unit.inputs for unit in source.units(ctx)]
    assert before == [unit.inputs for unit in source.units(ctx)]
    (tmp_path / "set/b/info.cfg").write_text("Rate: 20\nSex: M!\n")
    after = [unit.inputs for unit in source.units(ctx)]
    assert (after[0] == before[0], after[1] == before[1]) == (True, False)
    for who in "ab":
        (tmp_path / f"set/{who}/info.cfg").unlink()
    with pytest.raises(FileNotFoundError, match="no row has a file of column 'info'"):
        list(source.units(ctx))


def test_the_number_of_frames_is_a_column(clip: Any, convert: Any) -> None:
    clip("a/long.nii", 5)
    clip("a/still.nii", 1)
    found = convert(stage(only={"frames": ("5",)}))
    assert set(by_name(found)) == {"a/long.nii"}
    assert found.offered == 1


def test_a_volume_over_time_and_a_damaged_file_are_rejects(tmp_path: Path, clip: Any, convert: Any) -> None:
    clip("a/x.nii", 3)
    nib.save(nib.Nifti1Image(np.zeros((4, 5, 6, 7), np.uint8), np.eye(4)), tmp_path / "set/a/heart.nii")
    (tmp_path / "set/a/y.nii").write_bytes((tmp_path / "set/a/x.nii").read_bytes()[:-1])
    found = convert(stage(attribute_columns={"view": AttributeColumn(column="stem", others="drop")}))
    assert set(by_name(found)) == {"a/x.nii"}
    assert found.reasons == {"a/heart.nii": "unsupported_pixels", "a/y.nii": "truncated"}


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="tells a clip from a still"):
        stage(probe=False)
    with pytest.raises(ValueError, match="modality is not given"):
        stage(modality=None)


def test_a_text_that_names_another_one_is_read_for_the_plan(tmp_path: Path, clip: Any, ctx: Context) -> None:
    clip("a/x.nii", 5)
    (tmp_path / "set/a/info.cfg").write_text("Report: r7\n")
    (tmp_path / "set/r7.txt").write_text("Clear.")
    names = TextFiles(column="info", path="{who}/info.cfg", keys=("Report",))
    source = stage(texts=(names, TextFiles(column="report", path="{Report}.txt")), include=("*.nii",))
    (before,) = source.units(ctx)
    (tmp_path / "set/r7.txt").write_text("Clear lungs.")
    (after,) = source.units(ctx)
    assert after.inputs != before.inputs
    (tmp_path / "set/r7.txt").unlink()
    with pytest.raises(FileNotFoundError, match="no row has a file of column 'report'"):
        list(source.units(ctx))
