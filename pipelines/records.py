"""What is kept of a unit: its basis, fingerprint, content and counts, in one small file beside its output.

The basis is kept whole, so a plan can say what changed and not only that something did. Records of dead units are
swept; `stage.json` says that a stage is complete and what it gives.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from shards.atomic import write_json
from shards.canonical import sha256_of
from shards.manifest import write_part
from shards.stage import Kind, Output, OutputFile, Part, Reject, Result, Unit

RECORD_VERSION = 1
REJECT_SCHEMA = pl.Schema(
    {"stage": pl.String, "unit": pl.String, "item": pl.String, "reason": pl.String, "detail": pl.String}
)


@dataclass(frozen=True, kw_only=True)
class Basis:
    """All that the output of a unit depends on."""

    use: str
    version: str
    params: Mapping[str, Any]
    key_id: str
    identity: Mapping[str, str]  # model revisions and the like, from the stage's own `identity(ctx)`
    inputs: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all of it."""
        return sha256_of(asdict(self))

    def changes(self, old: Mapping[str, Any]) -> str:
        """What differs from a recorded basis, in words."""
        new = json.loads(json.dumps(asdict(self)))
        found = []
        if old.get("use") != new["use"]:
            found.append(f"stage class was {old.get('use')}")
        if old.get("version") != new["version"]:
            found.append("the stage's code has a new version")
        before, after = old.get("params", {}), new["params"]
        found += [
            f"{name}: {before.get(name)!r} -> {after.get(name)!r}"
            for name in sorted({*before, *after})
            if before.get(name) != after.get(name)
        ]
        if old.get("key_id") != new["key_id"]:
            found.append("another key")
        if old.get("identity") != new["identity"]:
            found.append("a model or its revision changed")
        if old.get("inputs") != new["inputs"]:
            found.append("its input changed")
        return "; ".join(found)


def token_hash(token: str) -> str:
    """Inputs enter a basis as 16 hexadecimal characters, since a token may hold a path."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class UnitRecord:
    """A finished unit or job."""

    unit: str
    basis: Mapping[str, Any]
    fingerprint: str
    content: str
    rows: int
    offered: int
    accepted: int
    rejected: Mapping[str, int]
    files: tuple[OutputFile, ...]
    seconds: float
    parts: tuple[tuple[str, str, int], ...] = ()  # of a job that writes its parts itself: id, content, rows


class StageFolder:
    """The folder of one stage: parts, units, rejects and stage.json."""

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self.path = root / name
        self.parts = self.path / "parts"
        self.units = self.path / "units"
        self.rejects = self.path / "rejects"
        self.stage_json = self.path / "stage.json"

    def records(self) -> dict[str, UnitRecord]:
        """All readable records by unit; a damaged or older one is as good as none."""
        found = {}
        for path in sorted(self.units.glob("*.json")) if self.units.is_dir() else []:
            record = _read_record(path)
            if record is not None:
                found[record.unit] = record
        return found

    def intact(self, record: UnitRecord) -> bool:
        """Whether the files of a record are still there in their sizes."""
        if record.rows >= 0 and not record.parts and not (self.parts / f"{record.unit}.parquet").is_file():
            return False
        if any(not (self.parts / f"{part}.parquet").is_file() for part, _, _ in record.parts):
            return False
        return all(_size(self.path / file.path) == file.size_bytes for file in record.files)

    def write(self, unit: Unit, basis: Basis, result: Result, seconds: float, parts: Sequence[Part] = ()) -> UnitRecord:
        """Write rows, rejects and, last, the record of a unit."""
        counted = result.accepted + len(result.rejects)
        assert counted == result.offered, f"{self.name}/{unit.id}: offered {result.offered}, accounted for {counted}"
        content, rows = result.content, -1
        if result.rows is not None:
            content, rows = write_part(result.rows, self.parts / f"{unit.id}.parquet"), result.rows.height
        self._write_rejects(unit.id, result.rejects)
        record = UnitRecord(
            unit=unit.id,
            basis=asdict(basis),
            fingerprint=basis.fingerprint,
            content=content,
            rows=rows,
            offered=result.offered,
            accepted=result.accepted,
            rejected=dict(sorted(Counter(reject.reason for reject in result.rejects).items())),
            files=tuple(result.files),
            seconds=round(seconds, 3),
            parts=tuple((part.id, part.content, part.rows) for part in parts),
        )
        write_json(self.units / f"{unit.id}.json", {"record_version": RECORD_VERSION, **asdict(record)})
        return record

    def _write_rejects(self, unit: str, rejects: Sequence[Reject]) -> None:
        path = self.rejects / f"{unit}.parquet"
        if not rejects:
            path.unlink(missing_ok=True)
            return
        rows = [{"stage": self.name, "unit": unit, **asdict(reject)} for reject in rejects]
        write_part(pl.DataFrame(rows, schema=REJECT_SCHEMA), path)

    def sweep_units(self, keep: Iterable[str]) -> None:
        """Remove records, parts and rejects of units that are no longer planned."""
        kept = set(keep)
        for folder, suffix in ((self.units, ".json"), (self.rejects, ".parquet"), (self.parts, ".parquet")):
            for path in folder.glob(f"*{suffix}") if folder.is_dir() else []:
                if path.name.removesuffix(suffix) not in kept:
                    path.unlink()

    def part(self, record: UnitRecord) -> Part:
        """The part of a unit's record."""
        path = self.parts / f"{record.unit}.parquet"
        return Part(id=record.unit, path=path, content=record.content, rows=record.rows, files=record.files)

    def output(self, kind: Kind, content: str, records: Sequence[UnitRecord]) -> Output:
        """The finished stage as its consumers see it."""
        parts = []
        for record in records:
            if record.parts:
                parts += [
                    Part(id=name, path=self.parts / f"{name}.parquet", content=digest, rows=rows)
                    for name, digest, rows in record.parts
                ]
            elif record.rows >= 0:
                parts.append(self.part(record))
        return Output(
            stage=self.name, kind=kind, path=self.path, content=content, parts=tuple(sorted(parts, key=lambda p: p.id))
        )

    def finish(self, kind: Kind, content: str, fingerprint: str) -> None:
        """Say that the stage is complete."""
        write_json(self.stage_json, {"kind": kind.value, "content": content, "fingerprint": fingerprint})

    def finished(self) -> dict[str, str]:
        """What `finish` wrote, or an empty dict."""
        try:
            value = json.loads(self.stage_json.read_text())
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1


def _read_record(path: Path) -> UnitRecord | None:
    try:
        value = json.loads(path.read_text())
        if value.pop("record_version") != RECORD_VERSION:
            return None
        value["files"] = tuple(OutputFile(**file) for file in value["files"])
        value["parts"] = tuple((str(i), str(digest), int(rows)) for i, digest, rows in value["parts"])
        return UnitRecord(**value)
    except (OSError, ValueError, KeyError, TypeError):
        return None
