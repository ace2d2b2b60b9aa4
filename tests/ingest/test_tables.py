"""Tables are read as text, by ranges, with no row lost without a word."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import xlsxwriter

from ingest import held_tables
from ingest.table_file import JoinTable, TableFile, Turn
from ingest.tables import ROW, Table


def table(folder: Path, data: bytes, name: str = "t.csv", **how: Any) -> Table:
    (folder / name).write_bytes(data)
    return Table(str(folder / name), TableFile(table=name, **how))


def rows(source: Table, *columns: str) -> list[tuple[object, ...]]:
    return source.rows(0, source.height()).select(ROW, *columns).rows()


def test_cells_stay_text_and_blanks_are_null(tmp_path: Path) -> None:
    source = table(tmp_path, b"id,age\r\n007, 61 \r\nnAn,N/A\r\n None ,\r\n")
    assert rows(source, "id", "age") == [(1, "007", "61"), (2, None, None), (3, None, None)]


def test_a_byte_order_mark_and_line_breaks_inside_cells(tmp_path: Path) -> None:
    source = table(tmp_path, '\ufeffid,text\n1,"two\nlines, ""quoted"""\n2,é\n'.encode())
    assert rows(source, "id", "text") == [(1, "1", 'two\nlines, "quoted"'), (2, "2", "é")]


def test_bytes_that_are_no_utf8_cost_their_cell(tmp_path: Path) -> None:
    source = table(tmp_path, b"id,text\n1,caf\xe9\n2,fine\n")
    assert rows(source, "id", "text") == [(1, "1", "caf\ufffd"), (2, "2", "fine")]


def test_ranges_are_those_of_the_whole(tmp_path: Path) -> None:
    lines = "".join(f'{n},"cell {n}\nof two lines"\n' for n in range(1000))
    for name, data in (("t.csv", f"a,b\n{lines}".encode()), ("t.csv.gz", gzip.compress(f"a,b\n{lines}".encode()))):
        source = table(tmp_path, data, name)
        whole = rows(source, "a", "b")
        parts = [source.rows(start, min(start + 90, 1000)).rows() for start in range(0, 1000, 90)]
        assert [row for part in parts for row in part] == whole
        assert len(whole) == 1000
        assert whole[-1] == (1000, "999", "cell 999\nof two lines")


def test_parquet_and_tsv_give_the_same(tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": [1, 2], "age": [61.0, None], "nested": [[1], [2]]})
    frame.write_parquet(tmp_path / "t.parquet")
    assert rows(Table(str(tmp_path / "t.parquet")), "id", "age") == [(1, "1", "61.0"), (2, "2", None)]
    assert rows(table(tmp_path, b"id\tage\n1\t61.0\n2\t\n", "t.tsv"), "id", "age") == [(1, "1", "61.0"), (2, "2", None)]


@pytest.mark.parametrize(
    "data",
    [
        b"a,b\n1,2,3\n4,5\n",
        b'a,b\n1,"open\n2,y\n3,z\n',
        b'a,b\n1,5" tube\n2,y\n3,z\n',
        b'a,b\n1,5" tube\n2,y\n3,6" tube\n4,u\n',
        b'a,b\n1,x\n2,y\n3,"z\n',
    ],
    ids=["more fields than the header", "open quote", "stray quote", "two stray quotes", "open quote at the end"],
)
def test_a_table_that_would_lose_rows_is_refused(tmp_path: Path, data: bytes) -> None:
    source = table(tmp_path, data)
    with pytest.raises(ValueError, match="quoted: false"):
        source.rows(0, source.height())


def test_quotation_marks_mean_nothing_where_the_user_says_so(tmp_path: Path) -> None:
    source = table(tmp_path, b'a,b\n1,5" tube\n2,y\n', quoted=False)
    assert rows(source, "b") == [(1, '5" tube'), (2, "y")]


def test_columns_that_are_not_there_or_twice(tmp_path: Path) -> None:
    source = table(tmp_path, b"Image Index,label,label\na,b,c\n")
    source.check_columns(["Image Index"])
    with pytest.raises(ValueError, match=r"no column 'Image index'; did you mean 'Image Index'\? it has Image Index"):
        source.check_columns(["Image index"])
    with pytest.raises(ValueError, match="'label' twice"):
        source.check_columns(["label"])


@pytest.mark.parametrize(("data", "why"), [(b"", "is empty"), (b"a,b\n", "no rows")])
def test_tables_without_rows(tmp_path: Path, data: bytes, why: str) -> None:
    source = table(tmp_path, data)
    with pytest.raises(ValueError, match=why):
        (source.check_columns(["a"]), source.height())


def test_other_formats_and_missing_files_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="convert it"):
        Table("labels.ods")
    with pytest.raises(FileNotFoundError, match=r"no file .*gone\.csv; check the path$"):
        Table(str(tmp_path / "gone.csv")).height()
    (tmp_path / "images").mkdir()
    with pytest.raises(FileNotFoundError, match=r"check the path; its folder holds images$"):
        Table(str(tmp_path / "gone.csv")).height()
    (tmp_path / "meta.csv.gz").touch()
    with pytest.raises(FileNotFoundError, match=r"check the path; its folder holds meta\.csv\.gz$"):
        Table(str(tmp_path / "gone.csv")).height()
    with pytest.raises(FileNotFoundError, match=r"check the path$"):
        Table(str(tmp_path / "no/gone.csv")).height()


def test_a_workbook_and_json_are_tables_of_texts(tmp_path: Path) -> None:
    pl.DataFrame({"id": ["007", "8"], "age": [61.5, None]}).write_excel(tmp_path / "t.xlsx")
    assert rows(Table(str(tmp_path / "t.xlsx")), "id", "age") == [(1, "007", "61.5"), (2, "8", None)]
    records = [{"id": "007", "captions": ["a", 'b "c"'], "age": 61}, {"id": "8"}]
    said = [(1, "007", '["a", "b \\"c\\""]', "61"), (2, "8", None, None)]
    lines = "\n".join(map(json.dumps, records)).encode()
    for name, data in (("t.json", json.dumps(records).encode()), ("t.jsonl", lines)):
        assert rows(table(tmp_path, data, name), "id", "captions", "age") == said
    by_key = json.dumps({"007": {"age": 61}, "8": {"age": None}}).encode()
    assert rows(table(tmp_path, by_key, "k.json"), "key", "age") == [(1, "007", "61"), (2, "8", None)]
    with pytest.raises(ValueError, match="list of objects"):
        table(tmp_path, b'"text"', "bad.json").columns()
    with pytest.raises(ValueError, match="is no JSON"):
        table(tmp_path, b"{", "bad.json").columns()


def test_a_name_given_twice_in_a_workbook_or_an_object_is_an_error(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "t.xlsx") as book:
        sheet = book.add_worksheet()
        for place, line in enumerate([["id", "x", None, "x"], ["a", 1, "?", 0]]):
            sheet.write_row(place, 0, line)
    source = Table(str(tmp_path / "t.xlsx"))
    assert rows(source, "id", "column 3") == [(1, "a", "?")]
    with pytest.raises(ValueError, match="has the column 'x' twice"):
        source.check_columns(["x"])
    with pytest.raises(ValueError, match="one key twice"):
        table(tmp_path, b'[{"id": "a", "x": 1, "x": 0}]', "t.json").columns()
    with pytest.raises(ValueError, match="one key twice in line 2"):
        table(tmp_path, b'{"id": "a"}\n{"id": "a", "x": 1, "x": 0}\n', "t.jsonl").columns()


@pytest.mark.parametrize("names", [("file",), ("file", "label", "more")])
def test_names_that_are_not_as_many_as_the_columns_are_an_error(tmp_path: Path, names: tuple[str, ...]) -> None:
    source = table(tmp_path, b"a.png,1\nb.png,0\n", header=names)
    for read in (source.columns, source.height, lambda: source.rows(0, 1)):
        with pytest.raises(ValueError, match=r"header: .*t\.csv has not as many columns as file"):
            read()


def test_json_lines_are_read_some_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_tables, "LINES_AT_ONCE", 2)
    told = '"one\u2028line"'
    data = f'\ufeff{{"id": "1"}}\n\n{{"id": "2", "said": {told}}}\r\n\n\n{{"id": "3", "age": 7}}\n'.encode()
    found = rows(table(tmp_path, data, "t.jsonl"), "id", "said", "age")
    assert found == [(1, "1", None, None), (2, "2", "one\u2028line", None), (3, "3", None, "7")]
    with pytest.raises(ValueError, match=r"is no JSONL: .* in line 7"):
        table(tmp_path, data + b'{"id": \n', "t.jsonl").columns()
    with pytest.raises(ValueError, match="list of objects"):
        table(tmp_path, b"[1]\n", "t.jsonl").columns()
    with pytest.raises(ValueError, match="is empty"):
        table(tmp_path, b"\n", "t.jsonl").columns()


def test_lists_in_parquet_are_json(tmp_path: Path) -> None:
    pl.DataFrame({"cui": [["C1", 'C"2'], []]}).write_parquet(tmp_path / "t.parquet")
    assert rows(Table(str(tmp_path / "t.parquet")), "cui") == [(1, '["C1","C\\"2"]'), (2, None)]


def test_a_file_without_header_or_ending_is_read_as_it_is_said_to_be_written(tmp_path: Path) -> None:
    source = table(tmp_path, b"101;URTI\n102;COPD\n", "diagnosis", separator=";", header=("patient", "diagnosis"))
    assert rows(source, "patient", "diagnosis") == [(1, "101", "URTI"), (2, "102", "COPD")]


def test_parts_of_a_cell_are_columns_and_a_long_table_is_turned(tmp_path: Path) -> None:
    data = b"ID,Label\nID_1_any,1\nID_1_subdural,1\nID_2_any,0\nID_2_subdural,0\nID_2_any,0\nID_3,1\n"
    source = table(
        tmp_path,
        data,
        parts={"ID": "^(?P<slice>ID_[0-9a-f]+)_(?P<kind>.+)$"},
        turn=Turn(index="slice", names="kind", values="Label"),
    )
    assert source.held().columns == ["slice", "any", "subdural"]
    assert rows(source, "slice", "any", "subdural") == [(1, "ID_1", "1", "1"), (2, "ID_2", "0", "0")]
    with pytest.raises(ValueError, match="no column 'Id'"):
        table(tmp_path, data, parts={"Id": "(?P<x>.)"}).columns()


LONG = "".join(
    f"{n},{name},{(n * 7 + k) % 3}\n" for n in range(40) for k, name in enumerate(("a", "b", "c")) if n % 5 > k
)
TURN = Turn(index="item", names="name", values="value")


@pytest.mark.parametrize("asked", [["1"], ["0", "1", "7", "39"], ["5", "none of them"], ["6", None], []])
def test_what_is_asked_of_a_long_table_is_what_the_wide_one_says(tmp_path: Path, asked: list[str | None]) -> None:
    data = f"item,name,value\n{LONG}6,a,2\n6,a, 2\n6,a,0\n8,d,nan\n".encode()
    keys = pl.DataFrame({"item": asked}, schema={"item": pl.String})
    found = table(tmp_path, data, turn=TURN).matching(keys)
    assert found.columns == ["item", "a", "b", "c", "d"]  # d holds nothing, and is a column of every answer
    whole = table(tmp_path, data, turn=TURN).held()
    assert found.equals(whole.filter(pl.col("item").is_in(asked)))
    assert whole.filter(item="6").row(0) == ("6", "0|2", None, None, None)


def test_a_long_table_whose_names_hold_that_of_its_index_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,name,value\n1,mass,1\n1,id,7\n")
    turn = Turn(index="id", names="name", values="value")
    with pytest.raises(ValueError, match="turn: a cell of name is 'id'"):
        Table(str(tmp_path / "t.csv"), TableFile(table="t.csv", turn=turn)).held()


def test_a_long_table_is_sound_to_the_last_cell_of_columns_that_nobody_reads(tmp_path: Path) -> None:
    data = f"item,name,value,note\n1,a,1,x,one too many\n{LONG.replace(chr(10), ',y' + chr(10))}".encode()
    keys = pl.DataFrame({"item": ["1"]})
    with pytest.raises(ValueError, match="more fields than the header"):
        table(tmp_path, data, turn=TURN).matching(keys)
    with pytest.raises(ValueError, match="no column 'thing'"):
        table(tmp_path, b"item,name,value\n1,a,1\n", turn=TURN).matching(pl.DataFrame({"thing": ["1"]}))


def test_a_column_called_row_is_the_tables_own(tmp_path: Path) -> None:
    assert rows(table(tmp_path, b"row,x\nA7,1\nB2,2\n"), "row", "x") == [(1, "A7", "1"), (2, "B2", "2")]


@pytest.mark.parametrize("pattern", ["^(?P<x>a)(?=b)", "(?<!a)(?P<x>b)", r"(?P<x>.)(?P=x)"])
def test_an_expression_that_polars_does_not_know_is_refused_when_it_is_read(pattern: str) -> None:
    with pytest.raises(ValueError, match="cannot be used"):
        TableFile(table="t.csv", parts={"a": pattern})


def test_an_optional_table_that_could_not_be_absent_is_refused() -> None:
    with pytest.raises(ValueError, match="optional"):
        JoinTable(table="t.csv", on={"a": "b"}, optional=True, missing="reject")
