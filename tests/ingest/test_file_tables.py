"""Tables, parts of paths and headers of DICOM files and NIfTI volumes: which speaks first, and what they lack."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest.columns import AttributeColumn, CaptionColumn, LabelColumn, LabelList
from ingest.header_columns import HeaderColumns
from ingest.statements import FileFacts
from ingest.table_file import JoinTable

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # it warns of the values that these tests write
SHARED = runpy.run_path(str(Path(__file__).with_name("written_files.py")))
STATES, Write, attributes, dicom, nifti, root, scan, volume = (
    SHARED[name] for name in ("STATES", "Write", "attributes", "dicom", "nifti", "root", "scan", "volume")
)


def said(sample: Any) -> list[tuple[str, str, str]]:
    return [(label.name, label.state, label.scope) for label in sample.labels]


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


def test_an_unknown_modality_is_shown_as_the_header_or_the_table_says_it(convert: Any, root: Path, scan: Write) -> None:
    for name, modality in (("one", "SR"), ("two", ""), ("three", "CT"), ("four", "OT")):
        scan(name, Modality=modality)
    (root / "t.csv").write_text("id,modality,who\none,,\nthree,,dentistry\nfour,MRI scan,\n")
    columns = {"modality_column": "modality", "specialty_column": "who"}
    found = convert(dicom(root, join=(JoinTable(table="t.csv", on={"stem": "id"}),), **columns))
    assert {reject.item: (reject.reason, reject.detail) for reject in found.rejects} == {
        "one.dcm": ("unknown_modality", "the header says 'SR'; nothing else says more"),
        "two.dcm": ("unknown_modality", "nothing in column 'modality'"),
        "three.dcm": ("unknown_specialty", "'dentistry': name it in `specialty_names`"),
        "four.dcm": ("unknown_modality", "'MRI scan': name it in `modality_codes`"),
    }
    (bare,) = [one for one in convert(dicom(root)).rejects if one.item == "two.dcm"]
    assert bare.detail == "none is stated"


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
