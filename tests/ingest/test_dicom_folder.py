"""DICOM folders: every file is accounted for, and what its header gives is true, typed and names nobody."""

from __future__ import annotations

import json
import random
import runpy
from pathlib import Path
from typing import Any

import pytest

from ingest.statements import FileFacts, StatedLabel
from shards.stage import Context
from shards.uri import package_folder

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # it warns of the values that these tests write
SHARED = runpy.run_path(str(Path(__file__).with_name("dicom_folders.py")))
LOOKED_AT, MR, TEST_FILES, copy, pixels, stage = (
    SHARED[name] for name in ("LOOKED_AT", "MR", "TEST_FILES", "copy", "pixels", "stage")
)


def test_all_176_files_of_pydicom_are_accounted_for(convert: Any) -> None:
    found = convert(stage(TEST_FILES, burned_in_text_checked=LOOKED_AT))
    assert found.offered == 176
    accepted = {sample.media.uri for sample in found.samples}
    assert len(accepted) == 51
    assert found.counts == {
        "no_pixels": 54,
        "unknown_modality": 31,
        "not_an_image": 26,
        "not_recognised": 10,
        "corrupt": 3,
        "truncated": 1,
    }
    assert all(reject.reason and reject.item for reject in found.rejects)


def test_with_a_stated_modality_every_file_that_can_be_shown_is_accepted(convert: Any) -> None:
    facts = (FileFacts(files="*", modality="XC", specialty="radiology"),)
    found = convert(stage(TEST_FILES, facts=facts, burned_in_text_checked=LOOKED_AT))
    assert len({sample.media.uri for sample in found.samples}) == 82  # and 8 that are dose or segmentation
    assert found.counts["not_an_image"] == 26
    for sample in found.samples:
        shown = pixels(sample)
        assert (shown.shape[2], shown.shape[1]) == (sample.media.width_px, sample.media.height_px)
        assert shown.shape[0] == sample.media.frames


def test_no_raw_identifier_and_no_description_reaches_a_row(convert: Any) -> None:
    import pydicom

    root = package_folder("pydicom") / "data/test_files"
    found = convert(stage(TEST_FILES, burned_in_text_checked=LOOKED_AT))
    rows = [json.dumps(row, default=str) for row in found.rows.drop("media").iter_rows(named=True)]
    text = "\n".join(rows + found.rows["key"].to_list())
    secrets = set()
    for path in root.rglob("*"):
        try:
            dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(IDENTIFYING))
        except (OSError, pydicom.errors.InvalidDicomError, AttributeError):
            continue
        secrets |= {str(dataset.get(name, "")) for name in IDENTIFYING}
    makers = set(found.rows["attributes"].str.json_path_match("$.manufacturer").drop_nulls())
    secrets = {secret for secret in secrets - makers if len(secret) > 4}
    assert len(secrets) > 80
    assert not [secret for secret in secrets if secret in text]


IDENTIFYING = (
    *("PatientName", "PatientID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"),
    *("InstitutionName", "StudyDescription", "SeriesDescription", "AccessionNumber", "ReferringPhysicianName"),
)


def test_header_facts_are_true_and_typed(convert: Any) -> None:
    found = convert(stage(TEST_FILES, include=("J2K_pixelrep_mismatch.dcm",)))
    (head,) = found.samples
    assert (head.modality, head.specialty, head.label_scope) == ("CT", "radiology", "slice")
    assert json.loads(head.attributes) == {"age": "076Y", "body_part": "head", "plane": "axial", "window": "brain"}
    assert head.group == f"patient:{head.patient}"
    assert (head.media.kind, head.media.width_px, head.media.frames, head.media.fps) == ("dicom", 512, 1, None)


def test_what_somebody_typed_as_body_part_or_view_is_left_out(convert: Any, copy: Any) -> None:
    folder = copy("CT_small.dcm", "a.dcm", BodyPartExamined="ZMITH JANE", ViewPosition="ZMITH")
    copy("CT_small.dcm", "b.dcm", BodyPartExamined="LUNG")
    found = {Path(sample.media.uri).stem: json.loads(sample.attributes) for sample in convert(stage(folder)).samples}
    assert not {"body_part", "view"} & set(found["a"])
    assert found["b"]["body_part"] == "lung"
    stated = stage(folder, include=("a.dcm",), facts=(FileFacts(files="*", attributes={"body_part": "left big toe"}),))
    assert json.loads(convert(stated).samples[0].attributes)["body_part"] == "left big toe", (
        "a pipeline says what it likes"
    )


def test_a_patient_is_one_group_over_all_of_their_studies(convert: Any) -> None:
    found = convert(stage(TEST_FILES, include=("dicomdirtests/98892003/*", "dicomdirtests/98892001/*")))
    assert found.rows["group"].n_unique() == 1
    assert found.rows["study"].n_unique() > 2
    assert found.rows["source_id"].n_unique() == found.rows.height


def test_the_group_is_the_widest_unit_that_is_known(convert: Any, copy: Any) -> None:
    copy("MR_small.dcm", "a.dcm", PatientID="")
    copy("MR_small.dcm", "b.dcm", PatientID="", StudyInstanceUID="")
    folder = copy("MR_small.dcm", "c.dcm", PatientID="", StudyInstanceUID="", SeriesInstanceUID="")
    groups = {sample.media.uri[-5]: sample.group.split(":")[0] for sample in convert(stage(folder)).samples}
    assert groups == {"a": "study", "b": "series", "c": "image"}


def test_patient_ids_of_two_collections_are_two_people_and_a_uid_is_one_thing(convert: Any) -> None:
    one, two = (convert(stage(TEST_FILES, include=("MR_small.dcm",), collection=name)).samples[0] for name in "ab")
    assert one.patient != two.patient
    assert (one.study, one.source_id) == (two.study, two.source_id)


def test_units_of_any_size_give_the_same_rows(convert: Any, copy: Any) -> None:
    for name in ("4467", "4528", "4558", "4588"):
        for series in range(12):
            folder = copy(f"{MR}/{name}", f"s{series}/{name}")
    one, many = convert(stage(folder)), convert(stage(folder, unit_files=3))
    assert len(one.units) == 1
    assert len(many.units) == 12  # a folder is never cut
    assert one.rows.sort("key").equals(many.rows.sort("key"))
    assert convert(stage(folder, unit_files=3)).contents == many.contents


def test_a_new_file_changes_one_unit(ctx: Context, copy: Any) -> None:
    draw = random.Random(3)
    for series in range(40):
        folder = copy("MR_small.dcm", f"p{draw.getrandbits(32):08x}/{series}.dcm")
    before = {unit.id: unit.inputs for unit in stage(folder, unit_files=6).units(ctx)}
    copy("MR_small.dcm", f"{sorted(path.name for path in folder.iterdir())[20]}/new.dcm")
    after = {unit.id: unit.inputs for unit in stage(folder, unit_files=6).units(ctx)}
    assert len(before) > 4
    assert len(set(before.items()) - set(after.items())) == 1


def test_statements_of_the_pipelines_file_precede_the_header(convert: Any) -> None:
    lesion = StatedLabel(name="liver lesion", scope="series")
    facts = (
        FileFacts(
            files="examples_over*", attributes={"body_part": "liver"}, labels=(lesion,), specialty="gastroenterology"
        ),
        FileFacts(files="*", attributes={"sequence": "T1-weighted", "body_part": "abdomen"}),
    )
    (sample,) = convert(stage(TEST_FILES, include=("examples_overlay.dcm",), facts=facts)).samples
    attributes = json.loads(sample.attributes)
    assert (attributes["body_part"], attributes["sequence"], attributes["sex"]) == ("liver", "T1-weighted", "male")
    assert [(label.name, label.scope) for label in sample.labels] == [("liver lesion", "series")]
    assert (sample.label_scope, sample.specialty) == ("series", "gastroenterology")


def test_a_quarantined_file_is_not_opened_again(convert: Any, copy: Any) -> None:
    folder = copy("MR_small.dcm", "a.dcm")
    copy("MR_small.dcm", "b.dcm")
    opened: list[str] = []
    found = convert(stage(folder), quarantined={"b.dcm": "worker_died"}, mark=opened.append)
    assert found.reasons == {"b.dcm": "worker_died"}
    assert set(opened) == {"a.dcm"}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"windows": ("brian",)}, "unknown window 'brian'"),
        ({"still_every": 0}, "still_every"),
        ({"specialty": "dentistry"}, "specialty 'dentistry'"),
        ({"exclude": {"a.dcm": "because"}}, "unknown reason 'because'"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        stage("x", **options)
