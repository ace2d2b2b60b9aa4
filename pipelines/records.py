"""What is kept of a unit: its basis, fingerprint, content and counts, in one small file beside its output.

The basis is kept whole, so a plan can say what changed and not only that something did. Records of dead units are
swept; `stage.json` says that a stage is complete and what it gives.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import polars as pl

from shards.atomic import TMP_PREFIX, fsync_folder, make_folder, write_json
from shards.canonical import sha256_of
from shards.manifest import write_part
from shards.reasons import Reason
from shards.stage import Kind, Output, OutputFile, Part, Reject, Result, Unit

RECORD_VERSION = 2
TRANSIENT = frozenset(reason.value for reason in Reason if reason.transient)
OURS = ("parts", "units", "rejects", "begun.json", "stage.json")  # a stage's folder holds one of them from the start
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
        return sha256_of({field.name: getattr(self, field.name) for field in fields(self)})

    def changes(self, old: Mapping[str, Any]) -> str:
        """What differs from a recorded basis, in words."""
        new = json.loads(json.dumps(asdict(self)))
        found = []
        if old.get("use") != new["use"]:
            found.append(f"stage class was {old.get('use')}")
        if old.get("version") != new["version"]:
            found.append("the stage's code has a new version")
        before, after = _flat(old.get("params", {})), _flat(new["params"])
        found += [
            f"{name}: {before.get(name)!r} -> {after.get(name)!r}"
            for name in sorted({*before, *after})
            if before.get(name) != after.get(name)
        ]
        if old.get("key_id") != new["key_id"]:
            found.append("another key")
        if old.get("identity") != new["identity"]:
            found.append("a model, its revision or its prompt changed")
        if old.get("inputs") != new["inputs"]:
            found.append("its input changed")
        return "; ".join(found)


def _flat(params: Mapping[str, Any], head: str = "") -> dict[str, Any]:
    """Nested options under dotted names, as `--set` writes them; those in lists by their place, from 1."""
    found: dict[str, Any] = {}
    for name, value in params.items():
        if isinstance(value, Mapping) and value:
            found |= _flat(value, f"{head}{name}.")
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            found |= _flat({f"{name}[{place}]": item for place, item in enumerate(value, 1)}, head)
        else:
            found[f"{head}{name}"] = value
    return found


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
    rows: int  # of the part; -1 where the unit has none
    part_bytes: int  # of the part; -1 where the unit has none
    offered: int
    accepted: int
    rejected: Mapping[str, int]
    files: tuple[OutputFile, ...]
    seconds: float
    parts: tuple[tuple[str, str, int], ...] = ()  # of a job that writes its parts itself: id, content, rows
    owed: int = 0  # accepted items that lack something for a reason that may pass

    @property
    def lost(self) -> int:
        """Items that were rejected, or lack something, for a reason that may pass."""
        return self.owed + sum(count for reason, count in self.rejected.items() if reason in TRANSIENT)


class StageFolder:
    """The folder of one stage: parts, units, rejects and stage.json."""

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self.path = root / name
        self.parts = self.path / "parts"
        self.units = self.path / "units"
        self.rejects = self.path / "rejects"
        self.stage_json = self.path / "stage.json"

    def make(self) -> None:
        """Make the folder, recognisable as ours; ValueError where it holds what somebody else put there."""
        names = {path.name for path in self.path.iterdir()} if self.path.is_dir() else set()
        foreign = {name for name in names if not name.startswith(TMP_PREFIX)} and names.isdisjoint(OURS)
        if foreign or self.path.is_file():
            raise ValueError(
                f"{self.path} is not a folder of medloom's; give the stage `{self.name}` another name, "
                "or the pipeline another `root:`"
            )
        make_folder(self.units)

    def records(self) -> dict[str, UnitRecord]:
        """All readable records by unit; a damaged or older one is as good as none."""
        found = {}
        for name in sorted(path.name for path in self.units.iterdir()) if self.units.is_dir() else []:
            if name.endswith(".json") and not name.startswith(TMP_PREFIX):
                record = self.record(name.removesuffix(".json"))
                if record is not None:
                    found[record.unit] = record
        return found

    def record(self, unit: str) -> UnitRecord | None:
        """The record of one unit, where there is a readable one."""
        record = _read_record(self.units / f"{unit}.json")
        return record if record is not None and record.unit == unit else None

    def has_record(self, unit: str) -> bool:
        """Whether there is a record of a unit, readable or not."""
        return (self.units / f"{unit}.json").exists()

    def intact(self, record: UnitRecord) -> bool:
        """Whether the files of a record are still there in their sizes."""
        if record.part_bytes >= 0 and _size(self.parts / f"{record.unit}.parquet") != record.part_bytes:
            return False
        if any(not (self.parts / f"{part}.parquet").is_file() for part, _, _ in record.parts):
            return False
        return all(_size(self.path / file.path) == file.size_bytes for file in record.files)

    def reopen(self) -> None:
        """The stage is complete no more: some of its units are about to be done again, maybe in vain."""
        _remove(self.stage_json)

    def forget(self, unit: str) -> None:
        """Drop a unit's record before its files are overwritten: it would vouch for bytes that are no longer there."""
        _remove(self.units / f"{unit}.json")

    def write(self, unit: Unit, basis: Basis, result: Result, seconds: float, parts: Sequence[Part] = ()) -> UnitRecord:
        """Write rows, rejects and, last, the record of a unit."""
        counted = result.accepted + len(result.rejects)
        assert counted == result.offered, f"{self.name}/{unit.id}: offered {result.offered}, accounted for {counted}"
        content, rows, part_bytes = result.content, -1, -1
        if result.rows is not None:
            part = self.parts / f"{unit.id}.parquet"
            content, rows = write_part(result.rows, part), result.rows.height
            part_bytes = part.stat().st_size
        self._write_rejects(unit.id, result.rejects)
        record = UnitRecord(
            unit=unit.id,
            basis=asdict(basis),
            fingerprint=basis.fingerprint,
            content=content,
            rows=rows,
            part_bytes=part_bytes,
            offered=result.offered,
            accepted=result.accepted,
            rejected=dict(sorted(Counter(reject.reason for reject in result.rejects).items())),
            files=tuple(result.files),
            seconds=round(seconds, 3),
            parts=tuple((part.id, part.content, part.rows) for part in parts),
            owed=result.owed,
        )
        write_json(self.units / f"{unit.id}.json", _sealed({"record_version": RECORD_VERSION, **asdict(record)}))
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

    def finish(self, kind: Kind, content: str, fingerprint: str, commits: Sequence[str] = ()) -> None:
        """Say that the stage is complete. `commits` are files that no unit's record speaks of."""
        sizes = {name: _size(self.path / name) for name in commits}
        whole = {"kind": kind.value, "content": content, "fingerprint": fingerprint, "commits": sizes}
        write_json(self.stage_json, _sealed(whole))

    def finished(self, commits: Sequence[str] = ()) -> dict[str, str]:
        """What `finish` wrote; an empty dict where it did not, or where one of `commits` is gone or cut since."""
        found = _unsealed(self.stage_json) or {}
        sizes = found.pop("commits", {})
        whole = all(sizes.get(name, -1) == _size(self.path / name) >= 0 for name in commits)
        return found if whole else {}


def _remove(path: Path) -> None:
    if path.exists():
        path.unlink()
        fsync_folder(path.parent)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _sealed(value: dict[str, Any]) -> dict[str, Any]:
    """The value with a checksum: a flipped bit in a record must not pass for another content."""
    return {**value, "seal": sha256_of(value)}


def _unsealed(path: Path) -> dict[str, Any] | None:
    """What `_sealed` made, or None where the file is missing or damaged."""
    try:
        value = json.loads(path.read_bytes())
        return value if value.pop("seal") == sha256_of(value) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _read_record(path: Path) -> UnitRecord | None:
    value = _unsealed(path)
    if value is None or value.pop("record_version") != RECORD_VERSION:
        return None
    value["files"] = tuple(OutputFile(**file) for file in value["files"])
    value["parts"] = tuple((str(i), str(digest), int(rows)) for i, digest, rows in value["parts"])
    return UnitRecord(**value)
