"""Labels in columns and in lists of cells: separators, Python, JSON, likelihoods and codes; blank is never absent."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from ingest.columns import LabelColumn, LabelList, NamesTable

TABLES = runpy.run_path(str(Path(__file__).with_name("table_rows.py")))
rows, said = (TABLES[name] for name in ("rows", "said"))


def test_findings_joined_by_a_separator(rows: Any) -> None:
    found, reasons = rows(
        "file,f\na.png,Effusion|Pleural_Thickening\nb.png,No Finding\nc.png,\nd.png,Effusion||Effusion\ne.png,Odd\n",
        label_lists=(
            LabelList(
                column="f",
                separator="|",
                names={
                    "Effusion": "effusion",
                    "Pleural_Thickening": "pleural thickening",
                    "No Finding": "none of the 14 labelled findings",
                },
                others="reject",
                origin="text-mined",
            ),
        ),
        label_scope="study",
    )
    assert said(found["a.png"]) == [("effusion", "present"), ("pleural thickening", "present")]
    assert said(found["b.png"]) == [("none of the 14 labelled findings", "present")]
    assert said(found["c.png"]) == []
    assert said(found["d.png"]) == [("effusion", "present")]
    assert {(label.scope, label.origin) for label in found["a.png"].labels} == {("study", "text-mined")}
    assert reasons == {"e.png": "bad_row"}


def test_lists_and_mappings_written_in_python_or_json(rows: Any) -> None:
    table = (
        "file,p,d,j\n"
        "a.png,\"[' pneumonia', 'exclude', '', 'possible mass']\",\"{'NORM': 100.0, 'SR': 0.0}\",\"[\"\"x\"\"]\"\n"
        'b.png,"[open",,\n'
        "c.png,\"__import__('os').system('true')\",,\n"
        "d.png,[],,7\n"
    )
    lists = (
        LabelList(column="p", form="python", drop=("exclude",), uncertain=("possible mass",)),
        LabelList(column="d", form="python", names={"NORM": "normal ECG"}, others="drop"),
        LabelList(column="j", form="json"),
    )
    found, reasons = rows(table, label_lists=lists)
    assert said(found["a.png"]) == [
        ("pneumonia", "present"),
        ("possible mass", "uncertain"),
        ("normal ECG", "present"),
        ("x", "present"),
    ]
    assert reasons == {"b.png": "bad_row", "c.png": "bad_row", "d.png": "bad_row"}


def test_likelihoods_below_a_limit_are_possibilities(rows: Any) -> None:
    cells = ["{'MI': 35.0, 'SR': 0.0, 'AF': 100.0}", "{'MI': 99.5}", "{'MI': 'high'}", "['MI']", "{'MI': 1e999}"]
    table = "file,d\n" + "".join(f'{name}.png,"{cell}"\n' for name, cell in zip("abcde", cells, strict=True))
    found, reasons = rows(table, label_lists=(LabelList(column="d", form="python", uncertain_below=100),))
    assert said(found["a.png"]) == [("MI", "uncertain"), ("SR", "present"), ("AF", "present")]
    assert said(found["b.png"]) == [("MI", "uncertain")]
    assert reasons == {f"{name}.png": "bad_row" for name in "cde"}
    with pytest.raises(ValueError, match="uncertain_below"):
        LabelList(column="d", uncertain_below=100)


def test_a_control_character_in_a_label_cell_is_a_bad_row(rows: Any) -> None:
    found, reasons = rows(
        "file,x,y,l\na.png,1\x1f0,0,\nb.png,1,0,\nc.png,1,0,mass\x1f\n",
        labels=(LabelColumn(column=("x", "y"), states={"1": "present", "0": "absent"}),),
        label_lists=(LabelList(column="l"),),
    )
    assert said(found["b.png"]) == [("x", "present"), ("y", "absent")]
    assert reasons == {"a.png": "bad_row", "c.png": "bad_row"}


def test_a_table_of_the_data_set_words_its_codes(rows: Any, tmp_path: Path) -> None:
    (tmp_path / "codes.csv").write_text(",description\nNORM,normal ECG\nSR,sinus rhythm\n")
    listed = LabelList(
        column="c", separator=" ", names_table=NamesTable(table="codes.csv", code="", name="description"),
        names={"SR": "a sinus rhythm"},
    )  # fmt: skip
    found, _ = rows("file,c\na.png,NORM SR\n", label_lists=(listed,))
    assert said(found["a.png"]) == [("normal ECG", "present"), ("a sinus rhythm", "present")]


def test_many_columns_of_the_same_states_and_scopes_of_their_own(rows: Any) -> None:
    states: dict[str, Any] = {"1.0": "present", "0.0": "absent", "-1.0": "uncertain"}
    found, reasons = rows(
        "file,Edema,Mass,whole\na.png,1.0,,1\nb.png,-1.0,0.0,\nc.png,2.0,,\n",
        labels=(
            LabelColumn(column=("Edema", "Mass"), states=states),
            LabelColumn(column="whole", name="haemorrhage", states={"1": "present"}, scope="series"),
        ),
    )
    assert said(found["a.png"]) == [("Edema", "present"), ("haemorrhage", "present")]
    assert [label.scope for label in found["a.png"].labels] == ["image", "series"]
    assert said(found["b.png"]) == [("Edema", "uncertain"), ("Mass", "absent")]
    assert reasons == {"c.png": "bad_row"}


def test_a_blank_word_cannot_state_anything() -> None:
    with pytest.raises(ValueError, match="read as blank"):
        LabelColumn(column="x", states={"None": "absent"})
    with pytest.raises(ValueError, match="several columns"):
        LabelColumn(column=("x", "y"), name="z", states={"1": "present"})


def test_an_entry_is_known_in_whatever_capitals_unless_two_names_differ_in_them(rows: Any) -> None:
    names = {"polyp": "polyp", "mi": "myocardial infarction", "MI": "mitral insufficiency"}
    listed = LabelList(column="c", names=names, drop=("nothing",), others="reject")
    table = "file,c\na.png,Polyp\nb.png,MI\nc.png,mi\nd.png,Mi\ne.png,Nothing\n"
    found, reasons = rows(table, label_lists=(listed,))
    assert [said(found[f"{name}.png"]) for name in "abce"] == [
        [("polyp", "present")], [("mitral insufficiency", "present")], [("myocardial infarction", "present")], []
    ]  # fmt: skip
    assert reasons == {"d.png": "bad_row"}


def test_a_possibility_is_one_in_whatever_capitals(rows: Any) -> None:
    listed = LabelList(column="c", names={"possible pneumonia": "pneumonia"}, uncertain=("possible pneumonia",))
    found, _ = rows("file,c\na.png,Possible Pneumonia\nb.png,possible pneumonia\n", label_lists=(listed,))
    assert said(found["a.png"]) == said(found["b.png"]) == [("pneumonia", "uncertain")]
