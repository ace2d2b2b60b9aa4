"""Tables in formats that cannot be read by ranges: XLSX sheets, JSON and JSON lines."""

from __future__ import annotations

import io
import json
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

LINES_AT_ONCE = 20_000  # of JSON lines: Python's objects take several times the memory of the table


def read_held(data: bytes, ending: str, where: str) -> pl.DataFrame:
    """All rows as texts; ValueError where `data` is no such table. The first sheet of a workbook is read."""
    import polars as pl

    if ending == "xlsx":
        try:
            rows = pl.read_excel(io.BytesIO(data), engine="calamine", infer_schema_length=0, has_header=False)
        except (ModuleNotFoundError, ImportError) as error:
            raise ValueError(f"table: {where} needs the package fastexcel: pip install 'medloom[data]'") from error
        return _headed(rows.cast(pl.String))
    if ending == "jsonl":
        return _read_lines(data, where)
    try:
        found = json.loads(data.decode("utf-8-sig", "replace"), object_pairs_hook=once_each)
    except json.JSONDecodeError as error:
        raise ValueError(f"table: {where} is no JSON: {error.msg} in line {error.lineno}") from None
    except TwiceError:
        raise ValueError(f"table: {where} has an object with one key twice; rename one of them") from None
    return _frame(_records(found, where), where)


def _headed(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows below their header; a name that stands there again is marked as polars marks it in a CSV file."""
    names: list[str] = []
    for place, name in enumerate(rows.row(0)):
        own = name or f"column {place + 1}"
        again = sum(1 for before in rows.row(0)[:place] if before == name)
        names.append(f"{own}_duplicated_{again - 1}" if name and again else own)
    return rows.slice(1).rename(dict(zip(rows.columns, names, strict=True)))


def _read_lines(data: bytes, where: str) -> pl.DataFrame:
    """One object a line."""
    import polars as pl

    lines = enumerate(io.BytesIO(data.removeprefix(b"\xef\xbb\xbf")), start=1)
    frames = []
    while some := list(islice(lines, LINES_AT_ONCE)):
        found = [_object(line, number, where) for number, line in some if line.strip()]
        frames += [_frame(_records(found, where), where)] if found else []
    return pl.concat(frames, how="diagonal") if frames else _frame([], where)


def _object(line: bytes, number: int, where: str) -> Any:
    try:
        return json.loads(line.decode("utf-8", "replace"), object_pairs_hook=once_each)
    except json.JSONDecodeError as error:
        raise ValueError(f"table: {where} is no JSONL: {error.msg} in line {number}") from None
    except TwiceError:
        raise ValueError(f"table: {where} has one key twice in line {number}; rename one of them") from None


class TwiceError(Exception):
    """An object has a key twice, and nothing says which of its values is meant; keys may be ids, so none is told."""


def once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object of its pairs; TwiceError where a key comes again."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise TwiceError
    return found


def _records(found: Any, where: str) -> list[dict[str, Any]]:
    """A list of objects, or an object of objects whose keys become the column `key`."""
    if isinstance(found, dict) and found and all(isinstance(value, dict) for value in found.values()):
        found = [{"key": key, **value} for key, value in found.items()]
    if isinstance(found, dict) and len(lists := [value for value in found.values() if isinstance(value, list)]) == 1:
        found = lists[0]
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise ValueError(f"table: {where} must hold a list of objects, or one object of objects")
    return found


def _frame(records: list[dict[str, Any]], where: str) -> pl.DataFrame:
    import polars as pl

    if not records:
        raise ValueError(f"table: {where} is empty; it needs rows")
    names = list(dict.fromkeys(name for row in records for name in row))
    columns = {name: [_text(row.get(name)) for row in records] for name in names}
    return pl.DataFrame(columns, schema=dict.fromkeys(names, pl.String))


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
