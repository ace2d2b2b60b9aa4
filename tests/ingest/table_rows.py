"""What the tests of columns share: a table as samples by path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ingest.converters.table_images import TableImages
from ingest.rights import Rights
from shards.manifest import Sample

FIXED: dict[str, Any] = {
    "source": "here",
    "rights": Rights(license="CC0-1.0"),
    "path": ".",
    "table": "t.csv",
    "image": "file",
    "modality": "DX",
    "specialty": "radiology",
    "check_files": False,
}


@pytest.fixture
def rows(convert: Any, tmp_path: Path) -> Any:
    """rows(table, **options): the samples by path and the reasons of the rejects."""

    def run(table: str, **options: Any) -> tuple[dict[str, Sample], dict[str, str]]:
        (tmp_path / "t.csv").write_text(table, encoding="utf-8")
        found = convert(TableImages(**{**FIXED, **options}))
        return {sample.media.uri.rpartition("/")[2]: sample for sample in found.samples}, found.reasons

    return run


def said(sample: Sample) -> list[tuple[str, str]]:
    return [(label.name, label.state) for label in sample.labels]
