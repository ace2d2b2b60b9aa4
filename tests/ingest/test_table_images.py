"""A table with image files: true rows, hostile paths, and the same manifest however it is cut."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ingest.columns import LabelColumn
from ingest.converters.row_worker import sample_keys
from ingest.converters.table_images import TableImages
from ingest.probe import ProbeMedia
from ingest.rights import Rights
from shards.canonical import sample_key, sha256_file
from shards.manifest import write_part
from shards.stage import Context, Unit
from shards.uri import package_folder

Write = Callable[..., str]
STATES = {"1.0": "present", "0.0": "absent", "-1.0": "uncertain", "-2.0": "unstated"}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """write(rows): rows of a table beside a folder `images` with four real pictures; gives its name."""
    images = tmp_path / "images"
    (images / "sub").mkdir(parents=True)
    for place, name in (("ihc.png", "ihc.png"), ("sub/cell.png", "cell.png"), ("retina.jpg", "retina.jpg")):
        shutil.copy(package_folder("skimage") / "data" / name, images / place)
    shutil.copy(images / "ihc.png", images / "copy.png")

    def table(rows: Sequence[Mapping[str, object]], name: str = "table.csv") -> str:
        with (tmp_path / name).open("w", newline="", encoding="utf-8") as handle:
            writer = csv.DictWriter(handle, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return name

    return table


def stage(table: str, **options: Any) -> TableImages:
    usual: dict[str, Any] = {"modality": "SM", "specialty": "pathology", "image": "file", "path": "images"}
    return TableImages(source="here", table=f"./{table}", rights=Rights(license="CC0-1.0"), **{**usual, **options})


def test_cells_become_the_columns_of_the_manifest(write: Write, convert: Any, tmp_path: Path, ctx: Context) -> None:
    table = write(
        [
            {"file": "ihc.png", "text": " Colonic\n glands. ", "pid": "007", "exam": "e1", "age": "61", "sex": "F",
             "polyp": "1.0", "ulcer": "", "split": "validate", "kind": "histology", "lic": "CC-BY-4.0"},
            {"file": "sub/cell.png", "text": "nan", "pid": "", "exam": "e2", "age": "93", "sex": "U",
             "polyp": "0.0", "ulcer": "-1.0", "split": "", "kind": "GM", "lic": ""},
            {"file": "retina.jpg", "text": "", "pid": "", "exam": "", "age": "abc", "sex": "",
             "polyp": "-2.0", "ulcer": "", "split": "train", "kind": "GM", "lic": "unknown!"},
        ]
    )  # fmt: skip
    os.utime(tmp_path / "images/ihc.png", ns=(0, 1_600_000_000_000_000_000))
    source = stage(
        table,
        caption="text",
        patient="pid",
        study="exam",
        official_split="split",
        license_column="lic",
        blank_license="rights",
        modality=None,
        modality_column="kind",
        modality_codes={"histology": "SM"},
        labels=(
            LabelColumn(column="polyp", states=STATES),
            LabelColumn(column="ulcer", name="peptic ulcer", states=STATES, origin="text-mined"),
        ),
        label_scope="study",
        attributes={"organ": "colon"},
        attribute_columns={"age": "age", "sex": "sex"},
        url="https://example.org",
    )
    found = convert(source)
    assert found.reasons == {"retina.jpg": "bad_row"}
    first, second = sorted(found.samples, key=lambda sample: sample.media.uri)
    assert first.key == sample_key("here", "ihc.png", "")
    assert first.media.uri == f"{tmp_path}/images/ihc.png"
    assert [caption.text for caption in first.captions] == ["Colonic glands."]
    assert first.captions[0].by == "source"
    assert second.captions == ()
    assert (first.modality, second.modality) == ("SM", "GM")
    assert first.patient == ctx.keyed("patient", "here\x00007")
    assert first.group == f"patient:{first.patient}"
    assert second.patient is None
    assert second.group == f"study:{ctx.keyed('study', 'here' + chr(0) + 'e2')}"
    assert [(label.name, label.state, label.scope, label.origin) for label in first.labels] == [
        ("polyp", "present", "study", "expert")
    ]
    assert [(label.name, label.state) for label in second.labels] == [
        ("polyp", "absent"),
        ("peptic ulcer", "uncertain"),
    ]
    assert json.loads(first.attributes) == {"age": 61.0, "organ": "colon", "sex": "female"}
    assert json.loads(second.attributes) == {"age": "over 89", "organ": "colon"}
    assert (first.license, second.license) == ("CC-BY-4.0", "CC0-1.0")
    assert first.terms.commercial.evidence != second.terms.commercial.evidence
    assert (first.official_split, second.official_split) == ("validate", None)
    assert first.retrieved == datetime(2020, 9, 13, 12, 26, 40, tzinfo=UTC)
    assert (first.url, first.label_scope, first.split) == ("https://example.org", "study", None)
    assert first.media.sha256 is None


def test_a_row_without_patient_and_study_is_a_group_of_its_own(write: Write, convert: Any) -> None:
    found = convert(stage(write([{"file": "ihc.png"}, {"file": "copy.png"}])))
    assert found.rows["group"].str.starts_with("image:").all()
    assert found.rows["group"].n_unique() == 2


HOSTILE = {
    "../outside.png": "path_escapes",
    "sub/../../outside.png": "path_escapes",
    "/etc/passwd": "path_escapes",
    "C:\\Windows\\x.png": "path_escapes",
    "..\\outside.png": "path_escapes",
    "file:///etc/passwd": "path_escapes",
    "https://example.org/x.png": "path_escapes",
    "leads_out.png": "path_escapes",
    "folder_out/outside.png": "path_escapes",
    "gone.png": "missing_file",
    "sub": "not_recognised",
    "ihc.png/x": "missing_file",
}


def test_paths_that_lead_out_are_refused_and_no_file_outside_is_touched(
    write: Write, convert: Any, tmp_path: Path
) -> None:
    shutil.copy(tmp_path / "images/ihc.png", tmp_path / "outside.png")
    (tmp_path / "images/leads_out.png").symlink_to(tmp_path / "outside.png")
    (tmp_path / "images/folder_out").symlink_to(tmp_path)
    table = write([{"file": path} for path in (*HOSTILE, "", "ihc.png")])
    found = convert(stage(table))
    assert found.reasons == {**HOSTILE_ITEMS, "row 13": "bad_row"}
    assert [sample.media.uri for sample in found.samples] == [f"{tmp_path}/images/ihc.png"]
    lexical = convert(stage(table, check_files=False))
    assert {item for item, reason in lexical.reasons.items() if reason == "path_escapes"} >= {
        "../outside.png",
        "/etc/passwd",
        "C:/Windows/x.png",
    }


HOSTILE_ITEMS = {path.replace("\\", "/"): reason for path, reason in HOSTILE.items()}


def test_ways_to_write_one_path_are_one_path(write: Write, convert: Any) -> None:
    found = convert(stage(write([{"file": path} for path in ("sub/cell.png", "sub\\cell.png", "./sub//cell.png")])))
    assert found.counts == {"duplicate_key": 2}
    assert found.samples[0].key == sample_key("here", "sub/cell.png", "")


def test_rows_that_say_something_unknown_are_rejected_by_name(write: Write, convert: Any, tmp_path: Path) -> None:
    (tmp_path / "mixed.csv").write_bytes(
        b"file,kind,who,polyp\nihc.png,histology,pathology,1.0\ncopy.png,SM,dentistry,1.0\n"
        b"retina.jpg,SM,pathology,maybe\nsub/cell.png,SM,pathology,caf\xe9\n"
    )
    found = convert(
        stage(
            "mixed.csv",
            modality=None,
            modality_column="kind",
            specialty=None,
            specialty_column="who",
            labels=(LabelColumn(column="polyp", states=STATES),),
        )
    )
    assert found.reasons == {
        "ihc.png": "unknown_modality",
        "copy.png": "unknown_specialty",
        "retina.jpg": "bad_row",
        "sub/cell.png": "bad_row",
    }
    assert not any("maybe" in reject.detail for reject in found.rejects)


def test_the_word_of_a_row_that_no_vocabulary_has_is_shown_cut_and_a_blank_one_is_called_so(
    write: Write, convert: Any
) -> None:
    columns = {"modality_column": "kind", "specialty_column": "who", "check_files": False, "specialty": None}
    rows = [
        {"file": "a.png", "kind": "SM", "who": "dentistry"},
        {"file": "b.png", "kind": "SM", "who": ""},
        {"file": "c.png", "kind": "histology\n", "who": "dentistry"},
        {"file": "d.png", "kind": "", "who": "pathology"},
        {"file": "e.png", "kind": "x" * 60, "who": "pathology"},
        {"file": "f.png", "kind": "SM", "who": "pathology"},
    ]
    table = write(rows)
    told = {reject.item: reject.detail for reject in convert(stage(table, modality=None, **columns)).rejects}
    assert told == {
        "a.png": "'dentistry': name it in `specialty_names`",
        "b.png": "nothing in column 'who'",
        "c.png": "'histology': name it in `modality_codes`",
        "d.png": "nothing in column 'kind'",
        "e.png": f"'{'x' * 40}' ...: name it in `modality_codes`",
    }
    named = convert(stage(table, **columns, specialty_names={"dentistry": "dermatology"}))
    assert {sample.media.uri[-5:] for sample in named.samples} == {"a.png", "d.png", "f.png"}


def test_units_of_any_size_give_the_same_rows(write: Write, convert: Any) -> None:
    table = write([{"file": f"n{number}.png", "pid": number % 5} for number in range(50)])
    options = {"patient": "pid", "check_files": False}
    whole, cut = convert(stage(table, **options)), convert(stage(table, **options, unit_rows=7))
    assert len(cut.units) == 8
    assert whole.rows.sort("key").equals(cut.rows.sort("key"))
    assert [unit.items for unit in cut.units] == [7] * 7 + [1]
    assert convert(stage(table, **options, unit_rows=7)).contents == cut.contents


def test_a_file_that_appears_makes_its_unit_stale_and_no_other(write: Write, ctx: Context, tmp_path: Path) -> None:
    source = stage(write([{"file": "ihc.png"}, {"file": "late.png"}, {"file": "copy.png"}]), unit_rows=1)
    before = [unit.inputs for unit in source.units(ctx)]
    assert [unit.inputs for unit in source.units(ctx)] == before
    shutil.copy(tmp_path / "images/ihc.png", tmp_path / "images/late.png")
    after = [unit.inputs for unit in source.units(ctx)]
    assert [one == two for one, two in zip(before, after, strict=True)] == [True, False, True]


def test_files_of_which_none_is_there_are_said_before_any_work(write: Write, ctx: Context) -> None:
    table = write([{"file": "ihc"}, {"file": "copy"}])
    with pytest.raises(FileNotFoundError, match=r"none of the files .* looked for at .*/images/ihc, and .*holds .*ihc"):
        list(stage(table, unit_rows=1).units(ctx))


def test_patients_of_two_collections_stay_apart_and_copies_of_one_meet(write: Write, convert: Any) -> None:
    table = write([{"file": "ihc.png", "pid": "1", "id": "cju0qkwl"}])
    columns = {"patient": "pid", "source_id": "id", "check_files": False}
    one = convert(stage(table, **columns)).samples[0]
    derived = convert(stage(table, **columns, collection="kvasir")).samples[0]
    also = convert(stage(table, **columns, collection="kvasir")).samples[0]
    assert one.patient != derived.patient
    assert derived.source_id == also.source_id
    assert "cju0qkwl" not in str(one.to_row())


def test_probed_rows_know_their_files_and_a_probe_stage_finds_the_same(
    write: Write, convert: Any, tmp_path: Path, ctx: Context
) -> None:
    (tmp_path / "images/empty.png").write_bytes(b"")
    (tmp_path / "images/cut.png").write_bytes((tmp_path / "images/ihc.png").read_bytes()[:5000])
    Image.linear_gradient("L").resize((3, 2)).save(tmp_path / "images/small.png")
    table = write([{"file": name} for name in ("ihc.png", "retina.jpg", "empty.png", "small.png", "gone.png")])
    now = convert(stage(table, probe=True))
    assert now.reasons == {"empty.png": "not_recognised", "gone.png": "missing_file"}
    sizes = {Path(s.media.uri).name: (s.media.width_px, s.media.height_px, s.media.frames) for s in now.samples}
    assert sizes == {"ihc.png": (512, 512, 1), "retina.jpg": (1411, 1411, 1), "small.png": (3, 2, 1)}
    assert all(sample.media.sha256 == sha256_file(Path(sample.media.uri)) for sample in now.samples)

    (later,) = convert(stage(table, check_files=False)).parts
    assert later["media"].struct.field("sha256").null_count() == later.height == 5
    part = tmp_path / "part.parquet"
    write_part(later, part)
    with ProbeMedia().open(ctx) as worker:
        result = worker.process(Unit(id="part", payload={"part": str(part)}))
    assert result.rows is not None
    assert {reject.reason for reject in result.rejects} == {"not_recognised", "missing_file"}
    assert result.rows.sort("key")["media"].equals(now.rows.sort("key")["media"])


def test_a_row_that_has_its_facts_is_passed_on_unopened(
    write: Write, convert: Any, tmp_path: Path, ctx: Context
) -> None:
    (probed,) = convert(stage(write([{"file": "ihc.png"}]), probe=True)).parts
    (tmp_path / "images/ihc.png").unlink()
    write_part(probed, tmp_path / "part.parquet")
    with ProbeMedia().open(ctx) as worker:
        result = worker.process(Unit(id="part", payload={"part": str(tmp_path / "part.parquet")}))
    assert result.rows is not None
    assert result.rows.equals(probed)


def test_pictures_of_a_package_keep_a_uri_that_any_machine_knows(convert: Any, write: Write) -> None:
    found = convert(stage(write([{"file": "ihc"}]), path="package://skimage", image_format="data/{}.png", probe=True))
    assert found.samples[0].media.uri == "package://skimage/data/ihc.png"
    assert found.samples[0].media.width_px == 512


def test_keys_made_in_bulk_are_sample_keys() -> None:
    import polars as pl

    paths, locators = pl.Series(["a.png", "b/ü.png", "c d.png"]), pl.Series(["", '{"slice":3}', ""])
    made = [sample_key("some_source", path, locator) for path, locator in zip(paths, locators, strict=True)]
    assert sample_keys("some_source", paths, locators).to_list() == made


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"modality": "XR"}, "modality 'XR' is unknown"),
        ({"specialty": None}, "`specialty_column`"),
        ({"image_format": "x.png"}, "image_format"),
        ({"unit_rows": 0}, "unit_rows"),
        ({"attribute_columns": {"name": "x"}}, "allow-list"),
        ({"attributes": {"laterality": "up"}}, "laterality"),
        ({"modality_codes": {"x": "XR"}}, "modality 'XR'"),
        ({"table": "t.ods"}, "convert it"),
        ({"source": "My Data"}, "source"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], why: str) -> None:
    fixed = {
        "source": "here",
        "table": "t.csv",
        "path": "x",
        "image": "file",
        "modality": "SM",
        "specialty": "pathology",
    }
    with pytest.raises(ValueError, match=why):
        TableImages(**{**fixed, "rights": Rights(license="MIT"), **options})
