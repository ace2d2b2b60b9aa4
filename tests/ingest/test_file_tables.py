"""Tables, parts of paths and statements of files that are cut into rows: DICOM objects and NIfTI volumes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from ingest.columns import AttributeColumn, CaptionColumn, LabelColumn, LabelList
from ingest.converters.dicom_folder import DicomFolder
from ingest.converters.nifti_volumes import NiftiVolumes
from ingest.header_columns import HeaderColumns
from ingest.rights import Rights
from ingest.statements import FileFacts, StatedLabel
from ingest.table_file import JoinTable
from shards.media import MediaReader
from shards.uri import package_folder

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # it warns of the values that these tests write
RIGHTS = Rights(license="MIT")
STATES = {"1": "present", "0": "absent"}
Write = Callable[..., Path]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def scan(root: Path) -> Write:
    """scan(name, **elements): pydicom's small CT slice, or MR slice where `MR` is in the name, or a cine for `US`."""

    def write(name: str, **elements: Any) -> Path:
        import pydicom

        source = {"MR": "MR_small.dcm", "US": "examples_ybr_color.dcm"}.get(name[:2], "CT_small.dcm")
        dataset = pydicom.dcmread(package_folder("pydicom") / "data/test_files" / source)
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
        path = root / f"{name}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset.save_as(path)
        return path

    return write


@pytest.fixture
def volume(root: Path) -> Write:
    """volume(name, values, spacing_mm, slope, intercept), its corner at -10 mm on each axis."""

    def write(
        name: str,
        values: np.ndarray | None = None,
        spacing_mm: tuple[float, float, float] = (1, 1, 1),
        slope: float | None = None,
        intercept: float | None = None,
    ) -> Path:
        if values is None:
            values = np.linspace(-1000, 1000, 1000).astype(np.int16).reshape(10, 10, 10)
        affine = np.diag([*spacing_mm, 1.0])
        affine[:3, 3] = -10
        image = nibabel.Nifti1Image(values, affine)
        image.header.set_slope_inter(slope, intercept)
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(image, path)
        return path

    return write


def dicom(root: Path, **options: Any) -> DicomFolder:
    return DicomFolder(**{"source": "d", "path": str(root), "rights": RIGHTS, "include": ("*.dcm",), **options})


def nifti(root: Path, **options: Any) -> NiftiVolumes:
    usual: dict[str, Any] = {"modality": "CT", "specialty": "radiology", "min_foreground": 0.0, "planes": ("axial",)}
    return NiftiVolumes(source="n", path=str(root), rights=RIGHTS, **{**usual, **options})


def attributes(sample: Any) -> dict[str, Any]:
    return dict(json.loads(sample.attributes))


def said(sample: Any) -> list[tuple[str, str, str]]:
    return [(label.name, label.state, label.scope) for label in sample.labels]


# ---- tables ----


def test_a_dicom_file_is_described_by_tables_that_know_it_by_name_or_by_ids_of_its_header(
    convert: Any, root: Path, scan: Write
) -> None:
    scan("a/one", SOPInstanceUID="1.2.3.1", PatientID="p1")
    scan("b/two", SOPInstanceUID="1.2.3.2", PatientID="p2")
    (root / "findings.csv").write_text("id,hemorrhage,seen\none,1,midline shift;edema\ntwo,0,\n")
    (root / "slices.csv").write_text("uid,part,text\n1.2.3.1,chest,A slice.\n1.2.3.2,,\n")
    (root / "people.csv").write_text("patient,sex,set\np1,M,training\np2,,testing\n")
    found = convert(
        dicom(
            root,
            join=(
                JoinTable(table="findings.csv", on={"stem": "id"}),
                JoinTable(table="slices.csv", on={"SOPInstanceUID": "uid"}),
                JoinTable(table="people.csv", on={"PatientID": "patient"}),
            ),
            labels=(LabelColumn(column="hemorrhage", states=STATES, scope="slice"),),
            label_lists=(LabelList(column="seen", separator=";", origin="model"),),
            label_scope="slice",
            attribute_columns={"body_part": "part", "sex": "sex"},
            caption="text",
            official_split="set",
            split_names={"training": "train", "testing": "test"},
            template=("{picture:a} showing {findings}",),
            windows=("lung",),
        )
    )
    one, two = sorted(found.samples, key=lambda sample: sample.media.uri)
    assert said(one) == [(name, "present", "slice") for name in ("hemorrhage", "midline shift", "edema")]
    assert said(two) == [("hemorrhage", "absent", "slice")]
    assert [(caption.text, caption.by) for caption in one.captions] == [("A slice.", "source")]
    assert two.captions == ()
    assert (one.official_split, two.official_split) == ("train", "test")
    assert attributes(one)["body_part"] == "chest"
    assert attributes(one)["sex"] == "male"
    assert one.template == "{picture:a} showing {findings}"
    assert (one.modality, one.label_scope) == ("CT", "slice")
    assert len({one.group, two.group}) == 2
    assert one.group.startswith("patient:")


def test_what_the_table_leaves_blank_the_header_says_and_the_ids_are_hashed_alike(
    convert: Any, root: Path, scan: Write
) -> None:
    scan("one", PatientID="007", StudyInstanceUID="1.2.9")
    plain = convert(dicom(root)).samples[0]
    (root / "t.csv").write_text("id,patient,study,sex\none,007,,\n")
    table = JoinTable(table="t.csv", on={"stem": "id"})
    told = convert(dicom(root, join=(table,), patient="patient", study="study", attribute_columns={"sex": "sex"}))
    (sample,) = told.samples
    assert (sample.patient, sample.study, sample.group) == (plain.patient, plain.study, plain.group)
    assert attributes(sample).get("sex") == attributes(plain).get("sex")
    (root / "t.csv").write_text("id,patient,study,sex\none,008,,\n")
    other = convert(dicom(root, join=(table,), patient="patient")).samples[0]
    assert other.patient != plain.patient
    assert other.group == f"patient:{other.patient}"


@pytest.mark.parametrize(
    ("cell", "header", "reason"),
    [
        ({"sex": "F"}, {"PatientSex": "M"}, "header_contradicts"),
        ({"sex": "M"}, {"PatientSex": "M"}, None),
        ({"sex": "F"}, {"PatientSex": ""}, None),
        ({"sex": ""}, {"PatientSex": "M"}, None),
        ({"sex": "F"}, {"PatientSex": "O"}, None),
        ({"modality": "MR"}, {}, "header_contradicts"),
        ({"modality": "CT"}, {}, None),
        ({"modality": "MRI scan"}, {}, "unknown_modality"),
    ],
)
def test_a_header_that_contradicts_the_table_is_refused(
    convert: Any, root: Path, scan: Write, cell: dict[str, str], header: dict[str, str], reason: str | None
) -> None:
    scan("one", **header)
    row = {"sex": "", "modality": "", **cell}
    (root / "t.csv").write_text(f"id,sex,modality\none,{row['sex']},{row['modality']}\n")
    options = {"attribute_columns": {"sex": "sex"}, "modality_column": "modality"}
    found = convert(dicom(root, join=(JoinTable(table="t.csv", on={"stem": "id"}),), **options))
    assert found.reasons == ({"one.dcm": reason} if reason else {})


def test_a_statement_by_pattern_precedes_table_and_header(convert: Any, root: Path, scan: Write) -> None:
    scan("one", PatientSex="M")
    (root / "t.csv").write_text("id,part,modality\none,chest,CT\n")
    found = convert(
        dicom(
            root,
            join=(JoinTable(table="t.csv", on={"stem": "id"}),),
            attribute_columns={"body_part": "part"},
            modality_column="modality",
            facts=(
                FileFacts(files="one*", attributes={"body_part": "pelvis", "sex": "female"}, specialty="pathology"),
            ),
        )
    )
    (sample,) = {sample.media.uri: sample for sample in found.samples}.values()
    assert (attributes(sample)["body_part"], attributes(sample)["sex"]) == ("pelvis", "female")
    assert sample.specialty == "pathology"


def test_files_that_a_table_leaves_out_are_not_offered_and_those_that_it_lacks_are_rejected(
    convert: Any, root: Path, scan: Write, volume: Write
) -> None:
    for name in ("one", "two", "three"):
        scan(name)
        volume(f"{name}.nii.gz")
    (root / "t.csv").write_text("id,quality\none,good\ntwo,bad\n")
    join = (JoinTable(table="t.csv", on={"stem": "id"}, missing="reject"),)
    for stage, name in ((dicom, "three.dcm"), (nifti, "three.nii.gz")):
        found = convert(stage(root, join=join, reject={"quality": {"bad": "excluded_by_name"}}))
        assert found.reasons == {name: "no_metadata", name.replace("three", "two"): "excluded_by_name"}
        kept = convert(stage(root, join=join, only={"quality": ("good",)}))
        assert {Path(sample.media.uri).name for sample in kept.samples} == {name.replace("three", "one")}
        assert not kept.rejects


def test_a_second_table_of_the_same_form_fills_what_the_first_left_blank(
    convert: Any, root: Path, volume: Write
) -> None:
    for name in ("a", "b"):
        volume(f"{name}.nii.gz")
    (root / "train.csv").write_text("file,cyst\na.nii.gz,1\n")
    (root / "valid.csv").write_text("file,cyst\nb.nii.gz,0\n")
    join = tuple(
        JoinTable(table=f"{name}.csv", on={"name": "file"}, fills=fills)
        for name, fills in (("train", False), ("valid", True))
    )
    labels = (LabelColumn(column="cyst", states=STATES),)
    found = convert(nifti(root, join=join, labels=labels))
    stated = {(Path(sample.media.uri).name, *said(sample)[0]) for sample in found.samples}
    assert stated == {("a.nii.gz", "cyst", "present", "series"), ("b.nii.gz", "cyst", "absent", "series")}


def test_a_volume_is_described_by_its_table_and_its_path(convert: Any, root: Path, volume: Write) -> None:
    volume("train/p1_a.nii.gz")
    volume("train/p1_b.nii.gz")
    (root / "t.csv").write_text('name,age,report,set\np1_a.nii.gz,065Y,"Cyst. No fracture.",train\n')
    found = convert(
        nifti(
            root,
            join=(JoinTable(table="t.csv", on={"name": "name"}),),
            parts={"name": "^(?P<who>p[0-9]+)_"},
            patient="who",
            source_id="stem",
            official_split="set",
            attribute_columns={"age": AttributeColumn(column="age")},
            caption=CaptionColumn(column="report", clean="report", wording="From a scan with this report: {}"),
        )
    )
    told = {sample.media.uri[-8]: sample for sample in found.samples}
    assert told["a"].captions[0].text == "From a scan with this report: Cyst. No fracture."
    assert attributes(told["a"])["age"] == "065Y"
    assert (told["a"].label_scope, told["b"].label_scope) == ("series", "slice")
    assert told["a"].patient == told["b"].patient
    assert told["a"].source_id != told["b"].source_id
    assert (told["a"].official_split, told["b"].official_split) == ("train", None)


def test_a_changed_table_is_a_changed_unit(ctx: Any, root: Path, volume: Write, scan: Write) -> None:
    volume("a.nii.gz")
    scan("a")
    for stage in (dicom, nifti):
        inputs = []
        for text in ("id,x\na,1\n", "id,x\na,2\n"):
            (root / "t.csv").write_text(text)
            join = (JoinTable(table="t.csv", on={"stem": "id"}),)
            inputs.append([unit.inputs for unit in stage(root, join=join).units(ctx)])
        assert inputs[0] != inputs[1]


def test_a_column_that_is_nowhere_is_said_before_any_work(ctx: Any, root: Path, volume: Write, scan: Write) -> None:
    volume("a.nii.gz")
    scan("a")
    (root / "t.csv").write_text("id,polyp\na,1\n")
    join = (JoinTable(table="t.csv", on={"stem": "id"}),)
    for stage in (dicom, nifti):
        with pytest.raises(ValueError, match="no column 'poly'; did you mean 'polyp'"):
            list(stage(root, join=join, labels=(LabelColumn(column="poly", states=STATES),)).units(ctx))
    with pytest.raises(ValueError, match="no column 'ZSpacing'"):
        list(nifti(root, join=join, header=HeaderColumns(spacing_z_mm="ZSpacing")).units(ctx))
    by_uid = (JoinTable(table="t.csv", on={"SOPInstanceUID": "id"}),)
    assert list(dicom(root, join=by_uid).units(ctx))
    with pytest.raises(ValueError, match="no column 'SOPInstanceUID'"):
        list(nifti(root, join=by_uid).units(ctx))


# ---- scope ----


@pytest.mark.parametrize("scope", ["image", "frames", "slice"])
def test_a_label_of_one_slice_cannot_be_told_of_a_volume(root: Path, scope: Any) -> None:
    glioma = FileFacts(files="*", labels=(StatedLabel(name="glioma", scope=scope),))
    for options in (
        {"facts": (glioma,)},
        {"labels": (LabelColumn(column="name", name="glioma", states=STATES, scope=scope),)},
        {"labels": (LabelColumn(column="name", name="glioma", states=STATES),), "label_scope": scope},
        {"label_lists": (LabelList(column="name", scope=scope),)},
    ):
        with pytest.raises(ValueError, match=f"has the scope {scope}.*write `scope: series`"):
            nifti(root, **options)
    with pytest.raises(ValueError, match="the text in 'name' is of the scan and not of one slice"):
        nifti(root, caption="name")


@pytest.mark.parametrize(("scope", "refused"), [("image", True), ("frames", True), ("slice", True), ("series", False)])
def test_a_label_of_one_frame_cannot_be_told_of_a_cine(
    convert: Any, root: Path, scan: Write, scope: Any, refused: bool
) -> None:
    scan("US cine")
    scan("CT slice")
    facts = (FileFacts(files="*", labels=(StatedLabel(name="effusion", scope=scope),)),)
    seen = {"US*": "30 frames: no text that names anybody"}
    found = convert(dicom(root, facts=facts, burned_in_text_checked=seen, frames="both"))
    assert found.reasons == ({"US cine.dcm": "bad_row"} if refused else {})
    assert {label.scope for sample in found.samples for label in sample.labels} == {scope}


# ---- windows and ranges ----


def test_windows_are_for_the_files_that_are_ct(convert: Any, root: Path, volume: Write) -> None:
    volume("ct.nii.gz")
    volume("mr.nii.gz")
    found = convert(nifti(root, windows=("brain", "bone"), facts=(FileFacts(files="mr*", modality="MR"),)))
    windows = {(sample.modality, attributes(sample).get("window")) for sample in found.samples}
    assert windows == {("CT", "brain"), ("CT", "bone"), ("MR", None)}
    assert all((sample.media.view.low is None) == (sample.modality == "CT") for sample in found.samples)
    other = convert(nifti(root, modality="MR", windows=("brain",), facts=(FileFacts(files="ct*", modality="CT"),)))
    assert {(sample.modality, attributes(sample).get("window")) for sample in other.samples} == {
        ("CT", "brain"),
        ("MR", None),
    }


def test_a_volume_that_lies_outside_of_the_range_leaves_a_reject(convert: Any, root: Path, volume: Write) -> None:
    volume("low.nii.gz")
    found = convert(nifti(root, range_mm={"axial": (100.0, 200.0)}))
    assert (found.offered, found.reasons) == (1, {"low.nii.gz": "out_of_range"})
    clip = convert(nifti(root, planes=(), clips=("axial",), range_mm={"axial": (-10.0, -9.5)}))
    assert clip.reasons == {"low.nii.gz axial clip": "out_of_range"}


# ---- what the header must say ----

HEADER = HeaderColumns(spacing_xy_mm="XYSpacing", spacing_z_mm="ZSpacing", slope="Slope", intercept="Intercept")


@pytest.mark.parametrize(
    ("row", "file", "reason"),
    [
        ('"[0.7, 0.7]",1.5,1,-1024', {"spacing_mm": (0.7, 0.7, 1.5)}, None),  # mended: HU, as the values show
        ('"[0.7, 0.7]",1.5,1,-1024', {}, "header_contradicts"),  # spacing lost
        ('"[0.7, 0.7]",,,', {"spacing_mm": (0.7, 0.7, 9)}, None),  # nothing said
        ('"[0.7, 0.7]",1,1,0', {"spacing_mm": (0.7, 0.7, 1.5)}, "header_contradicts"),
        (",,1,-1024", {"slope": 1, "intercept": -1024}, None),
        (",,1,-1024", {"slope": 1, "intercept": 0, "shift": 1024}, "header_contradicts"),  # rescale lost
        (",,1,-1024", {"slope": 2, "intercept": -1024}, "header_contradicts"),
        (",wide,,", {}, "bad_row"),
    ],
)
def test_a_volume_whose_header_lost_what_the_table_says_is_refused(
    convert: Any, root: Path, volume: Write, row: str, file: dict[str, Any], reason: str | None
) -> None:
    hounsfield = np.linspace(-1000, 1000, 1000).astype(np.int16).reshape(10, 10, 10)
    volume("a.nii.gz", hounsfield + np.int16(file.pop("shift", 0)), **file)
    (root / "t.csv").write_text(f"name,XYSpacing,ZSpacing,Slope,Intercept\na.nii.gz,{row}\n")
    found = convert(nifti(root, join=(JoinTable(table="t.csv", on={"name": "name"}),), header=HEADER))
    assert found.reasons == ({"a.nii.gz": reason} if reason else {})


# ---- keys and clips ----


def test_keys_of_a_series_stay_when_a_file_joins_it_and_shifts_its_scale(convert: Any, root: Path, scan: Write) -> None:
    import pydicom

    for name in ("MR1", "MR2"):
        scan(name, SeriesInstanceUID="1.2.3", SOPInstanceUID=f"1.2.3.{name[-1]}")
    before = convert(dicom(root)).samples
    brighter = pydicom.dcmread(root / "MR1.dcm")
    brighter.PixelData = (brighter.pixel_array // 2 + 4000).astype("<i2").tobytes()
    brighter.SOPInstanceUID = "1.2.3.3"
    brighter.save_as(root / "MR3.dcm")
    after = {sample.media.uri: sample for sample in convert(dicom(root)).samples}
    assert len(after) == 3
    for sample in before:
        assert after[sample.media.uri].key == sample.key
        assert after[sample.media.uri].media.view.high != sample.media.view.high


def test_all_slices_of_a_plane_are_one_clip_beside_the_slices(convert: Any, root: Path, volume: Write) -> None:
    volume("a.nii.gz", np.arange(8 * 8 * 11, dtype=np.int16).reshape(8, 8, 11, order="F"))
    found = convert(nifti(root, modality="MR", clips=("axial", "sagittal")))
    clips = {attributes(s)["plane"]: s for s in found.samples if s.media.frames > 1}
    stills = {s.media.view.slice: s for s in found.samples if s.media.frames == 1}
    assert (set(clips), len(stills), found.offered) == ({"axial", "sagittal"}, 11, 13)
    reader = MediaReader()
    shown = reader.read(clips["axial"].media).pixels
    assert shown.shape == (11, 8, 8)
    for index, still in stills.items():
        assert np.array_equal(shown[index], reader.read(still.media).pixels[0])
    assert shown[0].mean() < shown[-1].mean(), "from inferior to superior"
    assert "position_mm" not in attributes(clips["axial"])
    assert clips["axial"].label_scope == "series"
    assert clips["axial"].media.fps is None


def test_a_clip_of_every_kth_slice_within_a_range_has_the_frames_that_it_says(
    convert: Any, root: Path, volume: Write
) -> None:
    volume("a.nii.gz", np.arange(4 * 4 * 21, dtype=np.int16).reshape(4, 4, 21, order="F"))
    (clip,) = convert(
        nifti(root, modality="MR", planes=(), clips=("axial",), clip_every=2, range_mm={"axial": (-8.0, 3.0)})
    ).samples  # fmt: skip
    view = clip.media.view
    assert (view.step, view.frame_start, view.frame_stop, clip.media.frames) == (2, 1, 7, 6)
    frames = MediaReader().read(clip.media)
    assert frames.pixels.shape[0] == 6
    assert any("one slice in 2" in step for step in frames.steps)
    whole = MediaReader().volume(clip.media.uri)
    from shards.slices import select, slice_position_mm

    positions = [slice_position_mm(whole, "axial", index) for index in select(whole, view)[1]]
    assert positions == [-8, -6, -4, -2, 0, 2]
