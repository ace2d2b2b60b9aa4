"""What the tests of curation share: rows with a word, and a run of the stage over manifests of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ingest.curate import Curate
from shards.locator import Locator
from shards.manifest import Media, Sample, frame, read_part, write_part
from shards.stage import Context, Kind, Output, Part, Result

KEY = b"a key of no person at all"


def sample(key: str, **fields: Any) -> Sample:
    """A row; `sha256`, `at`, `frames` go into its media, `group` defaults to a group of its own."""
    media = Media(
        uri=f"/data/{key}.png",
        kind=fields.pop("kind", "image"),
        sha256=fields.pop("sha256", None),
        locator=fields.pop("at", Locator()).text(),
        frames=fields.pop("frames", 1),
    )
    known: dict[str, Any] = {
        "modality": "CT",
        "specialty": "radiology",
        "group": f"image:{key}",
        "label_scope": "image",
        "source": key.split("-", maxsplit=1)[0],
        "license": "CC-BY-4.0",
    }
    return Sample(key=key, media=media, **{**known, **fields})


@pytest.fixture
def curate(tmp_path: Path) -> Callable[..., Result]:
    """Runs the stage over manifests given as {stage: {part: rows}} below a root of this test."""

    def run(
        manifests: dict[str, dict[str, list[Sample]]], root: Path = tmp_path, key: bytes = KEY, **options: Any
    ) -> Result:
        inputs = []
        for stage, parts in manifests.items():
            written = []
            for name, rows in parts.items():
                path = root / stage / "parts" / f"{name}.parquet"
                written.append(Part(id=name, path=path, content=write_part(frame(rows), path), rows=len(rows)))
            inputs.append(Output(stage=stage, kind=Kind.MANIFEST, path=root / stage, content="", parts=tuple(written)))
        ctx = Context(root=root, out=root / "curated", tmp=root / "tmp", folder=root, key=key)
        result = Curate(allow_licenses=options.pop("allow_licenses", ("CC-BY-4.0",)), **options).run(inputs, ctx)
        assert result.accepted + len(result.rejects) == result.offered
        assert result.accepted == sum(part.height for part in curated_parts(root).values())
        return result

    return run


def curated_parts(root: Path) -> dict[str, pl.DataFrame]:
    return {path.stem: read_part(path) for path in sorted((root / "curated" / "parts").glob("*.parquet"))}


def curated(root: Path) -> dict[str, str]:
    """Key -> split."""
    rows = pl.concat(curated_parts(root).values())
    return dict(rows.select("key", "split").iter_rows())


def reasons(result: Result) -> dict[str, str]:
    return {reject.item: reject.reason for reject in result.rejects}


def one(rows: list[Sample]) -> dict[str, dict[str, list[Sample]]]:
    return {"nih": {"part-0": rows}}


def many(groups: int = 60, rows: int = 5, **fields: Any) -> list[Sample]:
    prefix = fields.pop("prefix", "a")
    return [
        sample(f"{prefix}-{g:03}-{n}", group=f"patient:{prefix}{g}", patient=f"{prefix}{g}", **fields)
        for g in range(groups)
        for n in range(rows)
    ]
