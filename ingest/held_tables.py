"""Tables in formats that cannot be read by ranges: XLSX sheets, JSON and JSON lines."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl


def read_held(data: bytes, ending: str, where: str) -> pl.DataFrame:
    """All rows as texts; ValueError where `data` is no such table. The first sheet of a workbook is read."""
    import polars as pl

    if ending == "xlsx":
        try:
            rows = pl.read_excel(io.BytesIO(data), engine="calamine", infer_schema_length=0)
        except (ModuleNotFoundError, ImportError) as error:
            raise ValueError(f"table: {where} needs the package fastexcel: pip install 'medloom[data]'") from error
        return rows.cast(pl.String)
    text = data.decode("utf-8-sig", "replace")
    try:
        found = (
            json.loads(text) if ending == "json" else [json.loads(line) for line in text.splitlines() if line.strip()]
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"table: {where} is no {ending.upper()}: {error.msg} in line {error.lineno}") from None
    return _frame(_records(found, where), where)


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
