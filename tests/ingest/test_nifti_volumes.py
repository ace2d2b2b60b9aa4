"""NIfTI volumes as slices: planes by the affine, one scale a volume, and the slabs of a single template."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import polars as pl
import pytest

from ingest.converters.nifti_volumes import NiftiVolumes
from ingest.converters.slabs import Slabs
from ingest.rights import Rights
from ingest.statements import FileFacts, StatedLabel
from shards.media import MediaReader

MNI = "package://nilearn/datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
Save = Callable[..., Path]


def stage(path: str | Path, **options: Any) -> NiftiVolumes:
    usual: dict[str, Any] = {"modality": "MR", "specialty": "radiology", "min_foreground": 0.0}
    return NiftiVolumes(source="here", path=str(path), rights=Rights(license="MIT"), **{**usual, **options})


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """save(name, values, spacing_mm, tilt_degrees): a volume below `volumes`, its corner at -10 mm on each axis."""

    def write(
        name: str, values: np.ndarray, spacing_mm: tuple[float, float, float] = (1, 1, 1), tilt_degrees: float = 0
    ) -> Path:
        path = tmp_path / "volumes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        angle = np.radians(tilt_degrees)
        turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
        affine = np.eye(4)
        affine[:3, :3] = turn @ np.diag(spacing_mm)
        affine[:3, 3] = -10
        image = nibabel.Nifti1Image(values, affine)
        image.set_sform(affine, code=1)
        nibabel.save(image, path)
        return tmp_path / "volumes"

    return write


def ramp(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape)


def attributes(sample: Any) -> dict[str, Any]:
    return dict(json.loads(sample.attributes))


def test_each_slice_of_each_plane_is_an_item_with_its_position(convert: Any, save: Save) -> None:
    folder = save("a.nii", ramp(6, 8, 10), (1.0, 2.0, 1.5))
    found = convert(stage(folder))
    assert found.offered == 6 + 8 + 10 == len(found.samples)
    places = {plane: sorted(attributes(s)["position_mm"] for s in found.samples if attributes(s)["plane"] == plane)
              for plane in ("sagittal", "coronal", "axial")}  # fmt: skip
    assert places["sagittal"] == [-10, -9, -8, -7, -6, -5]
    assert places["coronal"] == [-10, -8, -6, -4, -2, 0, 2, 4]
    assert places["axial"][:3] == [-10, -8.5, -7]
    assert all("space" not in attributes(sample) for sample in found.samples)
    for sample in found.samples[::5]:
        shown = MediaReader().read(sample.media).pixels
        assert shown.shape == (1, sample.media.height_px, sample.media.width_px)


def test_the_scale_is_that_of_the_whole_volume(convert: Any, save: Save) -> None:
    values = ramp(10, 10, 10)
    found = convert(stage(save("a.nii", values)))
    ends = {(sample.media.view.low, sample.media.view.high) for sample in found.samples}
    low, high = np.percentile(values, [0.5, 99.5], method="inverted_cdf")
    assert ends == {(low, high)}


def test_blank_slices_are_rejected_and_counted(convert: Any, save: Save) -> None:
    values = np.zeros((20, 20, 20), np.int16)
    values[5:15, 5:15, 5:15] = 100
    found = convert(stage(save("a.nii", values), min_foreground=0.02, planes=("axial",)))
    assert (found.offered, len(found.samples), found.counts) == (20, 10, {"blank": 10})
    assert found.reasons["a.nii axial 0"] == "blank"


def test_every_kth_slice_counts_from_the_middle(convert: Any, save: Save) -> None:
    found = convert(stage(save("a.nii", ramp(4, 4, 21)), planes=("axial",), every=5))
    assert sorted(sample.media.view.slice for sample in found.samples) == [0, 5, 10, 15, 20]
    found = convert(stage(save("a.nii", ramp(4, 4, 21)), planes=("axial",), range_mm={"axial": (-8.0, -5.0)}))
    assert sorted(sample.media.view.slice for sample in found.samples) == [2, 3, 4, 5]


def test_no_pictures_are_made_across_thick_slices(convert: Any, save: Save) -> None:
    found = convert(stage(save("a.nii", ramp(8, 8, 4), (1, 1, 5)), most_anisotropy=3.0))
    assert len(found.samples) == 4
    assert found.counts == {"thick_slices": 16}


def test_a_tilted_volume_claims_no_position_and_a_steep_one_no_plane(convert: Any, save: Save) -> None:
    tilted = convert(stage(save("a.nii", ramp(6, 6, 6), tilt_degrees=12), planes=("axial",)))
    assert {attributes(sample)["plane"] for sample in tilted.samples} == {"axial"}
    assert not any("position_mm" in attributes(sample) for sample in tilted.samples)
    steep = convert(stage(save("a.nii", ramp(6, 6, 6), tilt_degrees=38), planes=("axial",)))
    assert {attributes(sample)["plane"] for sample in steep.samples} == {"oblique"}


def test_ct_gives_one_row_for_each_window_and_one_item_a_slice(convert: Any, save: Save) -> None:
    values = np.linspace(-1000, 1000, 1000).astype(np.int16).reshape(10, 10, 10)
    folder = save("a.nii", values)
    found = convert(stage(folder, modality="CT", windows=("lung", "bone"), planes=("axial",)))
    assert found.offered == 10
    assert sorted(attributes(sample)["window"] for sample in found.samples) == ["bone"] * 10 + ["lung"] * 10
    assert all(sample.media.view.low is None for sample in found.samples)
    with pytest.raises(ValueError, match="Hounsfield"):
        stage(folder, windows=("lung",))


def test_the_volume_of_a_4d_file_is_named(convert: Any, save: Save) -> None:
    folder = save("a.nii", ramp(4, 4, 4, 3))
    assert convert(stage(folder, volume=2)).samples[0].media.view.volume == 2
    found = convert(stage(folder, volume=3))
    assert found.reasons == {"a.nii": "bad_row"}


def test_groups_are_files_or_patients(convert: Any, save: Save) -> None:
    for name in ("p1_a.nii", "p1_b.nii", "p2_a.nii"):
        folder = save(name, ramp(4, 4, 4))
    files = convert(stage(folder))
    assert files.rows["group"].str.starts_with("series:").all()
    assert files.rows["group"].n_unique() == 3
    assert files.rows["patient"].null_count() == files.rows.height
    by_name = {"parts": {"name": r"^(?P<who>p\d+)_"}, "patient": "who"}
    people = convert(stage(folder, **by_name))
    assert people.rows["group"].n_unique() == people.rows["patient"].n_unique() == 2
    save("other.nii", ramp(4, 4, 4))
    assert convert(stage(folder, **by_name)).reasons == {"other.nii": "bad_row"}


def test_labels_of_a_volume_stay_labels_of_the_series(convert: Any, save: Save) -> None:
    save("a_t1.nii", ramp(4, 4, 4))
    folder = save("a_t2.nii", ramp(4, 4, 4))
    tumour = StatedLabel(name="glioma", scope="series")
    facts = (FileFacts(files="*_t1.nii", attributes={"sequence": "T1-weighted"}, labels=(tumour,)),)
    found = convert(stage(folder, facts=facts, attributes={"body_part": "brain"}))
    for sample in found.samples:
        first = "t1" in sample.media.uri
        assert attributes(sample).get("sequence") == ("T1-weighted" if first else None)
        assert sample.label_scope == ("series" if first else "slice")
        assert [(label.name, label.scope) for label in sample.labels] == ([("glioma", "series")] if first else [])


def test_files_that_are_no_volume_are_one_reject_each(convert: Any, save: Save) -> None:
    folder = save("good.nii.gz", ramp(4, 4, 4))
    (folder / "text.nii").write_text("no volume")
    (folder / "cut.nii.gz").write_bytes((folder / "good.nii.gz").read_bytes()[:150])
    found = convert(stage(folder))
    assert found.offered == 12 + 2
    assert found.reasons == {"text.nii": "not_recognised", "cut.nii.gz": "truncated"}


def test_units_are_files_and_the_rows_do_not_depend_on_the_others(convert: Any, save: Save) -> None:
    folder = save("a.nii", ramp(4, 4, 4))
    before = convert(stage(folder)).contents
    save("b.nii", ramp(5, 5, 5))
    after = convert(stage(folder)).contents
    assert set(before.items()) < set(after.items())
    assert convert(stage(folder)).contents == after


HELD_OUT = {"test": {"axial": (15.0,), "sagittal": (25.0,)}, "val": {"coronal": (-45.0,)}}


def test_slabs_of_the_template_are_held_out_with_a_gap(convert: Any) -> None:
    slabs = Slabs(slab_mm=10, gap_mm=3, held_out=HELD_OUT)
    found = convert(
        stage(
            MNI,
            group_by="slab",
            single_template=True,
            slabs=slabs,
            space="MNI152",
            min_foreground=0.05,
            attributes={"body_part": "brain", "sequence": "T1-weighted"},
        )
    )
    assert found.offered == 197 + 233 + 189
    assert set(found.counts) == {"blank", "in_gap"}
    held: dict[str, list[tuple[str, float]]] = {"train": [], "test": [], "val": []}
    for sample in found.samples:
        said = attributes(sample)
        held[str(sample.official_split)].append((said["plane"], said["position_mm"]))
        assert said["space"] == "MNI152"
        assert (sample.patient, sample.study) == (None, None)
    assert set(held["test"]) == {("axial", float(z)) for z in range(10, 20)} | {
        ("sagittal", float(x)) for x in range(20, 30)
    }
    assert set(held["val"]) == {("coronal", float(y)) for y in range(-50, -40)}
    distance = min(
        abs(place - other)
        for plane, place in held["train"]
        for out, other in held["test"] + held["val"]
        if plane == out
    )
    assert distance >= 3
    assert found.counts["in_gap"] == 3 * (3 + 3) - 3  # 3 slices on each side, of which the lower end is at 3.0 mm
    assert found.rows.group_by("group").agg(pl.col("official_split").n_unique())["official_split"].max() == 1
    assert found.rows["group"].str.starts_with("slab:").all()


def test_all_maps_of_one_template_share_its_slabs(convert: Any, save: Save) -> None:
    save("t1.nii", ramp(20, 20, 20))
    folder = save("grey.nii", ramp(20, 20, 20))
    options = {"group_by": "slab", "single_template": True, "slabs": Slabs(slab_mm=5, gap_mm=0)}
    found = convert(stage(folder, **options))
    groups = {Path(uri).name: set(found.rows.filter(found.rows["media"].struct.field("uri") == uri)["group"])
              for uri in found.rows["media"].struct.field("uri").unique()}  # fmt: skip
    assert groups["t1.nii"] == groups["grey.nii"]
    assert len(groups["t1.nii"]) == 12
    elsewhere = convert(stage(folder, **options, collection="another"))
    assert not groups["t1.nii"] & set(elsewhere.rows["group"])


def test_without_named_slabs_both_sides_of_every_border_are_left_out(convert: Any, save: Save) -> None:
    options = {"group_by": "slab", "single_template": True, "slabs": Slabs(slab_mm=10, gap_mm=2), "planes": ("axial",)}
    found = convert(stage(save("a.nii", ramp(4, 4, 30)), **options))
    kept = sorted(attributes(sample)["position_mm"] for sample in found.samples)
    assert kept == [z for z in range(-10, 20) if 2 <= z % 10 <= 8]
    assert {sample.official_split for sample in found.samples} == {None}


def test_slabs_are_refused_where_nobody_says_that_there_is_one_template() -> None:
    with pytest.raises(ValueError, match="single_template: true"):
        stage("x", group_by="slab")
    with pytest.raises(ValueError, match="no patient"):
        stage("x", group_by="slab", single_template=True, patient="name")
    with pytest.raises(ValueError, match="held_out"):
        stage("x", group_by="slab", single_template=True, all_split="test")
    with pytest.raises(ValueError, match="slabs of all splits"):
        stage("x", group_by="slab", single_template=True, clips=("axial",))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"slab_mm": 0.0}, "slab_mm"),
        ({"gap_mm": 30.0}, "gap_mm"),
        ({"held_out": {"train": {"axial": (1.0,)}}}, "val or test"),
        ({"held_out": {"test": {"transverse": (1.0,)}}}, "no plane 'transverse'"),
        ({"held_out": {"test": {"axial": (1.0,)}, "val": {"axial": (2.0,)}}}, "in test and val"),
    ],
)
def test_slabs_that_cannot_be(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Slabs(**options)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"every": 0}, "every"),
        ({"planes": ()}, "planes"),
        ({"min_foreground": 1.0}, "min_foreground"),
        ({"range_mm": {"axial": (5.0, 1.0)}}, "range_mm"),
        ({"parts": {"name": "p(1"}}, "no regular expression"),
        ({"clips": ("axial",), "clip_every": 0}, "clip_every"),
        ({"windows": ("header",)}, "no window"),
        ({"modality": None}, "modality is not given"),
        ({"attributes": {"nickname": "x"}}, "allow-list"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        stage("x", **options)
