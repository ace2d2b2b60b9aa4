"""What columns mean: attributes with codes, ids, joined tables, licences and templates; blank is never absent."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ingest.columns import AttributeColumn, DisplayColumns, LabelColumn
from ingest.converters.table_images import TableImages
from ingest.duplicates import SAID_AT_SOURCE, repeated_keys
from ingest.origin import known_id
from ingest.rights import Rights
from ingest.table_file import JoinTable, TableFile, Turn
from shards.canonical import sample_key
from shards.locator import Locator
from shards.manifest import samples
from shards.stage import Context

TABLES = runpy.run_path(str(Path(__file__).with_name("table_rows.py")))
FIXED, rows, said = (TABLES[name] for name in ("FIXED", "rows", "said"))


def test_attributes_with_codes_years_and_a_second_column(rows: Any) -> None:
    found, _ = rows(
        "file,sex,age,born,at,view,side\n"
        "a.png,0,300,1930.0,20140915,,OU\nb.png,1,56.0,2013,20140915,PA,left\nc.png,9,0,,20140915,L,\n",
        attribute_columns={
            "sex": AttributeColumn(column="sex", values={"0": "male", "1": "female"}, others="drop"),
            "age": AttributeColumn(column="age", values={"300": "over 89"}),
            "view": AttributeColumn(column="view", or_column="side", values={"L": "lateral"}),
            "laterality": "side",
        },
        attributes={"laterality": "right"},
    )
    assert [json.loads(found[f"{name}.png"].attributes) for name in "abc"] == [
        {"age": "over 89", "sex": "male", "view": "OU"},  # a side that does not fit is not the constant one
        {"age": 56.0, "laterality": "left", "sex": "female", "view": "PA"},
        {"laterality": "right", "view": "lateral"},
    ]
    years, _ = rows(
        "file,born,at\na.png,1930.0,20140915\nb.png,,20140915\n",
        attribute_columns={"age": AttributeColumn(column="at", since="born")},
    )
    assert [json.loads(years[f"{name}.png"].attributes) for name in "ab"] == [{"age": 84.0}, {}]


def test_cells_that_do_not_fit_an_attribute_are_told_and_not_quoted(
    rows: Any, caplog: pytest.LogCaptureFixture
) -> None:
    table = "file,sex,age,view\n" + "".join(f"{name}.png,woman,{name},odd_view\n" for name in range(50, 62))
    table += "x.png,unknown,,PA\ny.png,9,Smith,PA\nz.png,F,58,\n"
    columns = {
        "sex": AttributeColumn(column="sex", values={"9": "unknown"}),
        "age": "age",
        "view": AttributeColumn(column="view", values={"PA": "PA"}, others="drop"),
    }
    rows(table + "u.png,,1_0,\n", attribute_columns=columns)
    heads = [record.getMessage().partition(" do not fit")[0] for record in caplog.records]
    assert heads == [
        "attribute age: 1 or more cells of column 'age' in one unit",
        "attribute sex: 10 or more cells of column 'sex' in one unit",
    ]
    assert not any(cell in caplog.text for cell in ("woman", "Smith", "odd_view"))


def test_a_word_for_a_cell_that_does_not_fit_its_attribute_is_refused() -> None:
    with pytest.raises(ValueError, match="sex cannot be 'femal'; it is: as the source states it"):
        TableImages(**FIXED, attribute_columns={"sex": AttributeColumn(column="sex", values={"1": "femal"})})


def test_one_patient_has_one_id_however_it_is_written_and_nobody_is_no_patient(rows: Any) -> None:
    table = "file,p\na.png,7\nb.png,7.0\nc.png,unknown\nd.png,ANONYMOUS\ne.png,007\n"
    found, _ = rows(table, patient="p")
    assert found["a.png"].patient == found["b.png"].patient != found["e.png"].patient
    assert found["c.png"].patient is None
    assert found["d.png"].patient is None
    assert found["c.png"].group != found["d.png"].group


@pytest.mark.parametrize(
    ("cell", "known"),
    [
        *(
            (same, same)
            for same in ("1", "007", "a1", "10", "x1", "test1", "unknown1", "-12", "1-2", "1.5", "1.0a", "١")
        ),
        *((blank, None) for blank in (None, "", " ", "0", "000", "-", "-1", "x", "XX", "n/a", "Test", "0.0")),
        *((f"{start}7{end}", "7") for start, end in ((" ", ""), ("", "\n"), ("", ".0"), ("\t", ".00 "))),
    ],
)
def test_an_id_has_one_spelling_or_names_nobody(cell: str | None, known: str | None) -> None:
    assert known_id(cell) == known


def test_a_group_that_is_no_patient(rows: Any) -> None:
    found, _ = rows("file,l\na.png,L1\nb.png,L1\nc.png,\n", group="l", group_is="lesion")
    assert found["a.png"].group == found["b.png"].group
    assert found["a.png"].group.startswith("lesion:")
    assert found["c.png"].group.startswith("image:")


def test_joined_tables_add_columns_and_say_what_they_lack(rows: Any, tmp_path: Path) -> None:
    (tmp_path / "meta.csv").write_text("id,age,file\na,61,zzz\nb,62,zzz\nb,63,zzz\nc,64,zzz\nc,64,zzz\n")
    (tmp_path / "test.txt").write_text("a.png\n")
    found, reasons = rows(
        "file,x\na.png,1\nb.png,2\nc.png,3\nd.png,4\n",
        parts={"file": r"^(?P<stem>[^.]+)"},
        join=(
            JoinTable(table="meta.csv", on={"stem": "id"}, missing="reject"),
            JoinTable(table="test.txt", header=("name",), on={"file": "name"}, adds={"split": "test"}),
        ),
        attribute_columns={"age": "age"},
        official_split="split",
    )
    assert json.loads(found["a.png"].attributes) == {"age": 61.0}
    assert (found["a.png"].official_split, found["c.png"].official_split) == ("test", None)
    assert reasons == {"b.png": "bad_row", "d.png": "no_metadata"}


def test_an_item_that_two_lists_name_is_in_neither(rows: Any, tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("1\n2\n")
    (tmp_path / "test.txt").write_text("2\r\n3\r\n")
    lists = tuple(
        JoinTable(table=f"{name}.txt", header=("id",), on={"id": "id"}, adds={"split": name})
        for name in ("train", "test")
    )
    found, reasons = rows("file,id\na.png,1\nb.png,2\nc.png,3\nd.png,4\n", join=lists, official_split="split")
    assert {name: one.official_split for name, one in found.items()} == {
        "a.png": "train",
        "c.png": "test",
        "d.png": None,
    }
    assert reasons == {"b.png": "bad_row"}


def test_a_change_in_a_joined_table_makes_units_stale(ctx: Any, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file\na.png\n")
    (tmp_path / "meta.csv").write_text("id,age\na.png,61\n")
    join = (JoinTable(table="meta.csv", on={"file": "id"}),)
    stage = TableImages(**FIXED, join=join, attribute_columns={"age": "age"})
    before = [unit.inputs for unit in stage.units(ctx)]
    (tmp_path / "meta.csv").write_text("id,age\na.png,62\n")
    assert [unit.inputs for unit in stage.units(ctx)] != before


def test_a_column_that_is_nowhere_is_named_before_any_work(ctx: Any, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file\na.png\n")
    (tmp_path / "meta.csv").write_text("id,age\na.png,61\n")
    join = (JoinTable(table="meta.csv", on={"file": "id"}),)
    with pytest.raises(ValueError, match="no column 'Age'; did you mean 'age'"):
        list(TableImages(**FIXED, join=join, attribute_columns={"age": "Age"}).units(ctx))
    wrong = (JoinTable(table="meta.csv", on={"file": "ident"}),)
    with pytest.raises(ValueError, match="no column 'ident'"):
        list(TableImages(**FIXED, join=wrong).units(ctx))


def test_a_long_table_is_one_row_an_item(rows: Any, convert: Any, tmp_path: Path) -> None:
    lines = "".join(f"ID_{n}_{kind},{int(n == 1)}\n" for n in (1, 2) for kind in ("any", "subdural"))
    (tmp_path / "long.csv").write_text(f"ID,Label\n{lines}ID_1_any,1\nID_3_any,0\nID_3_any,1\n")
    table = TableFile(
        table="long.csv",
        parts={"ID": "^(?P<slice>ID_[0-9]+)_(?P<kind>.+)$"},
        turn=Turn(index="slice", names="kind", values="Label"),
    )
    label = LabelColumn(column=("any", "subdural"), states={"1": "present", "0": "absent"}, scope="slice")
    found = convert(
        TableImages(**{**FIXED, "table": table, "image": "slice", "image_format": "{}.dcm"}, labels=(label,))
    )
    assert [said(sample) for sample in sorted(found.samples, key=lambda sample: sample.media.uri)] == [
        [("any", "present"), ("subdural", "present")],
        [("any", "absent"), ("subdural", "absent")],
    ]
    assert found.reasons == {"ID_3.dcm": "bad_row"}  # it says both


def test_rows_that_are_not_wanted_are_not_offered_and_some_are_rejected_by_a_cell(rows: Any) -> None:
    found, reasons = rows(
        "file,kind,qc\na.png,xray,\nb.png,photo,\nc.png,xray,3 Wrongly labelled\n",
        only={"kind": ("xray",)},
        reject={"qc": {"3 Wrongly labelled": "excluded_by_name"}},
    )
    assert list(found) == ["a.png"]
    assert reasons == {"c.png": "excluded_by_name"}


def test_an_only_that_no_row_fits_is_an_error_before_any_work(rows: Any) -> None:
    table = "file,kind,p\na.png, photo ,1\nb.png,sketch,1\n"
    found, _ = rows(table, only={"kind": ("photo", "film")})
    assert list(found) == ["a.png"]
    with pytest.raises(ValueError, match=r"only: no row of .* has 'Photo' in the column kind"):
        rows(table, only={"kind": ("Photo",)})


def test_no_licence_in_a_row_is_no_licence(rows: Any) -> None:
    table = "file,lic\na.png,CC-BY-4.0\nb.png,None\nc.png,\nd.png,CC BY\n"
    found, reasons = rows(table, license_column="lic", license_names={"CC BY": "CC-BY-4.0"})
    assert {name: sample.license for name, sample in found.items()} == {"a.png": "CC-BY-4.0", "d.png": "CC-BY-4.0"}
    assert reasons == {"b.png": "bad_row", "c.png": "bad_row"}
    inherited, _ = rows(table, license_column="lic", license_names={"CC BY": "CC-BY-4.0"}, blank_license="rights")
    assert inherited["b.png"].license == "CC0-1.0"


def test_a_published_split_under_other_names(rows: Any) -> None:
    names: dict[str, Any] = {"9": "val", "10": "test"}
    found, _ = rows("file,fold\na.png,9\nb.png,10\n", official_split="fold", split_names=names)
    assert [found[name].official_split for name in ("a.png", "b.png")] == ["val", "test"]


def test_other_columns_in_the_path_and_a_template_for_every_row(rows: Any) -> None:
    found, _ = rows(
        "file,dir\nx.png,3\n", image_format="images/{dir}/{}", template=("{picture:a}[ of {person:a}]", "{picture}")
    )
    assert found["x.png"].media.uri.endswith("/images/3/x.png")
    assert found["x.png"].template == "{picture:a}[ of {person:a}]\n{picture}"


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{pictures}", "unknown field"),
        ("{picture:the}", "no such helper"),
        ("{picture", "no partner"),
        ("a ] b", "no partner"),
        ("[a {picture}", "not closed"),
        ("[plain]", "brackets without a field"),
        ("{picture:a} with {study_findings}", "true of the study"),
        ("{picture:a} showing {patient_findings}", "true of the patient"),
        ("", "one line"),
        ("{picture:a} free of disease", "labels say"),
        ("{picture:a} negative for {findings}", "labels say"),
        ("{picture:a} in the absence of disease", "labels say"),
        ("{picture:a}, {findings} absent", "labels say"),
    ],
)
def test_templates_that_say_nothing_or_too_much_are_refused(template: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        TableImages(**FIXED, template=(template,))


def test_the_range_of_display_of_deep_pictures_comes_from_columns(rows: Any) -> None:
    table = "file,low,high,c,w\na.png,-175,275,2092,2251\nb.png,,275,1,x\nc.png,5,5,0,-1\n"
    ends, reasons = rows(table, display=DisplayColumns(low="low", high="high", offset=32768))
    assert ends["a.png"].media.view == Locator(low=32593, high=33043)
    assert reasons == {"b.png": "bad_row", "c.png": "bad_row"}
    window, reasons = rows(table, display=DisplayColumns(centre="c", width="w"))
    assert window["a.png"].media.view == Locator(low=966.5, high=3217.5)
    assert reasons == {"b.png": "bad_row", "c.png": "bad_row"}
    bits, reasons = rows("file,c,w,b\na.png,,,12\nb.png,,,\n", display=DisplayColumns(centre="c", width="w", bits="b"))
    assert bits["a.png"].media.view == Locator(low=0, high=4095)
    assert reasons == {"b.png": "bad_row"}
    assert ends["a.png"].key == window["a.png"].key == sample_key("here", "a.png", "")
    with pytest.raises(ValueError, match="either low and high or centre and width"):
        DisplayColumns(low="low", width="w")


def test_a_picture_named_twice_with_two_ranges_of_display_is_one_item(rows: Any) -> None:
    table = "file,low,high\na.png,0,100\na.png,0,200\nb.png,0,100\n"
    found, reasons = rows(table, display=DisplayColumns(low="low", high="high"))
    assert found["a.png"].media.view == Locator(low=0, high=100)
    assert (sorted(found), reasons) == (["a.png", "b.png"], {"a.png": "duplicate_key"})


@pytest.mark.parametrize("unit_rows", [1, 2, 3, 10])
def test_of_rows_of_one_picture_the_same_is_kept_whatever_the_units(
    convert: Any, tmp_path: Path, unit_rows: int
) -> None:
    (tmp_path / "t.csv").write_text("file,p\na.png,\nb.png,1\na.png,1\nb.png,0\na.png,0\nc.png,\n")
    label = LabelColumn(column="p", name="mass", states={"1": "present", "0": "absent"})
    parts = pl.concat(convert(TableImages(**FIXED, labels=(label,), unit_rows=unit_rows)).parts).with_row_index("row")
    keys = dict(parts.select("row", "key").iter_rows())
    narrow = parts.select("row", pl.col("key").hash(), said=SAID_AT_SOURCE)
    again = repeated_keys(narrow, lambda numbers: numbers.replace_strict(keys, return_dtype=pl.String))["row"]
    kept = {
        sample.media.uri.rpartition("/")[2]: said(sample)
        for sample in samples(parts.filter(~pl.col("row").is_in(again.implode())).drop("row"))
    }
    assert kept == {"a.png": [("mass", "present")], "b.png": [("mass", "present")], "c.png": []}


def test_an_expression_that_fits_no_cell_is_an_error_before_any_work(tmp_path: Path, ctx: Context) -> None:
    (tmp_path / "table.csv").write_text("file\na.png\nb.png\n")
    options: dict[str, Any] = {
        "source": "s",
        "path": str(tmp_path),
        "table": "table.csv",
        "image": "file",
        "modality": "XC",
        "specialty": "dermatology",
        "rights": Rights(license="CC0-1.0"),
        "patient": "who",
        "check_files": False,
    }
    with pytest.raises(ValueError, match="fits no cell of the column file"):
        list(TableImages(**options, parts={"file": "^(?P<who>p[0-9]+)_"}).units(ctx))
    assert list(TableImages(**options, parts={"file": "^(?P<who>a)[.]"}).units(ctx))
