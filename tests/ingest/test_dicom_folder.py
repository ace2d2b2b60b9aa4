"""DICOM folders: every file accepted or rejected with its reason, true facts, and one scale for a series."""

from __future__ import annotations

import io
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest.converters.dicom_defaults import plane_of
from ingest.converters.dicom_folder import DicomFolder
from ingest.rights import Rights
from ingest.statements import FileFacts, StatedLabel
from shards.locator import Locator
from shards.media import MediaReader
from shards.stage import Context
from shards.uri import package_folder

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # it warns of the values that these tests write
TEST_FILES = "package://pydicom/data/test_files"
MR = "dicomdirtests/98892003/MR700"


LOOKED_AT = {"*": "test files of pydicom, each looked at"}


def stage(path: str | Path, **options: Any) -> DicomFolder:
    return DicomFolder(source="here", path=str(path), rights=Rights(license="MIT"), **options)


@pytest.fixture
def copy(tmp_path: Path) -> Callable[..., Path]:
    """copy(name, to, **elements): a test file of pydicom below `scans`, with some elements set anew."""

    def make(name: str, to: str, **elements: Any) -> Path:
        import pydicom

        folder = tmp_path / "scans"
        target = folder / to
        target.parent.mkdir(parents=True, exist_ok=True)
        source = package_folder("pydicom") / "data/test_files" / name
        if not elements:
            shutil.copy(source, target)
            return folder
        dataset = pydicom.dcmread(source)
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
        dataset.save_as(target)
        return folder

    return make


def pixels(sample: Any) -> np.ndarray:
    return MediaReader().read(sample.media).pixels


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


def test_a_slice_is_turned_and_its_size_is_that_of_the_picture(convert: Any, copy: Any) -> None:
    folder = copy("MR_small.dcm", "a.dcm", Rows=32, Columns=128, ImageOrientationPatient=[0, 0, -1, 1, 0, 0])
    (sample,) = convert(stage(folder)).samples
    assert (sample.media.width_px, sample.media.height_px) == (32, 128)
    assert pixels(sample).shape == (1, 128, 32)
    assert json.loads(sample.attributes)["plane"] == "coronal"


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


def test_ct_gives_one_row_for_each_window(convert: Any) -> None:
    found = convert(stage(TEST_FILES, include=("J2K_pixelrep_mismatch.dcm",), windows=("brain", "bone")))
    windows = {json.loads(sample.attributes)["window"]: sample for sample in found.samples}
    assert set(windows) == {"brain", "bone"}
    assert windows["brain"].key != windows["bone"].key
    assert windows["brain"].media.view.window == "brain"
    assert pixels(windows["brain"]).mean() > pixels(windows["bone"]).mean()
    assert found.offered == 1


def test_ct_that_is_not_in_hounsfield_units_is_shown_as_its_header_says(convert: Any, copy: Any) -> None:
    copy("CT_small.dcm", "head.dcm", BodyPartExamined="HEAD")
    folder = copy("CT_small.dcm", "scout.dcm", BodyPartExamined="HEAD", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    found = {Path(sample.media.uri).stem: sample for sample in convert(stage(folder)).samples}
    assert found["head"].media.view.window == "brain"
    assert found["scout"].media.locator == ""
    assert "plane" not in json.loads(found["scout"].attributes)
    asked = convert(stage(folder, windows=("bone",)))
    assert asked.reasons == {"scout.dcm": "unsupported_pixels"}


def test_the_files_of_a_series_share_one_scale_and_other_series_do_not(convert: Any) -> None:
    found = convert(stage(TEST_FILES, include=("dicomdirtests/98892003/*",)))
    scales: dict[str, set[tuple[Any, Any]]] = {}
    for sample in found.samples:
        scales.setdefault(sample.media.uri.split("/")[-2], set()).add((sample.media.view.low, sample.media.view.high))
    assert len(scales["MR700"]) == 1
    assert len(scales["MR1"]) == 3  # three series in one folder
    by_header = convert(stage(TEST_FILES, include=("dicomdirtests/98892003/*",), scale="header"))
    assert {sample.media.locator for sample in by_header.samples} == {""}


def test_the_scale_of_a_series_is_over_all_its_values(convert: Any) -> None:
    import pydicom

    folder = package_folder("pydicom") / "data/test_files" / MR
    values = np.concatenate([pydicom.dcmread(path).pixel_array.ravel() for path in sorted(folder.iterdir())])
    low, high = np.percentile(values, [0.5, 99.5], method="inverted_cdf")
    view = convert(stage(TEST_FILES, include=(f"{MR}/*",))).samples[0].media.view
    assert (view.low, view.high) == (low, high)


def test_a_damaged_file_does_not_take_its_series_along(convert: Any, copy: Any) -> None:
    names = ["4467", "4528", "4558"]
    for name in names:
        folder = copy(f"{MR}/{name}", name)
    sound = convert(stage(folder))
    bad = folder / "4600"
    data = (folder / "4558").read_bytes()
    bad.write_bytes(data[: len(data) - 40])
    found = convert(stage(folder))
    assert found.reasons == {"4600": "truncated"}
    assert found.rows["media"].to_list() == sound.rows["media"].to_list()


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


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"frames": "clip"}, [(None, 30)]),
        ({"clip_frames": 12}, [(0, 12), (12, 12), (24, 6)]),
        ({"clip_frames": 13}, [(0, 13), (13, 13)]),
        ({"clip_frames": 30}, [(None, 30)]),
        ({"frames": "stills", "still_every": 10}, [(0, 1), (10, 1), (20, 1)]),
        ({"frames": "both", "still_every": 15}, [(None, 30), (0, 1), (15, 1)]),
    ],
)
def test_a_cine_gives_a_clip_stills_or_both(convert: Any, options: Any, parts: list[tuple[int | None, int]]) -> None:
    found = convert(stage(TEST_FILES, include=("examples_ybr_color.dcm",), **options, burned_in_text_checked=LOOKED_AT))
    assert {(s.media.view.frame_start, s.media.frames) for s in found.samples} == set(parts)
    assert {sample.label_scope for sample in found.samples} == {"series"}
    assert found.rows["group"].n_unique() == 1
    for sample in found.samples:
        moving = sample.media.frames > 1
        assert (sample.media.fps is not None) == moving
        assert json.loads(sample.attributes).get("duration_s") == (1.0 if moving else None)  # of the recording
        assert pixels(sample).shape == (sample.media.frames, 240, 320, 3)


def test_a_stack_of_slices_is_no_clip(convert: Any) -> None:
    pytest.importorskip("data_store", reason="needs the package pydicom-data")
    found = convert(stage("package://data_store/data/emri_small.dcm", still_every=3))
    assert [
        (s.media.view.frame_start, s.media.frames)
        for s in sorted(found.samples, key=lambda s: s.media.view.frame_start)
    ] == [
        (0, 1),
        (3, 1),
        (6, 1),
        (9, 1),
    ]
    assert len({(sample.media.view.low, sample.media.view.high) for sample in found.samples}) == 1
    assert {sample.label_scope for sample in found.samples} == {"slice"}


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


def test_planes_follow_the_normal_of_the_slice() -> None:
    assert plane_of((1, 0, 0, 0, 1, 0)) == "axial"
    assert plane_of((1, 0, 0, 0, 0, -1)) == "coronal"
    assert plane_of((0, 1, 0, 0, 0, -1)) == "sagittal"
    assert plane_of((1, 0, 0, 0, 0.9, -0.43)) == "axial"  # a tilted gantry
    assert plane_of((1, 0, 0, 0, 0.7, -0.714)) == "oblique"
    assert plane_of((0, 0, 0, 0, 0, 0)) is None
    assert plane_of(None) is None


def test_a_locator_names_the_same_pixels_again(convert: Any) -> None:
    found = convert(stage(TEST_FILES, include=(f"{MR}/4467",)))
    sample = found.samples[0]
    assert Locator.parse(sample.media.locator).text() == sample.media.locator
    assert np.array_equal(pixels(sample), pixels(sample))
    buffer = io.BytesIO(np.ascontiguousarray(pixels(sample)).tobytes())
    assert buffer.getbuffer().nbytes == 256


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
