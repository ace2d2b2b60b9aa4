"""The gate for burned-in text: what is rejected without a person's word, wherever a converter meets a DICOM file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ingest.converters.dicom_folder import DicomFolder
from ingest.converters.folder_files import FolderFiles
from ingest.converters.table_images import TableImages
from ingest.probe import ProbeMedia
from ingest.rights import Rights
from pipelines.spec import load
from shards.stage import Context, Unit
from shards.uri import package_folder

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # it warns of the values that these tests write
REPOSITORY = Path(__file__).parents[2]
BURNED_IN = ("US1_UNCR", "gdcm-US-ALOKA-16", "OBXXXX1A", "JPGLosslessP14SV1_1s_1f_8b", "color-pl")
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
ULTRASOUND = "1.2.840.10008.5.1.4.1.1.6.1"
SEEN = "its one frame: no text at all"
RIGHTS = Rights(license="MIT")


@pytest.fixture
def slices(tmp_path: Path) -> Callable[..., Path]:
    """slices(name, **elements): an MR slice of pydicom's under a name, with some elements set anew."""

    def make(name: str, **elements: Any) -> Path:
        import pydicom

        dataset = pydicom.dcmread(package_folder("pydicom") / "data/test_files/MR_small.dcm")
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
        folder = tmp_path / "scans"
        folder.mkdir(exist_ok=True)
        dataset.save_as(folder / f"{name}.dcm")
        return folder

    return make


def stage(path: str | Path, **options: Any) -> DicomFolder:
    return DicomFolder(source="here", path=str(path), rights=RIGHTS, **options)


def demo_stage(name: str) -> Any:
    stages = load(REPOSITORY / "pipelines.yaml", "demo").stages
    return next(entry.stage for entry in stages if entry.name == name)


def test_the_demo_drops_five_stills_with_names_though_it_leaves_none_out_by_name(convert: Any) -> None:
    pytest.importorskip("data_store", reason="needs the package pydicom-data")
    found = convert(demo_stage("dicom"))
    dropped = {item: reason for item, reason in found.reasons.items() if reason == "burned_in_text_unchecked"}
    assert dropped == {f"{name}.dcm": "burned_in_text_unchecked" for name in BURNED_IN}
    assert demo_stage("dicom").exclude == {}
    kept = {Path(sample.media.uri).stem for sample in found.samples}
    assert {"color3d_jpeg_baseline", "JPEG-LL"} <= kept
    without = convert(replace(demo_stage("dicom"), burned_in_text_checked={}))
    assert without.counts["burned_in_text_unchecked"] == 7


@pytest.mark.parametrize(
    ("elements", "why"),
    [
        ({"SOPClassUID": ULTRASOUND, "Modality": "OT"}, "ultrasound"),
        ({"Modality": "US"}, "ultrasound"),
        ({"Modality": "US", "BurnedInAnnotation": "NO"}, "ultrasound"),
        ({"SOPClassUID": SECONDARY_CAPTURE}, "a secondary capture"),
        ({"SOPClassUID": f"{SECONDARY_CAPTURE}.4"}, "a secondary capture"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "a screen save"),
        ({"ImageType": ["DERIVED", "PRIMARY", "Screenshot"]}, "a screen save"),
    ],
)
def test_what_may_show_text_needs_the_word_of_a_person(
    convert: Any, slices: Any, elements: dict[str, Any], why: str
) -> None:
    slices("plain")
    folder = slices("odd", **elements)
    found = convert(stage(folder, modality="MR"))
    (reject,) = found.rejects
    assert (reject.item, reject.reason) == ("odd.dcm", "burned_in_text_unchecked")
    assert reject.detail.startswith(why)
    assert "burned_in_text_checked" in reject.detail
    assert not convert(stage(folder, modality="MR", burned_in_text_checked={"odd.dcm": SEEN})).rejects


def test_files_may_be_left_out_by_name_as_well(convert: Any, slices: Any) -> None:
    slices("plain")
    found = convert(stage(slices("named"), exclude={"named.dcm": "burned_in_text_unchecked"}))
    assert (found.offered, found.reasons) == (2, {"named.dcm": "burned_in_text_unchecked"})


def test_what_is_stated_to_be_ultrasound_is_taken_for_it(convert: Any, slices: Any) -> None:
    folder = slices("bare", Modality="", SOPClassUID="1.2.840.10008.5.1.4.1.1.4")
    assert convert(stage(folder, modality="US")).reasons == {"bare.dcm": "burned_in_text_unchecked"}
    assert not convert(stage(folder, modality="MR")).rejects


def test_reformatted_slices_are_no_screens(convert: Any, slices: Any) -> None:
    assert not convert(stage(slices("mpr", ImageType=["DERIVED", "SECONDARY", "MPR", "CSA MPR"]))).rejects


def test_where_the_header_says_yes_nobodys_word_counts(convert: Any, slices: Any) -> None:
    folder = slices("yes", BurnedInAnnotation="YES")
    found = convert(stage(folder, burned_in_text_checked={"*": SEEN}))
    assert found.reasons == {"yes.dcm": "burned_in_text_unchecked"}


def test_a_table_of_dicom_files_asks_the_same_gate_also_where_it_checks_no_files(convert: Any, slices: Any) -> None:
    slices("plain")
    folder = slices("echo", Modality="US")
    (folder / "t.csv").write_text("file\nplain.dcm\necho.dcm\n")
    usual: dict[str, Any] = {"source": "t", "rights": RIGHTS, "path": str(folder), "table": "t.csv", "image": "file"}
    table = TableImages(**usual, kind="dicom", modality="MR", specialty="radiology")
    for options in ({}, {"check_files": False}, {"probe": True}):
        assert convert(replace(table, **options)).reasons == {"echo.dcm": "burned_in_text_unchecked"}
    checked = replace(table, burned_in_text_checked={"echo.dcm": SEEN})
    assert len(convert(checked).samples) == 2


def test_a_dicom_file_that_passes_for_a_picture_meets_the_gate_when_it_is_opened(
    convert: Any, slices: Any, ctx: Context
) -> None:
    folder = slices("echo", Modality="US")
    shutil.move(folder / "echo.dcm", folder / "echo.jpg")
    options: dict[str, Any] = {"source": "f", "rights": RIGHTS, "path": str(folder)}
    files = FolderFiles(**options, modality="US", specialty="radiology")
    assert convert(replace(files, probe=True)).reasons == {"echo.jpg": "burned_in_text_unchecked"}
    unopened = convert(files).rows
    part = ctx.tmp / "part.parquet"
    unopened.write_parquet(part)
    with ProbeMedia().open(ctx) as worker:
        result = worker.process(Unit(id="u", payload={"part": str(part)}, inputs=(), size_bytes=1, items=1))
    assert [reject.reason for reject in result.rejects] == ["burned_in_text_unchecked"]


def test_the_word_of_a_person_is_more_than_yes_and_names_files_that_are_there(ctx: Context, slices: Any) -> None:
    for words in ("", "yes", "checked"):
        with pytest.raises(ValueError, match="needs the evidence"):
            stage("x", burned_in_text_checked={"*": words})
    with pytest.raises(ValueError, match=r"no file below .* fits \['gone.dcm'\]"):
        list(stage(slices("plain"), burned_in_text_checked={"gone.dcm": SEEN}).units(ctx))
