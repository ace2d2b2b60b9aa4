"""Curation run again: the ledger and its key, newcomers, and the same bytes after any crash."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from ingest.curate import Curate
from ingest.splits import LEDGER_NAME
from shards.canonical import sha256_file
from shards.manifest import frame, write_part
from shards.stage import Context, Kind, Output, Part, Result

CURATING = runpy.run_path(str(Path(__file__).with_name("curating.py")))
KEY, curate, curated, many, one, reasons, sample = (
    CURATING[name] for name in ("KEY", "curate", "curated", "many", "one", "reasons", "sample")
)


def test_nobodys_test_set_leaks_through_a_copy(curate: Callable[..., Result], tmp_path: Path) -> None:
    """A derived collection publishes the picture as training data, the original as test data."""
    rows = [
        sample("a-1", source_id="x", official_split="test"),
        sample("b-1", source_id="x", official_split="train", group="patient:p"),
        sample("b-2", official_split="train", group="patient:p"),
        sample("b-3", official_split="train"),
    ]
    curate(one(rows))
    assert curated(tmp_path) == {"a-1": "test", "b-1": "test", "b-2": "test", "b-3": "train"}
    summary = json.loads((tmp_path / "curated" / "table1.json").read_text())
    assert summary["official_split"] == {"pairs": 4, "moved": 2}


def test_a_newcomer_that_would_join_two_splits_is_rejected(curate: Callable[..., Result], tmp_path: Path) -> None:
    first = [
        sample("a-1", group="patient:p", patient="p", official_split="test"),
        sample("a-2", group="patient:q", patient="q", official_split="train"),
    ]
    curate(one(first))
    newcomers = [
        sample("b-1", group="study:s", study="s", patient="p"),
        sample("b-2", group="study:s2", study="s2", patient="q", source_id="x"),
        sample("b-3", group="study:s3", study="s3", patient="p", source_id="x"),  # b-2 and b-3 are one picture
        sample("b-4", group="patient:p", patient="q"),
        sample("b-5", group="patient:q", patient="q", source_id="y", official_split="test"),
    ]
    result = curate(one(first + newcomers))
    assert reasons(result) == dict.fromkeys(("b-2", "b-3", "b-4", "b-5"), "bridges_splits")
    assert curated(tmp_path) == {"a-1": "test", "a-2": "train", "b-1": "test"}
    again = curate(one(newcomers))  # the ledger remembers those that are no longer there
    assert reasons(again) == reasons(result)


def test_a_second_run_and_another_key(curate: Callable[..., Result], tmp_path: Path) -> None:
    rows = many()
    first = curate(one(rows), val_share=0.1)
    ledger = (tmp_path / LEDGER_NAME).read_bytes()
    before = curated(tmp_path)
    assert curate(one(rows), val_share=0.1).content == first.content
    assert (tmp_path / LEDGER_NAME).read_bytes() == ledger
    grown = curate(one(rows + many(prefix="z", groups=40)), val_share=0.1)
    assert grown.content != first.content
    after = curated(tmp_path)
    assert {key: after[key] for key in before} == before
    other = tmp_path / "other"
    curate(one(rows), root=other, key=b"another key of no person", val_share=0.1)
    assert curated(other) != before


def test_another_key_in_the_same_root_is_refused(curate: Callable[..., Result], tmp_path: Path) -> None:
    """With it no group would be known: most of the new test set would have been trained on."""
    rows = many(groups=200, rows=1)
    curate(one(rows))
    before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*.parquet"))}
    with pytest.raises(ValueError, match=r"splits.parquet was drawn with another key .* Run with the key that drew it"):
        curate(one(rows), key=b"another key of no person")
    assert {path: path.read_bytes() for path in sorted(tmp_path.rglob("*.parquet"))} == before
    assert KEY not in (tmp_path / LEDGER_NAME).read_bytes()


def test_a_ledger_that_does_not_name_its_key_is_taken_with_that_key(
    curate: Callable[..., Result], tmp_path: Path
) -> None:
    rows = many(groups=40, rows=1)
    curate(one(rows))
    path, before = tmp_path / LEDGER_NAME, curated(tmp_path)
    ledger = path.read_bytes()
    pl.read_parquet(path).cast({"what": pl.String, "split": pl.String}).write_parquet(path)
    with pytest.raises(ValueError, match="does not say with which key it was drawn"):
        curate(one(rows), key=b"another key of no person")
    curate(one(rows), val_share=0.3)
    assert curated(tmp_path) == before
    assert path.read_bytes() == ledger


def test_a_file_that_is_no_ledger_is_refused(curate: Callable[..., Result], tmp_path: Path) -> None:
    path = tmp_path / LEDGER_NAME
    path.write_bytes(b"not a table")
    with pytest.raises(ValueError, match=r"splits.parquet is damaged"):
        curate(one([sample("a-1")]))
    pl.DataFrame({"x": [1]}).write_parquet(path)
    with pytest.raises(ValueError, match="no ledger of splits"):
        curate(one([sample("a-1")]))


CRASHING = """
import os, sys
from pathlib import Path
number = int(sys.argv[2])
replace = Path.replace
def counted(self, target):
    global number
    number -= 1
    if number < 0:
        os._exit(9)
    return replace(self, target)
Path.replace = counted
from ingest.curate import Curate
from shards.stage import Context, Kind, Output, Part
root = Path(sys.argv[1])
parts = tuple(Part(id=p.stem, path=p, content="", rows=0) for p in sorted((root / "nih" / "parts").glob("*.parquet")))
ctx = Context(root=root, out=root / "curated", tmp=root / "tmp", folder=root, key={key!r})
Curate(allow_licenses=("CC-BY-4.0",), val_share=0.1).run(
    [Output(stage="nih", kind=Kind.MANIFEST, path=root / "nih", content="", parts=parts)], ctx
)
"""


@pytest.mark.long
def test_killed_before_any_rename_and_run_again_gives_the_same_bytes(tmp_path: Path) -> None:
    """The process dies before its n-th rename, for every n; the same command then ends as if nothing had happened."""
    rows = many(groups=40, rows=2)
    script = tmp_path / "crash.py"
    script.write_text(CRASHING.format(key=KEY))

    def run(root: Path, die_at: int) -> int:
        command = [sys.executable, str(script), str(root), str(die_at)]
        house = str(Path(__file__).parents[2])  # the same modules as here, wherever the package is installed from
        return subprocess.run(command, check=False, env={**os.environ, "PYTHONPATH": house}).returncode

    def fresh(name: str) -> Path:
        root = tmp_path / name
        for number in range(2):
            write_part(frame(rows[number::2]), root / "nih" / "parts" / f"p{number}.parquet")
        return root

    def files(root: Path) -> dict[str, str]:
        return {str(path.relative_to(root)): sha256_file(path) for path in sorted(root.rglob("*")) if path.is_file()}

    def again(root: Path) -> None:
        parts = tuple(
            Part(id=path.stem, path=path, content="", rows=0)
            for path in sorted((root / "nih" / "parts").glob("*.parquet"))
        )
        ctx = Context(root=root, out=root / "curated", tmp=root / "tmp", folder=root, key=KEY)
        output = Output(stage="nih", kind=Kind.MANIFEST, path=root / "nih", content="", parts=parts)
        Curate(allow_licenses=("CC-BY-4.0",), val_share=0.1).run([output], ctx)

    golden = fresh("golden")
    again(golden)
    wanted = files(golden)
    renames = len(wanted) - 2  # all but the two input parts
    assert renames == 6
    for die_at in range(renames):
        root = fresh(f"killed-{die_at}")
        assert run(root, die_at) == 9
        again(root)
        found = {name: digest for name, digest in files(root).items() if ".tmp-" not in name}
        assert found == wanted, die_at
